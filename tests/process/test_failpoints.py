"""Each operation is killed at some of its failpoints and run again; `python -m simulations.failpoints` tries them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations import failpoints

OPERATIONS = ("ingest", "retrain", "score", "forget")


# Some minutes with other tests on two cores.
@pytest.mark.timeout(900)
def test_an_operation_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    kills = 1
    outcomes = []
    with failpoints.templates() as template_of:
        for name in OPERATIONS:
            outcomes += failpoints.trials(name, template_of(name), tmp_path / name, kills)
    assert len(outcomes) == (1 + kills) * len(OPERATIONS)
    assert [outcome for outcome in outcomes if outcome["different"] or not outcome["killed"]] == []
