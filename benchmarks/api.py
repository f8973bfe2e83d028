"""The API under load from `wrk`, against MLflow's own server of the same model: `python -m benchmarks.api`.

32 clients ask for single tweets, 4 for batches of 1,000, and 32 go on asking while the champion is promoted and rolled back
twenty times. The load runs on the same cores as the API. Other work on the machine makes all of it slower, so the
result says how much of the cores others took, and what a request cost the server in processor time. Needs `wrk`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import uvicorn

from benchmarks.data import command
from sentiment.ingest.load import ingest_file
from sentiment.registry.champion import promote, rollback
from sentiment.registry.client import Registry
from sentiment.sample import write_sample
from sentiment.settings import Home
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.subsets import export
from sentiment.training.versions import train_version
from sentiment.warehouse.connection import writer
from sentiment.warehouse.snapshot import publish

SECONDS = 20
BATCH = 1_000
CHANGES = 20
# Bodies are lines of a file, taken in turn; the answer is one JSON document.
SCRIPT = """
local bodies, n = {}, 0
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
request = function()
  n = n % #bodies + 1
  return wrk.format("POST", os.getenv("ADDRESS"), {["Content-Type"] = "application/json"}, bodies[n])
end
done = function(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %d, "seconds": %.3f, "p50_ms": %.2f, "p99_ms": %.2f, "slowest_ms": %.2f, "lost": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
"""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    """Measure, and write `results/api.json`."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = prepared(folder)
        single, batches = bodies(home, folder, "text", "texts")
        with serving(home) as (address, server):
            result: dict[str, Any] = {
                "single": under_load(server, f"{address}/predict", single, clients=32),
                "batches": under_load(server, f"{address}/predict", batches, clients=4),
                "promotions": changes_under_load(home, address, single),
            }
            result["server_peak_mb"] = peak_mb(server)
        written(result)
        single, batches = bodies(home, folder, "inputs", "inputs")
        with mlflow_serving(home) as (address, server):
            result["mlflow_models_serve"] = {
                "single": under_load(server, f"{address}/invocations", single, clients=32),
                "batches": under_load(server, f"{address}/invocations", batches, clients=4),
            }
    written(result)


def written(result: dict[str, Any]) -> None:
    """Keep what is known so far: what follows may fail."""
    for part in (result, result.get("mlflow_models_serve", {})):
        if "batches" in part:
            part["batches"]["tweets_per_second"] = round(part["batches"]["requests_per_second"] * BATCH)
    target = Path(__file__).with_name("results") / "api.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def prepared(folder: Path) -> Home:
    """A home with generated tweets and two versions of the n-gram model, the second the champion."""
    home = Home(folder / "home").create()
    write_sample(folder / "tweets.csv", 60_000)
    ingest_file(home, folder / "tweets.csv")
    with writer(home) as warehouse:
        frozen = export(warehouse, home)
    registry, config = Registry(home), TrainingConfig(effort=1)
    for rows in (20_000, 40_000):
        made = train_version(home, registry, frozen, TrainingJob(rows, config))
        version = made.version.model_version
        promote(home, registry, version, changed_by="benchmark", reason="something to serve")
    publish(home)
    return home


def bodies(home: Home, folder: Path, one: str, many: str) -> tuple[Path, Path]:
    """Files of bodies: single texts under the name `one`, and batches under the name `many`."""
    with duckdb.connect(str(home.published.resolve()), read_only=True) as snapshot:
        texts = [text for (text,) in snapshot.sql("select text from tweets order by tweet_id limit 20000").fetchall()]
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
    # MLflow takes a list also for one.
    singles: list[Any] = [[text] for text in texts] if one == many else texts
    paths = folder / f"single-{one}.jsonl", folder / f"batches-{many}.jsonl"
    for path, key, values in zip(paths, (one, many), (singles, batches), strict=True):
        path.write_text("".join(json.dumps({key: value}) + "\n" for value in values))
    return paths


@contextmanager
def serving(home: Home) -> Iterator[tuple[str, int]]:
    """`sentiment serve` for a home, from when it has a model; its address and process id."""
    environment = os.environ | {"SENTIMENT_HOME": str(home.root)}
    with ended(
        subprocess.Popen([*command(), "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True)
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        wait_for(f"{address}/ready")
        yield address, process.pid


@contextmanager
def mlflow_serving(home: Home) -> Iterator[tuple[str, int]]:
    """MLflow's own server of the champion, in one process as ours."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": home.mlflow_store, "MLFLOW_DISABLE_TELEMETRY": "true"}
    # It starts uvicorn by its name.
    environment["PATH"] = f"{Path(uvicorn.__file__).parents[4] / 'bin'}:{environment['PATH']}"
    options = ["-m", "models:/tweet-sentiment@champion", "--env-manager", "local", "--workers", "1", "--port", "5999"]
    log = (home.root / "mlflow-serve.log").open("wb")
    with ended(
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *options],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    ) as process:
        wait_for("http://127.0.0.1:5999/ping")
        yield "http://127.0.0.1:5999", process.pid


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """Ask a process and its children to end."""
    children: list[int] = []
    try:
        yield process
        children = tree(process.pid)[1:]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        for child in children:
            if Path(f"/proc/{child}").exists():
                os.kill(child, signal.SIGTERM)


def under_load(server: int, address: str, path: Path, clients: int) -> dict[str, Any]:
    """Ask for a while, after a second to warm up."""
    load(address, path, clients, 1).wait()
    others, began, spent = busy_seconds(), time.perf_counter(), cpu_seconds(server)
    process = load(address, path, clients, SECONDS)
    said, _ = process.communicate()
    return summary(said, cpu_seconds(server) - spent, busy_seconds() - others, time.perf_counter() - began)


def load(address: str, path: Path, clients: int, seconds: int) -> subprocess.Popen[str]:
    """`wrk` with a number of clients."""
    script = path.with_name("load.lua")
    script.write_text(SCRIPT)
    options = ["-t", "1", "-c", str(clients), "-d", f"{seconds}s", "--timeout", "30s", "--latency", "-s", str(script)]
    return subprocess.Popen(
        ["wrk", *options, address],
        env=os.environ | {"BODIES": str(path), "ADDRESS": "/" + address.rpartition("/")[2]},
        stdout=subprocess.PIPE,
        text=True,
    )


def summary(said: str, server_seconds: float, busy: float, seconds: float) -> dict[str, Any]:
    """What `wrk` counted, what it cost the server, and what others did meanwhile."""
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    found["requests_per_second"] = round(found["requests"] / found["seconds"])
    found["server_us_per_request"] = round(server_seconds / found["requests"] * 1e6)
    found["share_of_cores_busy"] = round(busy / seconds / (os.cpu_count() or 1), 2)
    found["share_of_cores_of_server"] = round(server_seconds / seconds / (os.cpu_count() or 1), 2)
    return found


def changes_under_load(home: Home, address: str, path: Path) -> dict[str, Any]:
    """Promote and roll back in turn while 32 clients ask; requests lost, and seconds until each change answered."""
    registry = Registry(home)
    process = load(f"{address}/predict", path, 32, 3_600)
    waits = []
    for number in range(CHANGES):
        if number % 2 == 0:
            made = rollback(home, registry, changed_by="benchmark", reason="under load")
        else:
            made = promote(home, registry, 2, changed_by="benchmark", reason="under load")
        publish(home)
        began = time.perf_counter()
        while answering(address) != made.model_version:
            time.sleep(0.02)
        waits.append(time.perf_counter() - began)
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    found = json.loads(said.strip().splitlines()[-1])
    return {"changes": CHANGES, **found, "slowest_change_seconds": round(max(waits), 2)}


def answering(address: str) -> int:
    """The version that answers."""
    with DIRECT.open(f"{address}/ready", timeout=30) as answer:
        return int(json.load(answer)["model_version"])


def wait_for(address: str) -> None:
    """Return once an address answers with success."""
    give_up_at = time.monotonic() + 300
    while True:
        try:
            with DIRECT.open(address, timeout=30):
                return
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)


def tree(process: int) -> list[int]:
    """A process and all that it started."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    found = [process]
    for each in found:
        found += [pid for pid, parent in parents.items() if parent == each]
    return found


def cpu_seconds(process: int) -> float:
    """Processor time that a process and all that it started have taken."""
    total = 0.0
    for each in tree(process):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def busy_seconds() -> float:
    """Processor time that the whole machine has taken."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def peak_mb(process: int) -> int:
    """Most memory that a process has held."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()
