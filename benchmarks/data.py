"""The tweets that benchmarks run on: the real file if it is next to the checkout, else generated ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from sentiment.settings import Home

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "training.1600000.processed.noemoticon.csv.zst"
REAL_GOLD = REAL.with_name("testdata.manual.2009.06.14.csv")
OTHER_DOMAINS = REAL.parent / "other_domains"


@contextmanager
def training_csv(rows: int = 1_600_000) -> Iterator[Path]:
    """A CSV of tweets in a temporary folder, decompressed; says on standard error which one it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tweets.csv"
        if REAL.exists():
            print("on the real Sentiment140", file=sys.stderr)
            with REAL.open("rb") as source, path.open("wb") as target:
                zstandard.ZstdDecompressor().copy_stream(source, target)
        else:
            print(f"the real file is not there: on {rows:,} generated tweets", file=sys.stderr)
            from sentiment.sample import write_sample

            write_sample(path, rows)
        yield path


@contextmanager
def subset_csv(rows: int) -> Iterator[Path]:
    """Every n-th line of it, so that both classes and the whole time are in."""
    with training_csv() as whole:
        path = whole.with_name("subset.csv")
        lines = whole.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:: max(1, len(lines) // rows)][:rows]))
        yield path


@contextmanager
def scored_home() -> Iterator[Home]:
    """A home whose tweets are scored, to be changed at will: a copy of that in `SENTIMENT_HOME`, or a new one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        if os.environ.get("SENTIMENT_HOME"):
            shutil.copytree(os.environ["SENTIMENT_HOME"], home.root, symlinks=True)
        else:
            with training_csv() as path:
                run("run", str(path), home=home.root)
        yield home


def exported(rows: int = 1_600_000) -> Path:
    """What the project trains and evaluates on, ingested and exported once and kept in the folder of temporary files.

    Returns:
        a folder with `train.parquet`, `holdout.parquet` and `gold.parquet`.
    """
    from sentiment.ingest.load import ingest_file
    from sentiment.training.subsets import export
    from sentiment.warehouse.connection import writer

    name = "real" if REAL.exists() else f"generated-{rows}"
    home = Home(Path(tempfile.gettempdir()) / "sentiment-benchmarks" / name).create()
    done = home.root / "export.txt"
    if not done.exists():
        with training_csv(rows) as path:
            ingest_file(home, path)
        if REAL_GOLD.exists():
            ingest_file(home, REAL_GOLD, gold_set="manual")
        with writer(home) as warehouse:
            done.write_text(str(export(warehouse, home).folder))
    return Path(done.read_text())


def command() -> list[str]:
    """The command line installed next to this Python."""
    installed = Path(sys.executable).with_name("sentiment")
    return [str(installed if installed.exists() else shutil.which("sentiment"))]


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a home; raises with what it said when it fails."""
    done = subprocess.run(
        [*command(), *arguments],
        env=os.environ | {"SENTIMENT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"sentiment {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done
