"""Every command block of README and tutorial is run, line by line, on generated tweets; NOT_RUN lists the exceptions."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from sentiment.errors import SentimentError
from sentiment.sample import Span, write_sample
from sentiment.settings import Home
from sentiment.warehouse.query import query

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DOCUMENTS = ("docs/tutorial.md", "README.md")

NOT_RUN = {
    "make ": "sets up or tests the project itself",
    "source ": "is for the shell of a person",
    "sentiment up": "runs until it is stopped; tests/process/test_schedule.py runs it",
    "sentiment serve": "runs until it is stopped; tests/api/ runs it",
    "sentiment download": "needs Kaggle; tests/test_download.py runs it",
    "sentiment publish": "needs a database; tests/publish/ runs it",
    "sentiment backup": "needs the folder that it names; its own tests run it",
    "sentiment restore": "needs the file that it names; its own tests run it",
    "sentiment forget": "needs the user that it names; its own tests run it",
    "sentiment correct": "needs the tweet that it names; its own tests run it",
    "sentiment ingest --source-url": "needs a database; tests/publish/ runs it",
    "curl ": "needs `sentiment serve`",
    "duckdb ": "is a program of its own",
    "mlflow ": "runs until it is stopped",
    "python -m flows.server.deploy": "changes a Prefect server; tests/process/test_schedule.py deploys",
}
MAY_REFUSE = ("sentiment retrain", "sentiment rollback", "sentiment promote")
"""On so few tweets the gate may refuse, and then there is no former champion: a sentence."""
TRAINING = "training.1600000.processed.noemoticon.csv"


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(document: str) -> list[str]:
    """The lines of its command blocks, without comments."""
    text = "\n".join(blocks(document, "sh")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.usefixtures("loaded_here")
def test_every_command_runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one home, the tutorial first; a line that both documents show is run once."""
    monkeypatch.setenv("SENTIMENT_GATE__FLOOR_ACCURACY", "0.5")
    monkeypatch.setenv("SENTIMENT_GATE__FLOOR_CALIBRATION_ERROR", "1")
    monkeypatch.setenv("SENTIMENT_HOME", str(tmp_path / "var"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)  # The doctor would look for deployments on the tests' server.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sql").symlink_to(ROOT / "sql")
    for name, rows in (("tweets.csv", 1_000), ("monday.csv", 300), (TRAINING, 3_000)):
        write_sample(Path(name), rows, seed=len(name), span=Span(first_id=len(name) * 10**9))
    lines = dict.fromkeys(line for document in DOCUMENTS for line in commands(document))
    run = 0
    for line in lines:
        if line.startswith(tuple(NOT_RUN)):
            continue
        if line.startswith("printf "):
            subprocess.run(line, shell=True, check=True)
            continue
        arguments = shlex.split(line, comments=True)
        assert arguments[0] == "sentiment", f"{line!r} is neither a command of ours nor in NOT_RUN"
        if arguments[1] == "sample":
            place = arguments.index("--rows") + 1
            arguments[place] = str(min(int(arguments[place]), 3_000))
        result = CliRunner().invoke(app, arguments[1:])
        refused = isinstance(result.exception, SentimentError)
        assert result.exit_code == 0 or (line.startswith(MAY_REFUSE) and refused), f"{line}: {result.exception!r}"
        run += 1
    assert run >= 20
    assert query(Home(tmp_path / "var"), "select count(*) from scored_tweets").item() > 1_000
    for document in DOCUMENTS:
        for block in blocks(document, "python"):
            # MLflow's own tracking address is process-wide: tests/registry/test_client.py loads a model as the README does.
            if "mlflow" not in block:
                exec(compile(block, document, "exec"), {})


def test_nothing_is_excluded_that_is_not_there() -> None:
    shown = [line for document in DOCUMENTS for line in commands(document)]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in shown)] == []


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, version("sentiment"))
