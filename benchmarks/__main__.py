"""Every benchmark, one after the other, or those named: `make bench`. Figures go to `benchmarks/results/`.

What happens over time, and what kills and planted flaws do, is in `simulations`. `scale` needs a file and `whole_run` another
checkout: they are run by hand.
"""

from __future__ import annotations

from benchmarks.one_by_one import run_modules

NAMES = (
    "ingest",
    "loop",
    "curve",
    "training",
    "accuracy",
    "devices",
    "api",
    "publish",
    "lake",
    "profile",
    "random_tables",
    "labels",
)

run_modules("benchmarks", NAMES, __doc__)
