"""A disk that runs full at some points of an operation; `python -m simulations.full_disk` tries every operation."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations import full_disk
from simulations.operations import templates


@pytest.mark.timeout(900)
@pytest.mark.skipif(not full_disk.can_mount(), reason="file systems in memory cannot be mounted here")
def test_a_full_disk_loses_nothing_and_is_said_in_a_sentence(tmp_path: Path) -> None:
    with templates() as template_of:
        for name in ("ingest", "score"):
            folder = tmp_path / name
            folder.mkdir()
            found = list(full_disk.trials(name, template_of(name), folder, 4))
            assert [outcome for outcome in found if outcome["wrong"]] == []
            assert found[0]["ended"] == "sentence"
