"""The API follows the champion: at start, through promotions and rollbacks under load, and past what cannot be loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sentiment.api import champion_watcher
from sentiment.api.app import create_app
from sentiment.api.champion_watcher import ChampionFollower
from sentiment.registry.client import Registry
from sentiment.registry.names import CHAMPION
from sentiment.settings import Home
from tests.api.conftest import listening, wait_until


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(champion_watcher, "SECONDS_BETWEEN_LOOKS", 0.05)


@pytest.fixture
def api(world: Home) -> Iterator[httpx.Client]:
    """The API of `world`."""
    with listening(create_app(world)) as client:
        yield client


def test_a_first_champion_is_taken_up(registry: Registry, register: Callable, api: httpx.Client) -> None:
    wait_until(lambda: "There is no champion yet" in api.get("/ready").text)
    version = register(20).model_version
    time.sleep(0.2)
    assert api.get("/ready").status_code == 503
    registry.set_champion(version)
    wait_until(lambda: api.get("/ready").status_code == 200)
    assert api.post("/predict", json={"text": "glad1"}).json()["model_version"] == version


def test_no_request_is_lost_and_no_answer_is_mixed_while_the_champion_changes(
    registry: Registry, register: Callable, api: httpx.Client
) -> None:
    """Version 1 takes sad2 for positive, version 2 knows better; so the answers tell who gave them."""
    versions = [register(1).model_version, register(20).model_version]
    registry.set_champion(versions[0])
    wait_until(lambda: api.get("/ready").status_code == 200)
    stop = threading.Event()
    failures: list[object] = []
    seen: set[int] = set()

    def ask(count: int) -> None:
        with httpx.Client(base_url=api.base_url, trust_env=False, timeout=30) as client:
            while not stop.is_set():
                answer = client.post("/predict", json={"texts": ["sad2 now"] * count})
                found = answer.json()
                expected = "positive" if found.get("model_version") == versions[0] else "negative"
                if answer.status_code != 200 or {row["label"] for row in found["predictions"]} != {expected}:
                    failures.append((answer.status_code, answer.text[:200]))
                seen.add(found.get("model_version"))

    threads = [threading.Thread(target=ask, args=(count,)) for count in (1, 1, 30, 150)]
    for thread in threads:
        thread.start()
    for number in range(8):
        version = versions[(number + 1) % 2]
        registry.set_champion(version)
        wait_until(lambda version=version: api.get("/ready").json()["model_version"] == version)  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == set(versions)


def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_answering(
    world: Home, registry: Registry, register: Callable, api: httpx.Client
) -> None:
    first = register(20).model_version
    registry.set_champion(first)
    wait_until(lambda: api.get("/ready").status_code == 200)
    before = set(world.mlflow.rglob("weights.safetensors"))
    second = register(5).model_version
    (weights,) = set(world.mlflow.rglob("weights.safetensors")) - before
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    registry.set_champion(second)
    wait_until(lambda: api.get("/model").json()["problem"])
    found = api.get("/model").json()
    assert (found["model_version"], found["champion_version"]) == (first, second)
    assert f"The files of version {second} of" in found["problem"]
    assert "are damaged" in found["problem"]
    assert api.get("/ready").status_code == 200
    assert api.post("/predict", json={"text": "sad19"}).json()["model_version"] == first
    weights.write_bytes(whole)
    registry.tag_version(second, {"repaired": "yes"})
    wait_until(lambda: api.get("/model").json()["model_version"] == second)
    assert api.get("/model").json()["problem"] is None


def test_a_champion_that_goes_takes_its_model_along(registry: Registry, register: Callable, api: httpx.Client) -> None:
    registry.set_champion(register(20).model_version)
    wait_until(lambda: api.get("/ready").status_code == 200)
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)
    wait_until(lambda: api.get("/ready").status_code == 503)


def test_a_store_put_in_the_place_of_the_old_one_is_seen(
    world: Home, registry: Registry, register: Callable, tmp_path: Path
) -> None:
    """As a restored backup is: the same names, another champion."""
    store, backup = world.mlflow / "mlflow.db", world.mlflow / "backup.db"
    first = register(20).model_version
    registry.set_champion(first)
    backup.write_bytes(store.read_bytes())
    second = register(5).model_version
    registry.set_champion(second)
    follower = ChampionFollower(world)
    follower.look()
    assert follower.now.served is not None
    assert follower.now.served.version.model_version == second
    backup.replace(store)
    follower.look()
    assert follower.now.served.version.model_version == first


def test_looking_costs_no_question_while_nothing_has_changed(
    world: Home, registry: Registry, register: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.set_champion(register(20).model_version)
    follower = ChampionFollower(world)
    follower.look()
    asked: list[None] = []
    monkeypatch.setattr(follower, "_champion", lambda: asked.append(None))
    for _ in range(5):
        follower.look()
    assert asked == []
    registry.set_champion(register(5).model_version)
    follower.look()
    assert asked == [None]


def test_following_writes_nothing(world: Home, new_home: Callable[[], Home]) -> None:
    empty = new_home()
    ChampionFollower(empty).look()
    assert list(empty.mlflow.iterdir()) == []
    before = (world.mlflow / "mlflow.db").read_bytes()
    follower = ChampionFollower(world)
    follower.look()
    assert follower.now.problem == champion_watcher.NO_CHAMPION
    assert (world.mlflow / "mlflow.db").read_bytes() == before


def test_a_home_that_was_moved_is_served_from_where_it_is(
    world: Home, registry: Registry, register: Callable, tmp_path: Path
) -> None:
    version = register(20).model_version
    registry.set_champion(version)
    moved = Home(world.root.rename(tmp_path / "moved"))
    follower = ChampionFollower(moved)
    follower.look()
    assert follower.now.problem is None
    assert follower.now.served is not None
    assert follower.now.served.version.model_version == version
