"""Each operation is killed at some of its failpoints and run again; `python -m simulations.failpoints` tries them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations import failpoints
from simulations.operations import templates

OPERATIONS = ("ingest", "retrain", "score", "forget")


# Some minutes with other tests on two cores.
@pytest.mark.timeout(900)
def test_an_operation_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with templates() as template_of:
        for name in OPERATIONS:
            folder = tmp_path / name
            folder.mkdir()
            whole = failpoints.undisturbed(name, template_of(name), folder)
            (killed,) = failpoints.kills(whole, folder, 1)
            assert killed["different"] == []
            assert killed["killed"]


@pytest.mark.timeout(900)
def test_the_files_of_every_moment_are_gone_on_from(tmp_path: Path) -> None:
    with templates() as template_of:
        whole = failpoints.undisturbed("ingest", template_of("ingest"), tmp_path)
        outcomes = list(failpoints.all_failpoints(whole, tmp_path))
    # A statement outside of a transaction is one, whether it changes the files or not; the files of a moment are tried once.
    assert "before create of steps/warehouse/create_schema_migrations" in whole.seen
    tried = [outcome["failpoint"] for outcome in outcomes]
    assert len(tried) >= 10
    assert {"after commit of duckdb", "before os.rename sentiment.duckdb"} <= set(tried)
    assert [outcome for outcome in outcomes if outcome["different"]] == []
