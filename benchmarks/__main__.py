"""Every benchmark, one after the other: `make bench`. Figures go to `benchmarks/results/`."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "ingest loop kills promotions gate planted curve training accuracy up unattended monitor year api publish profile"
)

for name in NAMES.split():
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
