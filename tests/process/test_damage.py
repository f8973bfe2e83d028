"""One damage of each kind of file; `python -m simulations.damage` tries thousands."""

from __future__ import annotations

import pytest

from simulations import damage


# Some minutes with other tests on two cores.
@pytest.mark.timeout(900)
def test_damage_is_named_or_changes_nothing() -> None:
    found = damage.trials(len(damage.KINDS), seed=3)
    assert [trial.kind for trial in found] == list(damage.KINDS)
    assert [trial for trial in found if trial.verdict in damage.BAD] == []
    assert "sentence" in {trial.verdict for trial in found}
