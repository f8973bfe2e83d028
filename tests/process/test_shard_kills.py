"""Shards are predicted on a cluster while its parts are killed; `python -m simulations.shard_kills` does so for longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment.registry.client import Registry
from sentiment.settings import Home
from simulations import shard_kills


def test_killed_workers_and_loaders_change_no_prediction(
    world: Home, registry: Registry, register: Callable, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    register(20)
    registry.set_champion(1)
    kinds = ("worker", "loader")
    result = shard_kills.simulate(world, tmp_path, kinds, rounds=1, chunk_rows=50)
    assert result["kills"] == dict.fromkeys(kinds, 1)
    assert (result["shards"], result["rounds_equal"], result["predicted_twice"]) == (48, 1, 0)
    assert result["left_over"] > 0
    assert result["failed_checks"] == result["left_over_after_housekeeping"] == []
