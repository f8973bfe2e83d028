"""Every benchmark, one after the other: `make bench`. Figures go to `benchmarks/results/`."""

from __future__ import annotations

import subprocess
import sys

for name in (
    "ingest",
    "loop",
    "kills",
    "promotions",
    "gate",
    "planted",
    "curve",
    "accuracy",
    "training",
    "up",
    "monitor",
    "api",
):
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
