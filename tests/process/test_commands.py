"""The commands as a user types them, each in a process of its own: what they print, leave behind and refuse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sentiment.sample import Span, write_gold_sample, write_sample
from tests.process.conftest import Command

ROWS = 15_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated tweets: a history, hand-labelled ones, and a later day."""
    folder = tmp_path_factory.mktemp("files")
    write_sample(folder / "history.csv", ROWS)
    write_gold_sample(folder / "gold.csv", 200, seed=1)
    write_sample(folder / "day.csv", 1_000, seed=2, span=Span(days=1, first_id=3_000_000_000), labelled=False)
    return folder


@pytest.fixture(scope="module")
def loop(command: Command, files: Path) -> dict[str, Any]:
    """What `run` answers, on an empty home."""
    command("ingest", "--gold", "manual", str(files / "gold.csv"))
    return command("run", str(files / "history.csv"))


def test_the_whole_loop_scores_every_tweet(loop: dict[str, Any], command: Command) -> None:
    (file,) = loop["ingest"]["files"]
    assert file["count_lines"] == ROWS == file["count_loaded"] + file["count_duplicate"] + file["count_rejected"]
    assert loop["retrain"]["passed"], loop["retrain"]
    tweets, scored, versions = command.rows(
        "select (select count(*) from tweets), count(*), count(distinct model_version) from scored_tweets"
    )[0]
    assert tweets == scored == file["count_loaded"]
    assert versions == 1


@pytest.mark.usefixtures("loop")
class TestAfterTheLoop:
    def test_scoring_again_writes_nothing(self, command: Command) -> None:
        before = command.rows("select count(*), max(scored_at) from predictions")
        assert command("score")["count_scored"] == 0
        assert command.rows("select count(*), max(scored_at) from predictions") == before

    def test_new_tweets_alone_are_scored(self, command: Command, files: Path) -> None:
        loaded = command("ingest", str(files / "day.csv"), "--label-by-emoticon")["files"][0]["count_loaded"]
        assert loaded > 900
        assert command("score")["count_scored"] == loaded

    def test_a_worse_model_is_refused_and_the_same_training_again_takes_its_version(self, command: Command) -> None:
        shown = "select count(*), sum(probability_positive), min(model_version), max(model_version) from scored_tweets"
        before = command.rows(shown), command("history")
        answer, again = command("retrain", "--rows", "1000"), command("retrain", "--rows", "1000")
        assert not answer["passed"]
        assert again["trained"]["was_reused"]
        assert again["model_version"] == answer["model_version"]
        assert (command.rows(shown), command("history")) == before
        version = str(answer["model_version"])
        refused = {row["check_name"] for row in command("decisions", "--model-version", version) if not row["passed"]}
        assert "better" in refused

    def test_status_names_the_champion_and_its_coverage(self, command: Command) -> None:
        found = command("status")
        assert found["champion"]["coverage"] == 1.0
        assert found["tables"]["scored_tweets"] == found["tables"]["tweets"]

    def test_readers_are_never_disturbed_by_writers(self, command: Command, files: Path) -> None:
        write_sample(files / "another.csv", 2_000, seed=5, span=Span(days=1, first_id=4_000_000_000), labelled=False)
        failures: list[Exception] = []
        reads = 0
        stop = threading.Event()

        def read() -> None:
            nonlocal reads
            while not stop.is_set():
                try:
                    with duckdb.connect(
                        str((command.home / "published/sentiment.duckdb").resolve()), read_only=True
                    ) as snapshot:
                        (versions,) = snapshot.sql(
                            "select count(distinct model_version) from scored_tweets"
                        ).fetchone() or (0,)
                    assert versions == 1
                    reads += 1
                except Exception as error:
                    failures.append(error)
                time.sleep(0.02)

        reader = threading.Thread(target=read)
        reader.start()
        writers = [command.start("ingest", str(files / "another.csv")), command.start("score"), command.start("score")]
        said = [process.communicate(timeout=180)[1] for process in writers]
        stop.set()
        reader.join()
        assert [process.returncode for process in writers] == [0, 0, 0], said
        assert not failures
        assert reads > 10


class TestWrongUse:
    """A sentence, no stack trace, exit status 1 or 2."""

    @pytest.mark.parametrize(
        ("arguments", "status", "words"),
        [
            (["ingest", "missing.csv"], 2, "There is no file missing.csv"),
            (["ingest", "."], 2, "is a folder, expected a file"),
            (["sql", "select * from nowhere"], 1, "Nothing has been published"),
            (["sql"], 2, "Expected either a query or --file"),
            (["retrain", "--rows", "many"], 2, "--rows"),
            (["nonsense"], 2, "No such command"),
        ],
    )
    def test_arguments(
        self, new_command: Callable[[str], Command], arguments: list[str], status: int, words: str
    ) -> None:
        found, said = new_command("home").fails(*arguments)
        assert (found, words in said, "Traceback" in said) == (status, True, False), said

    def test_files_of_another_format_are_refused_and_good_ones_beside_them_loaded(
        self, new_command: Callable[[str], Command], tmp_path: Path
    ) -> None:
        command = new_command("home")
        (tmp_path / "two.csv").write_text("a,b\n1,2\n")
        write_sample(tmp_path / "good.csv", 10, dirty=False)
        status, said = command.fails("ingest", str(tmp_path / "two.csv"), str(tmp_path / "good.csv"))
        assert (status, "No column looks like a text" in said, "Traceback" in said) == (2, True, False), said
        assert command.rows("select count(*) from tweets") == [(10,)]

    def test_a_home_that_cannot_be_used(self, new_command: Callable[[str], Command], tmp_path: Path) -> None:
        (tmp_path / "home").write_text("a file")
        write_sample(tmp_path / "good.csv", 10, dirty=False)
        status, said = new_command("home").fails("ingest", str(tmp_path / "good.csv"))
        assert (status, "expected a folder" in said, "Traceback" in said) == (1, True, False), said
