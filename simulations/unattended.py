"""How `sentiment up` works unattended: `python -m simulations.unattended [FILES]`. Takes some ten minutes.

1. A file of 1,000 tweets lands in the inbox: seconds until readers see its tweets with their scores, by step.
2. A file without tweets lands: seconds until our webhook receives the alert, and its text.
3. Three days switched off: `up` is ended, its scheduled runs are moved back by three days, a file lands, and `up` is started
   again: which runs did work, and which were cancelled.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from benchmarks.data import run
from flows.server.ephemeral import prefect_environment
from flows.server.rest import ask
from sentiment.sample import Span, write_sample
from simulations.up import Running, wait

HISTORY_ROWS, ROWS, DAYS_OFF = 60_000, 1_000, 3
BLOCK = "custom-webhook/team"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Webhook:
    """Takes what is posted to it on a port of this machine."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"


def count_scored(home: Path, first_id: int) -> int:
    """Tweets of a file that readers see with a score."""
    with duckdb.connect(str((home / "published" / "sentiment.duckdb").resolve()), read_only=True) as snapshot:
        row = snapshot.execute(
            "select count(*) from scored_tweets where tweet_id between ? and ?", [first_id, first_id + 10**8]
        ).fetchone()
    assert row is not None
    return int(row[0])


def runs_since(up: Running, since: str) -> list[dict[str, Any]]:
    """Runs that were expected to start since a time, the first one first."""
    question = {"flow_runs": {"expected_start_time": {"after_": since}}, "sort": "EXPECTED_START_TIME_ASC"}
    found: list[dict[str, Any]] = []
    while page := ask(f"{up.api}/flow_runs/filter", {**question, "offset": len(found), "limit": 200}):
        found += page
    return found


def land(up: Running, number: int) -> dict[str, float]:
    """Seconds from a file's landing to each step of its way, the last one in front of readers."""
    first_id = 7_000_000_000 + number * 10**9
    draft = up.home / "draft.csv"
    write_sample(draft, ROWS, seed=number, span=Span(days=1, first_id=first_id), labelled=False)
    landed_at = datetime.now(UTC)
    draft.replace(up.home / "inbox" / f"landed-{number}.csv")
    seen = wait(lambda: count_scored(up.home, first_id) > 0.9 * ROWS, "scored tweets")
    runs = [run for run in runs_since(up, landed_at.isoformat()) if run["start_time"]]
    steps: dict[str, float] = {}
    for flow in ("ingest", "score"):
        first = next((run for run in runs if run["name"].startswith(flow)), None)
        for step, name in (("asked", "created"), ("started", "start_time"), ("ended", "end_time")):
            if first is not None and first[name]:
                moment = datetime.fromisoformat(first[name])
                steps[f"{flow}_{step}"] = round((moment - landed_at).total_seconds(), 1)
    print({**steps, "seen": seen}, file=sys.stderr, flush=True)
    return {**steps, "seen": round(seen, 1)}


def tell(up: Running, webhook: Webhook) -> dict[str, Any]:
    """Make the block as a user does, deploy with it, and let a run fail."""
    os.environ |= prefect_environment(up.home)
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: up.api}):
        block = CustomWebhookNotificationBlock(
            name="team", url=webhook.address, json_data={"subject": "{{subject}}", "body": "{{body}}"}
        )
        block.save(BLOCK.partition("/")[2], overwrite=True)
    environment = os.environ | {
        "PREFECT_API_URL": up.api,
        "SENTIMENT_HOME": str(up.home),
        "SENTIMENT_NOTIFICATION_BLOCK": BLOCK,
    }
    subprocess.run([sys.executable, "-m", "flows.server.deploy"], env=environment, check=True, capture_output=True)
    (up.home / "inbox" / "letter.csv").write_text("<html><body>502 Bad Gateway</body></html>\n")
    seconds = wait(lambda: webhook.told, "an alert")
    told = {name: text.replace(str(up.home), "HOME") for name, text in webhook.told[0].items()}
    return {"seconds": round(seconds, 1), "told": told}


