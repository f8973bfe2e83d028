"""Kill -9 the whole loop at random moments and start it again: `python -m simulations.kills [RUNS] [ROWS]`.

Each run has a home of its own. It is killed once, at a moment drawn evenly over the time that an undisturbed run takes, with
everything it started, and run again. Its tables must equal those of a run that was not killed, times and run ids aside. Two runs go on
at a time, one a core.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from benchmarks.data import command, run, subset_csv

# Columns that a second run cannot repeat: times and ids of runs. What the gate's check of speed measured is a time too.
VOLATILE = {
    "tweets": ["ingested_at", "change_number"],
    "rejected_rows": [],
    "predictions": ["scored_at", "run_id"],
    "decisions": ["decided_at"],
    "alias_history": ["changed_at"],
}

WITHOUT_SPEED = (
    "select * replace (if(check_name = 'speed', null, challenger_value) as challenger_value, "
    "if(check_name = 'speed', '', reason) as reason) from decisions"
)


def contents(home: Path) -> dict[str, tuple[int, str]]:
    """Count and digest of each table, order aside."""
    found = {}
    with duckdb.connect(str((home / "published" / "sentiment.duckdb").resolve()), read_only=True) as connection:
        for table, volatile in VOLATILE.items():
            rows = f"({WITHOUT_SPEED})" if table == "decisions" else table
            columns = [row[0] for row in connection.sql(f"describe {table}").fetchall() if row[0] not in volatile]
            row = connection.sql(
                f"select count(*), md5(string_agg(line, '' order by line)) from "
                f"(select md5(concat_ws('|', {', '.join(f'coalesce({c}::varchar, chr(1))' for c in columns)})) as line from {rows})"
            ).fetchone()
            assert row is not None
            found[table] = (row[0], row[1])
    return found


def kill_once(arguments: list[str], home: Path, after: float) -> bool:
    """Start the loop, kill its process group after some seconds; whether it was still running then."""
    environment = os.environ | {"SENTIMENT_HOME": str(home)}
    process = subprocess.Popen(
        [*command(), *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def main() -> None:
    """Compare each killed and repeated run with the undisturbed one."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    dice = random.Random(0)
    with subset_csv(rows) as path, tempfile.TemporaryDirectory() as folder:
        arguments = ["run", str(path), "--json"]
        began = time.perf_counter()
        run(*arguments, home=Path(folder) / "undisturbed")
        seconds = time.perf_counter() - began
        expected = contents(Path(folder) / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s, {expected}", file=sys.stderr)

        def survive(number: int, after: float) -> dict[str, object]:
            home = Path(folder) / f"killed-{number}"
            was_running = kill_once(arguments, home, after)
            run(*arguments, home=home)
            found = contents(home)
            different = [table for table in VOLATILE if found[table] != expected[table]]
            shutil.rmtree(home)
            outcome = {"killed_after": round(after, 1), "was_running": was_running, "different": different}
            print(json.dumps(outcome), file=sys.stderr, flush=True)
            return outcome

        moments = [dice.uniform(0.05, 1.0) * seconds for _ in range(runs)]
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(survive, range(runs), moments))
    result = {
        "runs": runs,
        "rows": rows,
        "undisturbed_seconds": round(seconds, 1),
        "killed_while_running": sum(bool(outcome["was_running"]) for outcome in outcomes),
        "equal": sum(not outcome["different"] for outcome in outcomes),
        "outcomes": outcomes,
    }
    target = Path(__file__).with_name("results") / "kills.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "outcomes"}, indent=2))


if __name__ == "__main__":
    main()
