"""What the page of a decision shows, that the artifact says the same, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import polars as pl
import pytest
from fastapi import FastAPI

from sentiment.errors import ModelError
from sentiment.gate.checks import Check, Verdict
from sentiment.gate.comparison import compare
from sentiment.gate.decision import Decision, Outcome
from sentiment.gate.history import record_decision
from sentiment.gate.report import decision_markdown
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.snapshot import publish
from tests.api.conftest import listening
from tests.desk.conftest import HOSTILE, KEY, score

CHECKS = (
    Check("no_leak", True, "None.", challenger_value=0.0),
    Check("floor", True, "Above.", challenger_value=0.81, lower=0.8, upper=0.82, threshold=0.7),
    Check("better", False, HOSTILE, 0.832, 0.8097, -0.0244, -0.0202, 0.0),
    Check("slices", False, "Worse.", challenger_value=-0.0223, lower=-0.0249, upper=-0.0198, threshold=0.0),
    Check("behaviour", True, "Fewer.", 0.834, 0.816, -0.041, 0.011, 0.7),
    Check("speed", True, "Fast.", challenger_value=15.5, threshold=600),
)


def test_every_column_has_one_unit() -> None:
    rows = compare(CHECKS)
    assert [(row.champion, row.challenger, row.difference, row.interval) for row in rows] == [
        ("", "0", "", ""),
        ("", "81.00 %", "", ""),
        ("83.20 %", "80.97 %", "−2.23", "−2.44 to −2.02"),
        ("", "", "−2.23", "−2.49 to −1.98"),
        ("83.40 %", "81.60 %", "−1.80", "−4.10 to +1.10"),
        ("", "16", "", ""),
    ]


@pytest.fixture
def decided(world: Home) -> Home:
    """A home where version 2 faced champion 1 and was refused; both scored everything."""
    with writer(world) as warehouse:
        for version in (1, 2):
            warehouse.connection.execute(
                "insert into model_versions "
                "select ?, 'run', 'key', 1000, 990, 'rule', 'd', 's', 'h', 'g', 0, '{}', 1, 1, now()",
                [version],
            )
        record_decision(warehouse, Verdict(CHECKS), decision_key="key", model_version=2, champion_version=1)
        losses = {
            "decision_key": ["key"] * 2,
            "loss_number": [1, 2],
            "check_name": ["behaviour", "slices"],
            "found_in": ["negation", "short"],
            "expected": ["is negative", "negative"],
            "tweet_id": [None, 4],
            "text_key": pl.Series([None, None], dtype=pl.Int64),
            "text": [HOSTILE, "left to the tweet itself"],
            "champion_probability": [0.1, 0.2],
            "challenger_probability": [0.9, 0.8],
        }
        warehouse.load("steps/gate/insert_decision_losses", pl.DataFrame(losses))
    score(world, 2, "tweet_id % 4 < 3")
    score(world, 1, "tweet_id % 2 = 1")
    return world


def test_page_and_artifact_say_the_same(decided: Home, make_desk: Callable[..., FastAPI]) -> None:
    with listening(make_desk(decided)) as client:
        page = client.get("/models/2-vs-1").text
    artifact = decision_markdown(Decision(2, 1, Verdict(CHECKS), Outcome.REFUSED))
    for row in compare(CHECKS):
        for cell in (row.measure, row.champion, row.challenger, row.difference, row.interval):
            assert cell in page
            assert cell in artifact
    assert HOSTILE not in page
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in page


def test_the_page_shows_losses_flips_and_what_to_do(decided: Home, make_desk: Callable[..., FastAPI]) -> None:
    with listening(make_desk(decided)) as client:
        page = client.get("/models/2-vs-1").text
    assert "<b>1,800</b> of 2,400 tweets (75.0\N{NO-BREAK SPACE}%) would change their label" in page
    assert "it is 0 times version 2, and 1,800 times version 1" in page
    assert '<a href="/tweets/4">' in page
    assert "sentiment promote 2 --reason WHY" in page
    assert "<form" not in page
    assert 'name="reason"' not in page


def test_versions_that_never_met_are_compared_on_what_is_published(
    decided: Home, make_desk: Callable[..., FastAPI]
) -> None:
    with listening(make_desk(decided)) as client:
        assert "The gate has not compared these two" in client.get("/models/1-vs-2").text
        assert client.get("/models/3-vs-1").status_code == 404
        assert client.get("/models/x-vs-1").status_code == 422


class TestPromote:
    @pytest.fixture
    def two(self, world: Home, register: Callable[..., RegisteredVersion], registry: Registry) -> Home:
        """Two registered versions, the first of them champion."""
        register(5)
        register(6)
        registry.set_champion(1)
        publish(world)
        return world

    def token(self, client: httpx.Client) -> dict[str, str]:
        client.post("/review")
        found = re.search(r'name="token" value="(\w+)"', client.get("/review").text)
        assert found
        return {"token": found.group(1)}

    def test_with_key_and_reason_the_alias_moves(
        self, two: Home, make_desk: Callable[..., FastAPI], registry: Registry, rows_of: Callable[..., list[Any]]
    ) -> None:
        with listening(make_desk(two, api_key=KEY)) as client:
            client.auth = httpx.BasicAuth("ann", KEY)
            form = self.token(client)
            assert client.post("/models/2/promote", data={**form, "reason": " "}).status_code == 422
            assert client.post("/models/9/promote", data={**form, "reason": "why"}).status_code == 404
            assert client.post("/models/2/promote", data={"reason": "why"}).status_code == 403
            page = client.post("/models/2/promote", data={**form, "reason": HOSTILE})
            assert page.status_code == 200, page.text
            assert "Version 2 is champion" in page.text
            assert client.post("/models/2/promote", data={**form, "reason": "again"}).status_code == 422
        champion = registry.champion()
        assert champion is not None
        assert champion.model_version == 2
        changes = rows_of(two, "select model_version, changed_by, reason from alias_history order by changed_at desc")
        assert changes[0] == (2, "ann", HOSTILE)

    def test_a_missing_version_moves_nothing(self, two: Home, registry: Registry) -> None:
        from sentiment.desk.decision import make_champion

        with pytest.raises(ModelError):
            make_champion(two, 9, "ann", "why")
        champion = registry.champion()
        assert champion is not None
        assert champion.model_version == 1
