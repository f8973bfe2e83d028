"""Every benchmark, one after the other: `make bench`. Figures go to `benchmarks/results/`.

What happens over time, and what kills and planted flaws do, is in `simulations`. `scale` needs a file and is run by hand.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = ("ingest", "loop", "curve", "training", "accuracy", "api", "publish", "profile", "random_tables", "labels")

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
