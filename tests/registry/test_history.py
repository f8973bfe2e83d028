"""What the warehouse remembers of models: written once, and following the registry's alias."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sentiment import clock
from sentiment.evaluation.metrics import evaluate
from sentiment.evaluation.shares import ClassScores
from sentiment.gate.checks import Check, Verdict
from sentiment.gate.history import find_decision, last_decision, record_decision
from sentiment.registry import history
from sentiment.settings import Home
from sentiment.warehouse.connection import writer

PASSED = Verdict((Check("no_leak", True, "None."), Check("floor", True, "Above.", challenger_value=0.8, threshold=0.7)))
REFUSED = Verdict((Check("no_leak", True, "None."), Check("better", False, "Worse.", lower=-0.1, upper=-0.01)))
ALIASES = "select model_version, from_version, changed_by from alias_history order by changed_at"


def version_row(model_version: int) -> dict[str, Any]:
    return {
        "model_version": model_version,
        "run_id": "run",
        "training_key": "key",
        "count_train_rows": 1000,
        "count_fed_rows": 1000,
        "subset_rule": "first 1,000 rows",
        "data_digest": "d",
        "subset_digest": "s",
        "holdout_digest": "h",
        "gold_digest": "g",
        "seed": 0,
        "config": history.config_json({"effort": 2}),
        "train_seconds": 1.5,
        "train_peak_mb": 300.0,
    }


SCORES = ClassScores(10, 12, 0.2, 0.8, 0.04, 0.05)


def decide(home: Home, verdict: Verdict, key: str, version: int, champion: int | None) -> None:
    with writer(home) as warehouse:
        record_decision(warehouse, verdict, decision_key=key, model_version=version, champion_version=champion)


def test_a_version_and_its_curve_are_written_once(home: Home, rows_of: Callable) -> None:
    found = evaluate(np.array([1, 0], dtype=np.int8), np.array([0.9, 0.8], dtype=np.float32))
    for _ in range(2):
        with writer(home) as warehouse:
            history.record_version(warehouse, version_row(3), {"holdout": found, "gold:manual": found}, SCORES)
    assert rows_of(home, "select model_version, config->>'effort' from model_versions") == [(3, "2")]
    assert rows_of(home, "select evaluation_set, count_train_rows, accuracy from learning_curve order by 1") == [
        ("gold:manual", 1000, 0.5),
        ("holdout", 1000, 0.5),
    ]
    assert rows_of(home, "select model_version, mean_negative, mean_positive from class_scores") == [(3, 0.2, 0.8)]


def test_a_decision_is_written_once_and_found_again(home: Home, rows_of: Callable) -> None:
    decide(home, PASSED, "first", 1, None)
    decide(home, REFUSED, "first", 1, None)
    decide(home, REFUSED, "second", 2, 1)
    with writer(home) as warehouse:
        assert Verdict(tuple(Check(**row) for row in find_decision(warehouse, "first"))) == PASSED
        assert find_decision(warehouse, "third") == []
        assert [row["check_name"] for row in last_decision(warehouse, 2)] == ["no_leak", "better"]
    assert rows_of(
        home, "select decision_key, count(*), max(champion_version) from decisions group by 1 order by 1"
    ) == [
        ("first", 2, None),
        ("second", 2, 1),
    ]


def test_looks_are_comparisons_of_the_last_year_other_than_this_one(home: Home, rows_of: Callable) -> None:
    decide(home, PASSED, "first model", 1, None)
    for number in range(3):
        decide(home, REFUSED, f"look {number}", number + 2, 1)
    rows_of(home, "update decisions set decided_at = now() - interval 366 days where decision_key = 'look 0'")
    with writer(home) as warehouse:
        assert history.count_looks(warehouse, "another") == 2
        assert history.count_looks(warehouse, "look 2") == 1


def promotion(version: int) -> history.Change:
    return history.Change(version, history.PROMOTION, history.GATE, "It passed.")


def test_the_champion_is_written_when_it_changes(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        written = [history.record_champion(warehouse, promotion(version)) for version in (1, 1, 2, 2, 1)]
        assert history.recorded_champion(warehouse) == 1
    assert written == [True, False, True, False, True]
    assert rows_of(home, ALIASES) == [(1, None, "gate"), (2, 1, "gate"), (1, 2, "gate")]


def test_the_last_change_counts_also_when_the_clock_was_set_back(home: Home, rows_of: Callable) -> None:
    for day, version in ((3, 1), (1, 2), (2, 3)):
        with clock.play(datetime(2026, 5, day, tzinfo=UTC)), writer(home) as warehouse:
            assert history.record_champion(warehouse, promotion(version))
            assert history.recorded_champion(warehouse) == version
    assert not reconcile(home, 3)
    assert rows_of(home, ALIASES) == [(1, None, "gate"), (2, 1, "gate"), (3, 2, "gate")]


def reconcile(home: Home, champion: int | None) -> bool:
    with writer(home) as warehouse:
        return history.reconcile_champion(warehouse, champion)


def test_an_alias_moved_by_a_run_that_was_killed_is_put_down_to_that_run(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        history.intend(warehouse, promotion(1))
    assert reconcile(home, 1)
    assert not reconcile(home, 1)
    assert rows_of(home, ALIASES) == [(1, None, "gate")]
    assert rows_of(home, "from intended_change") == []


def test_an_alias_moved_to_another_version_than_was_meant_was_moved_outside(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        history.intend(warehouse, promotion(1))
    assert reconcile(home, 2)
    assert rows_of(home, ALIASES) == [(2, None, history.MLFLOW)]


def test_an_alias_moved_back_to_a_former_champion_was_moved_outside(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        for version in (1, 2):
            history.record_champion(warehouse, promotion(version))
    assert reconcile(home, 1)
    assert rows_of(home, ALIASES) == [(1, None, "gate"), (2, 1, "gate"), (1, 2, history.MLFLOW)]


def test_a_home_without_a_champion_has_nothing_to_reconcile(home: Home) -> None:
    assert not reconcile(home, None)


def test_equal_configurations_give_equal_text() -> None:
    assert history.config_json({"b": 1, "a": {"d": 2, "c": 3}}) == '{"a":{"c":3,"d":2},"b":1}'
