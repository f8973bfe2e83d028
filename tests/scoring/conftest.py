"""A home with a champion and a challenger, ready to be scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sentiment.registry.client import Registry
from sentiment.scoring import score as scoring
from sentiment.scoring.score import ScoreReport, Selection
from sentiment.settings import Home


@pytest.fixture
def score(world: Home, registry: Registry, register: Callable) -> Callable[..., ScoreReport]:
    """Scores in shards of 1,000 rows; version 1 is champion, version 2 is there."""
    register(20)
    register(10)
    registry.set_champion(1)

    def score(home: Home = world, **options: Any) -> ScoreReport:
        names = ("model_version", "since", "until")
        selection = Selection(**{name: options.pop(name) for name in names if name in options})
        return scoring.score(home, registry, **{"run_id": "run", "chunk_rows": 1000, "selection": selection} | options)

    return score