def switch_off(up: Running) -> int:
    """End everything, and move the planned runs back as if three days had passed; how many there are."""
    up.process.send_signal(signal.SIGTERM)
    up.process.wait(120)
    back = f"-{DAYS_OFF} days"
    with closing(sqlite3.connect(up.home / "prefect" / "prefect.db")) as database:
        planned = "state_type = 'SCHEDULED' and auto_scheduled"
        for column in ("expected_start_time", "next_scheduled_start_time", "state_timestamp", "created"):
            database.execute(
                f"update flow_run set {column} = strftime('%Y-%m-%d %H:%M:%f', {column}, ?) where {planned}", [back]
            )
        changed = database.execute(
            "update flow_run_state set timestamp = strftime('%Y-%m-%d %H:%M:%f', timestamp, ?), "
            "state_details = json_set(state_details, '$.scheduled_time', "
            "strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(state_details, '$.scheduled_time'), ?)) "
            f"where id in (select state_id from flow_run where {planned})",
            [back, back],
        ).rowcount
        database.commit()
    return changed


def come_back(home: Path, count_planned: int) -> dict[str, Any]:
    """Start again and wait until nothing late is left; what became of the runs, by deployment and state."""
    first_id = 90_000_000_000
    write_sample(home / "inbox" / "meanwhile.csv", ROWS, seed=50, span=Span(days=1, first_id=first_id), labelled=False)
    began = datetime.now(UTC)
    up = Running(home)
    seen = wait(lambda: count_scored(home, first_id) > 0.9 * ROWS, "scored tweets")
    since = (began.replace(microsecond=0)).isoformat()

    def late() -> list[dict[str, Any]]:
        until = {"flow_runs": {"expected_start_time": {"before_": since}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = []
        while page := ask(f"{up.api}/flow_runs/filter", {**until, "offset": len(found), "limit": 200}):
            found += page
        return [run for run in found if run["auto_scheduled"]]

    before = {run["id"] for run in late() if run["end_time"] and run["end_time"] < began.isoformat()}
    settled = wait(lambda: all(run["state_type"] in ENDED for run in late()), "the end of what was late")
    flows = {flow["id"]: flow["name"] for flow in ask(f"{up.api}/flows/filter", {"limit": 200})}
    ended = [run for run in late() if run["id"] not in before]
    became = Counter((flows[run["flow_id"]], run["state_type"]) for run in ended)
    trouble = [run["state"]["message"] for run in ended if run["state_type"] in ("FAILED", "CRASHED")]
    up.process.send_signal(signal.SIGTERM)
    up.process.wait(120)
    outcome: dict[str, dict[str, int]] = {}
    for (flow, state), count in sorted(became.items()):
        outcome.setdefault(flow, {})[state] = count
    return {
        "planned_runs_found_late": count_planned,
        "ready_seconds": round(up.seconds, 1),
        "file_of_meanwhile_seen_seconds": round(seen, 1),
        "all_settled_seconds": round(seen + settled, 1),
        "late_runs_by_flow": outcome,
        "trouble": trouble,
    }


def main() -> None:
    """Land, tell, switch off; write down what was seen."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="unattended-") as name:
        home = Path(name) / "home"
        history = Path(name) / "history.csv"
        write_sample(history, HISTORY_ROWS)
        run("run", str(history), "--json", home=home)
        up = Running(home)
        try:
            time.sleep(30)  # What a fresh server does first is no part of a file's way.
            landed = [land(up, number) for number in range(files)]
            alert = tell(up, Webhook())
            count_planned = switch_off(up)
        finally:
            if up.process.poll() is None:
                up.process.kill()
                up.process.wait()
        result = {
            "load_average": round(os.getloadavg()[1], 1),
            "ready_seconds": round(up.seconds, 1),
            "landed_to_seen_seconds": {
                "median": median(way["seen"] for way in landed),
                "worst": max(way["seen"] for way in landed),
            },
            "ways": landed,
            "alert": alert,
            "three_days_off": come_back(home, count_planned),
        }
    target = Path(__file__).with_name("results") / "unattended.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
