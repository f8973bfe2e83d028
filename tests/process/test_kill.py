"""A run that is killed with -9 and started again ends in the tables of one that was not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sentiment.sample import write_sample
from tests.process.conftest import SECONDS, Command

ROWS = 6_000
QUERIES = {
    "tweets": "select * exclude (ingested_at, change_number) from tweets order by tweet_id",
    "rejected_rows": "select * from rejected_rows order by file_id, line_number",
    "predictions": "select * exclude (scored_at, run_id) from predictions order by tweet_id, model_version",
    # What the check of speed measured is a time.
    "decisions": "select decision_key, model_version, check_name, passed, champion_value, lower, upper, "
    "if(check_name = 'speed', null, challenger_value), if(check_name = 'speed', '', reason) from decisions order by all",
    "alias_history": "select * exclude (changed_at) from alias_history order by all",
    "scored_tweets": "select tweet_id, label, probability_positive, model_version from scored_tweets order by tweet_id",
}


def tables(command: Command) -> dict[str, list[tuple[Any, ...]]]:
    return {name: command.rows(query) for name, query in QUERIES.items()}


@pytest.mark.timeout(600)
def test_a_killed_run_started_again_ends_in_the_same_tables(
    new_command: Callable[[str], Command], tmp_path: Path
) -> None:
    write_sample(tmp_path / "tweets.csv", ROWS)
    undisturbed = new_command("undisturbed")
    meanwhile = undisturbed.start("run", str(tmp_path / "tweets.csv"))

    killed = new_command("killed")
    for step in ("train on", "score"):
        process = killed.start("run", str(tmp_path / "tweets.csv"), start_new_session=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(step):
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed("run", str(tmp_path / "tweets.csv"))

    _, said = meanwhile.communicate(timeout=SECONDS)
    assert meanwhile.returncode == 0, said
    expected = tables(undisturbed)
    assert len(expected["tweets"]) > ROWS * 0.99
    assert tables(killed) == expected
