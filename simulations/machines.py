"""Workers on machines that fail, each in a network namespace of its own: `python -m simulations.machines [SCENARIO ...]`.

Scheduler, object storage and three workers have an address and a link each. Workers see the code, the scheduler and the storage; the
home is hidden from them. All connections to the scheduler are encrypted. In each scenario 48 shards are scored from nothing, and
something happens after a quarter of them. Predictions must equal those of one process of this machine.

It takes some ten minutes, most of it waiting, and needs Linux, root and `ip`; the extra `cluster`, and moto as object storage.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data import run, subset_csv
from sentiment.errors import SentimentError
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home, Settings
from simulations.network_machines import ROOM, ROOT, Machine, machines
from simulations.shard_kills import CHUNK_ROWS, PREDICTIONS, SHARDS, TWICE, empty, failed_checks, rows, score_alone

SECONDS_AWAY = 60.0
# One worker has room for nothing in its folder of temporary files.
NO_ROOM = "1m"


def certificates(folder: Path) -> dict[str, str]:
    """What Dask needs for encryption, as docs/scale.md makes it: variables of the environment."""
    new = ["openssl", "req", "-newkey", "rsa:3072", "-nodes"]
    for command in (
        [*new, "-x509", "-days", "2", "-subj", "/CN=sentiment-ca", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, "-subj", "/CN=scheduler", "-keyout", "node.key", "-out", "node.csr"],
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            "node.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-out",
            "node.pem",
        ],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    tls = {"CA_FILE": "ca.pem"}
    for side in ("SCHEDULER", "WORKER", "CLIENT"):
        tls |= {f"{side}__CERT": "node.pem", f"{side}__KEY": "node.key"}
    found = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(folder / file) for name, file in tls.items()}
    return {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true", **found}


@dataclass
class Cluster:
    """Scheduler, storage and workers.

    Attributes:
        other_code: a checkout whose model package differs.
    """

    home: Home
    machines: dict[str, Machine]
    other_code: Path

    def start(self, *names: str) -> None:
        """Start scheduler, storage or workers."""
        for name in names:
            machine = self.machines[name]
            if name == "storage":
                machine.start("moto.server", "-H", machine.address, "-p", "5000", hidden=self.home.root)
            elif name == "scheduler":
                options = ("--protocol", "tls", "--host", machine.address, "--port", "8786", "--no-dashboard")
                machine.start("distributed.cli.dask_scheduler", *options, hidden=self.home.root)
            else:
                self.start_worker(name)

    def start_worker(self, name: str, *, room: str = ROOM, code: Path = ROOT) -> None:
        """Start a worker with one thread."""
        options = (self.address, "--nthreads", "1", "--no-dashboard")
        self.machines[name].start(
            *(
                "distributed.cli.dask_worker",
                *options,
                "--local-directory",
                str(self.machines[name].temporary(self.home.root)),
            ),
            hidden=self.home.root,
            room=room,
            environment={"PYTHONPATH": str(code)},
        )

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return f"tls://{self.machines['scheduler'].address}:8786"

    @property
    def shards(self) -> str:
        """Of the storage."""
        return (
            f"s3://shards/prefix?endpoint_override={self.machines['storage'].address}:5000&scheme=http&region=us-east-1"
        )

    def wait_for_workers(self, count: int) -> None:
        """Return when so many are connected."""
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)


Event = Callable[[Cluster], None]


@dataclass(frozen=True)
class Scenario:
    """What is different from three good workers.

    Attributes:
        third: how the third worker is started.
        event: what happens after a quarter of the shards.
        slow: whether the third worker is.
    """

    third: Mapping[str, Any] = field(default_factory=dict)
    event: Event = lambda cluster: None
    is_slow: bool = False


def _lose_power(cluster: Cluster) -> None:
    # In this order: the other side gets no word of the end of its connections.
    cluster.machines["third"].cut()
    cluster.machines["third"].kill()


SCENARIOS = {
    "nothing happens": Scenario(),
    "a machine loses its power": Scenario(event=_lose_power),
    "a link is cut for a minute": Scenario(event=lambda cluster: cluster.machines["third"].away(SECONDS_AWAY)),
    "the storage is away for a minute": Scenario(event=lambda cluster: cluster.machines["storage"].away(SECONDS_AWAY)),
    "the scheduler is away for a minute": Scenario(
        event=lambda cluster: cluster.machines["scheduler"].away(SECONDS_AWAY)
    ),
    "a worker has a tenth of the speed": Scenario(is_slow=True),
    "a worker has a full disk": Scenario({"room": NO_ROOM}),
    "a worker has another version": Scenario({"code": None}),
}


class Sentences(logging.Handler):
    """Keeps what the library logs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.found.append(record.getMessage())


