"""2,000 random tables against what is really in them: `python -m benchmarks.random_tables [FIRST_SEED]`.

A generator writes tables as people do and knows the truth (`tests/ingest/random_tables.py`). Counted are tables that went in right,
that were asked about, with or without need, and that went in wrongly: none may.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.ingest.random_tables import write_table
from tests.ingest.test_random_tables import outcome

COUNT = 2_000


def main() -> None:
    """Write, read and compare each table."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    counts: Counter[str] = Counter()
    wrong = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + COUNT):
            truth = write_table(Path(folder), seed)
            found = outcome(truth)
            is_fine = found in ("right", "asked", "asked rightly")
            counts[found if is_fine else "wrong"] += 1
            if not is_fine:
                wrong.append({"seed": seed, "found": found})
            truth.path.unlink()
    result = {
        "tables": COUNT,
        "first_seed": first,
        "right": counts["right"],
        "wrong": counts["wrong"],
        "asked_with_need": counts["asked rightly"],
        "asked_without_need": counts["asked"],
        "share_asked": (counts["asked"] + counts["asked rightly"]) / COUNT,
        "seconds": time.perf_counter() - began,
        "wrong_seeds": wrong,
    }
    target = Path(__file__).with_name("results") / "random_tables.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
