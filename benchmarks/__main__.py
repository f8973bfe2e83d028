"""Every benchmark, one after the other, or those named: `make bench`. Figures go to `benchmarks/results/`.

What happens over time, and what kills and planted flaws do, is in `simulations`. `scale` needs a file and is run by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

NAMES = ("ingest", "loop", "curve", "training", "accuracy", "api", "publish", "profile", "random_tables", "labels")

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all of them without any")
names = parser.parse_args().names
if unknown := [name for name in names if name not in NAMES]:
    parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(NAMES)}")
for name in names or NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