def outcome_of(cluster: Cluster, scenario: Scenario, expected: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Score from nothing while a scenario happens."""
    third = cluster.machines["third"]
    cluster.start("first", "second")
    options = dict(scenario.third)
    cluster.start_worker("third", **options | ({"code": cluster.other_code} if "code" in options else {}))
    cluster.wait_for_workers(3)
    empty(cluster.home)
    sentences, ended, has_happened = Sentences(), threading.Event(), threading.Event()
    logging.getLogger("sentiment").addHandler(sentences)
    slow = threading.Thread(target=third.slow_down, args=(ended,))

    def on_progress(done: int, total: int) -> None:
        if done >= total / 4 and not has_happened.is_set():
            has_happened.set()
            scenario.event(cluster)

    if scenario.is_slow:
        slow.start()
    began, error = time.perf_counter(), ""
    try:
        score(cluster.home, Registry(cluster.home), run_id="run", chunk_rows=CHUNK_ROWS, on_progress=on_progress)
    except SentimentError as failure:
        error = str(failure)
        next_run(cluster)
    seconds = time.perf_counter() - began
    ended.set()
    if scenario.is_slow:
        slow.join()
    logging.getLogger("sentiment").removeHandler(sentences)
    for name in ("first", "second", "third"):
        cluster.machines[name].kill()
        cluster.machines[name].join()
    return {
        "seconds": round(seconds, 1),
        "equal": rows(cluster.home, PREDICTIONS) == expected,
        "predicted_twice": rows(cluster.home, TWICE)[0][0],
        "failed_checks": failed_checks(cluster.home),
        "sentences": [sentence.replace(str(cluster.home.root.parent), "/tmp") for sentence in sentences.found],
        "error": error,
    }


def next_run(cluster: Cluster) -> None:
    """Start scheduler and workers again, and go on."""
    for name in ("scheduler", "first", "second", "third"):
        cluster.machines[name].kill()
        cluster.machines[name].join()
    cluster.start("scheduler", "first", "second", "third")
    cluster.wait_for_workers(3)
    score(cluster.home, Registry(cluster.home), run_id="next", chunk_rows=CHUNK_ROWS)


@contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """Scheduler and storage, and a home that uses them."""
    environment = certificates(folder) | {
        "DASK_CONFIG": str(ROOT / "deployments" / "dask.yaml"),
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "a secret",
    }
    os.environ.update(environment)
    other_code = folder / "other"
    shutil.copytree(ROOT / "sentiment", other_code / "sentiment")
    with (other_code / "sentiment" / "model" / "__init__.py").open("a") as file:
        file.write("\n# Of another version.\n")
    with machines("scheduler", "storage", "first", "second", "third") as found:
        cluster = Cluster(Home(folder / "home"), found, other_code)
        cluster.start("storage", "scheduler")
        from pyarrow import fs

        cluster.home = Home(folder / "home", Settings(scheduler=cluster.address, shards=cluster.shards))
        for _ in range(60):
            try:
                fs.FileSystem.from_uri(f"{cluster.shards}&allow_bucket_creation=true")[0].create_dir("shards")
                break
            except OSError:
                time.sleep(1)
        yield cluster


def missing() -> str:
    """What this machine lacks, or nothing."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        return "network namespaces need Linux, root, ip and unshare"
    for name in ("distributed", "moto"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    return ""


def main() -> None:
    """Go through scenarios; results of others stay."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; all unless given")
    names = parser.parse_args().scenarios or list(SCENARIOS)
    if unknown := sorted(set(names) - SCENARIOS.keys()):
        parser.error(f"there is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if lacking := missing():
        print(f"Skipped: {lacking}.")
        return
    target = Path(__file__).with_name("results") / "machines.json"
    result = json.loads(target.read_text()) if target.exists() else {}
    with subset_csv(SHARDS * CHUNK_ROWS) as path, tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        run("run", str(path), "--rows", "20000", "--json", home=home.root)
        expected = score_alone(home, CHUNK_ROWS)
        with started(Path(folder)) as cluster:
            for name in names:
                result[name] = outcome_of(cluster, SCENARIOS[name], expected)
                print(json.dumps({name: result[name]}), file=sys.stderr, flush=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
