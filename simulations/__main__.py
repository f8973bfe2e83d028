"""Every simulation, one after the other: `make simulate`. Results go to `simulations/results/`.

A simulation plays what happens to the project over time (kills, planted flaws, a year of files) and checks that its promises
hold. Speed, memory and accuracy are measured in `benchmarks`.
"""

from __future__ import annotations

from benchmarks.one_by_one import run_modules

NAMES = (
    "gate",
    "ladders",
    "planted",
    "failpoints",
    "power_cuts",
    "damage",
    "full_disk",
    "kills",
    "shard_kills",
    "machines",
    "promotions",
    "up",
    "unattended",
    "monitor",
    "year",
)

run_modules("simulations", NAMES, __doc__)
