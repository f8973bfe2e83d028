"""Every simulation, one after the other: `make simulate`. Results go to `simulations/results/`.

A simulation plays what happens to the project over time (kills, planted flaws, a year of files) and checks that its promises
hold. Speed, memory and accuracy are measured in `benchmarks`.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "gate",
    "ladders",
    "planted",
    "failpoints",
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

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"simulations.{name}"], check=True)
