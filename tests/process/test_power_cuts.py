"""An operation goes on after a power cut; `python -m simulations.power_cuts` tries all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulations.disk import points
from simulations.operations import templates
from simulations.power_cuts import Recorded, sample
from simulations.system_calls import TRACER

pytestmark = pytest.mark.skipif(TRACER is None, reason="strace, which notes system calls, is not installed")
# Flushes everything but what is published.
FORGETFUL = """
import os, runpy
fsync = os.fsync
os.fsync = lambda file: "/published/" in os.readlink(f"/proc/self/fd/{file}") or fsync(file)
runpy.run_module("simulations.operations", run_name="__main__")
"""


@pytest.mark.timeout(900)
def test_loading_goes_on_after_power_cuts(tmp_path: Path) -> None:
    with templates() as template_of:
        operation = Recorded.of("ingest", template_of("ingest"), tmp_path)
        found = operation.cuts(4)
        outcomes = list(operation.trials(sample(found, 16)))
    assert len(found) > 80
    assert {outcome["failpoint"] for outcome in outcomes} >= {"fsync home/warehouse.duckdb.wal", "end"}
    assert [outcome for outcome in outcomes if outcome["different"]] == []


@pytest.mark.timeout(900)
def test_a_flush_that_is_missing_is_found(tmp_path: Path) -> None:
    with templates() as template_of:
        operation = Recorded.of("ingest", template_of("ingest"), tmp_path, (sys.executable, "-c", FORGETFUL))
        ended = [cut for cut in operation.cuts(4) if cut.point.said == "end"]
        outcomes = list(operation.trials(sample(ended, 8)))
    assert any("is damaged" in " ".join(outcome["different"]) for outcome in outcomes)


@pytest.mark.timeout(900)
def test_when_forgetting_ends_nothing_can_bring_texts_back(tmp_path: Path) -> None:
    with templates() as template_of:
        steps = Recorded.of("forget", template_of("forget"), tmp_path).recording.steps
        *_, end = points(steps)
    assert end.said == "end"
    # If it comes back, the next run forgets once more.
    assert [steps[number].said for number in end.waiting] in ([], ["unlink home/forgetting.json"])
