"""A home whose folder its group may write is shared: people of the group work in it, with any umask each."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sentiment.maintenance.backup import backup, restore
from sentiment.maintenance.doctor import check_permissions
from sentiment.maintenance.erasure import forget
from sentiment.model.classifier import SentimentModel
from sentiment.settings import Home
from sentiment.training.checkpoint import Checkpoint, write_checkpoint


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(home: Home) -> set[tuple[bool, int]]:
    """Whether it is a folder, and what group and others may, of all that is in a home."""
    found = (path for path in home.root.rglob("*") if not path.is_symlink())
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode) & 0o066) for path in found}


def fill(
    home: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes], model: SentimentModel, kept: Path
) -> None:
    ingest_lines(home, *(tweet_line(number, f"tweet number{number}", "0") for number in range(10)))
    forget(home, users=["nobody"])
    model.save(home.mlflow / "model")
    write_checkpoint(home.checkpoints / "one", Checkpoint("run", {}, dict(model.state_dict())))
    backup(home, kept)


@pytest.mark.parametrize(("of_group", "expected"), [(True, {(True, 0o060), (False, 0o060)}), (False, set())])
def test_what_is_made_in_a_shared_home_is_the_groups(
    tmp_path: Path,
    ingest_lines: Callable,
    tweet_line: Callable[..., bytes],
    lexicon_model: Callable[[int], SentimentModel],
    of_group: bool,
    expected: set[tuple[bool, int]],
) -> None:
    root, other, kept = tmp_path / "home", tmp_path / "restored", tmp_path / "kept.tar.zst"
    for folder in (root, other):
        folder.mkdir(mode=0o700)
        folder.chmod(0o770 if of_group else 0o700)
    with umask(0o077):
        fill(Home(root).create(), ingest_lines, tweet_line, lexicon_model(5), kept)
        restore(Home(other).create(), kept)
    assert (root / "forget.key").exists()
    assert stat.S_IMODE(kept.stat().st_mode) == (0o660 if of_group else 0o600)
    for home in (Home(root), Home(other)):
        assert modes(home) == (expected or {(True, 0), (False, 0)})
        assert all(finding.is_well for finding in check_permissions(home))


def test_with_a_usual_umask_secrets_of_a_home_of_ones_own_stay_closed(home: Home) -> None:
    with umask(0o022):
        home.create()
        forget(home, users=["nobody"])
    assert stat.S_IMODE(home.forget_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.work.stat().st_mode) == 0o700
