"""The data profile against DuckDB's own `summarize`, in one run: `SENTIMENT_HOME=… python -m benchmarks.profile`.

The home holds tweets (`sentiment ingest`). The peer gives minimum, maximum, distinct values and nulls of each column and
looks into no text.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from pathlib import Path

from sentiment.profile import measure, write_page
from sentiment.publishing import publish
from sentiment.settings import Home, Settings
from sentiment.warehouse import reader


def cpu() -> float:
    """Processor seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run both and print figures."""
    home, settings = Home(Path(os.environ["SENTIMENT_HOME"]).absolute()), Settings()
    publish(home, settings)
    began, used = time.perf_counter(), cpu()
    with reader(home, settings) as snapshot:
        snapshot.connection.execute("summarize tweets").fetchall()
    peer = {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used}
    began, used = time.perf_counter(), cpu()
    figures = measure(home, settings)
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder) / "profile.html", figures)
    ours = {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used, "figures": len(figures.frame)}
    result = {
        "summarize": peer,
        "profile": ours,
        "tweets": figures.value("rows", "tweets", "count_rows"),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    target = Path(__file__).with_name("results") / "profile.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
