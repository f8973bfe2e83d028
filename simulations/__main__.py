"""Every simulation, one after the other: `make simulate`. Results go to `simulations/results/`.

A simulation plays what happens to the project over time (kills, planted flaws, a year of files) and checks that its promises
hold. Speed, memory and accuracy are measured in `benchmarks`.
"""

from __future__ import annotations

import argparse
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

parser = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all of them without any")
names = parser.parse_args().names
if unknown := [name for name in names if name not in NAMES]:
    parser.error(f"there is no simulation {unknown[0]}; there are {', '.join(NAMES)}")
for name in names or NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"simulations.{name}"], check=True)
