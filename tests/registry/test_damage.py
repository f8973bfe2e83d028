"""Damage to a registered model: found before it answers."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment.errors import HomeError, ModelError
from sentiment.maintenance.backup import backup
from sentiment.model.classifier import SentimentModel
from sentiment.registry.client import Registry
from sentiment.registry.names import FED_ROWS, MODEL_DIGEST, REFERENCE_PREDICTIONS
from sentiment.settings import Home
from sentiment.warehouse.snapshot import publish

FLIPS_PER_FILE = 60


@pytest.fixture
def registered(registry: Registry, lexicon_model: Callable[[int], SentimentModel]) -> Path:
    """The folder of the files of version 1."""
    with registry.training_run("key", "to be damaged") as run_id:
        registry.register(run_id, "key", lexicon_model(20), {}, {})
    return registry.files(1) / "artifacts" / "model"


def test_one_flipped_bit_anywhere_in_a_model_is_found(registry: Registry, registered: Path) -> None:
    registry.load(1)
    chance = random.Random(17)
    files = [path for path in registered.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".safetensors", ".json"}
    for path in files:
        whole = path.read_bytes()
        for _ in range(FLIPS_PER_FILE):
            position = chance.randrange(len(whole) * 8)
            damaged = bytearray(whole)
            damaged[position // 8] ^= 1 << position % 8
            path.write_bytes(damaged)
            with pytest.raises(ModelError, match=r"version 1 of .* are damaged.*backup"):
                registry.load(1)
        path.write_bytes(whole)
    registry.load(1)


@pytest.mark.parametrize("damage", ["zeroed page", "cut off", "another file", "missing"])
def test_a_larger_damage_is_found_as_well(registry: Registry, registered: Path, damage: str) -> None:
    weights = next(registered.rglob("*.safetensors"))
    whole = weights.read_bytes()
    page = next(at for at in range(0, len(whole), 4096) if any(whole[at : at + 4096]) and at)
    if damage == "zeroed page":
        weights.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])
    elif damage == "cut off":
        weights.write_bytes(whole[:-1])
    elif damage == "another file":
        (registered / "more.txt").write_text("")
    else:
        weights.unlink()
    with pytest.raises(ModelError, match="version 1"):
        registry.load(1)


def test_a_version_from_before_digests_is_loaded(registry: Registry, registered: Path) -> None:
    registry.client.delete_model_version_tag(registry.name, "1", MODEL_DIGEST)
    assert registry.load(1).predict_probability(["glad1 today"])[0] > 0.5


@pytest.mark.parametrize("name", [FED_ROWS, REFERENCE_PREDICTIONS])
def test_one_flipped_bit_in_a_list_of_rows_makes_it_a_missing_one(
    world: Home, registry: Registry, register: Callable, name: str
) -> None:
    version = register(5)
    read = registry.fed_rows if name == FED_ROWS else registry.reference_predictions
    assert read(version) is not None
    (path,) = world.mlflow.rglob(name)
    whole = path.read_bytes()
    chance = random.Random(23)
    for _ in range(FLIPS_PER_FILE):
        damaged = bytearray(whole)
        position = chance.randrange(len(whole) * 8)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert read(version) is None
    path.write_bytes(whole)
    assert read(version) is not None


def test_one_flipped_bit_in_mlflows_database_is_named_before_it_answers(world: Home, register: Callable) -> None:
    register(5)
    publish(world)
    store = world.mlflow / "mlflow.db"
    status, whole = store.stat(), store.read_bytes()
    # The number of the version that a tag belongs to, somewhere in a page of the database.
    position = whole.rindex(b"model_digest") + 3
    damaged = bytearray(whole)
    damaged[position] ^= 1
    store.write_bytes(damaged)
    os.utime(store, ns=(status.st_atime_ns, status.st_mtime_ns))
    for read_only in (False, True):
        with pytest.raises(HomeError, match=r"mlflow\.db is damaged.*sentiment restore"):
            Registry(world, read_only=read_only)
    with pytest.raises(HomeError, match=r"mlflow\.db is damaged"):
        backup(world, world.root.parent)


def test_a_database_that_is_none_is_named(world: Home, registry: Registry) -> None:
    (world.mlflow / "mlflow.db").write_bytes(b"no database " * 5000)
    with pytest.raises(HomeError, match=r"mlflow\.db is damaged \(file is not a database\)"):
        Registry(world)
