"""Damage to a file that others may change is told from a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentiment.errors import HomeError
from sentiment.warehouse.seals import refuse_damage, seal


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    path.write_bytes(bytes(range(256)) * 100)
    seal(path)
    return path


def flip(path: Path, bit: int) -> None:
    """As a bad disk does: the file's times stay."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("bit", [0, 4711, 256 * 100 * 8 - 1])
def test_one_flipped_bit_is_named_with_the_remedy(sealed: Path, bit: int) -> None:
    refuse_damage(sealed, "Restore a backup.")
    flip(sealed, bit)
    with pytest.raises(HomeError, match=r"store\.db is damaged.*Restore a backup\."):
        refuse_damage(sealed, "Restore a backup.")


def test_a_damaged_file_is_not_sealed_again(sealed: Path) -> None:
    flip(sealed, 4711)
    seal(sealed)
    with pytest.raises(HomeError):
        refuse_damage(sealed, "")


def test_a_file_that_somebody_changed_is_not_judged_until_it_is_sealed_again(sealed: Path) -> None:
    for number in range(30):
        seal(sealed)
        with sealed.open("r+b") as file:
            # At once after sealing, of the same length: the clock of the file system must have moved on.
            file.write(bytes([number]))
        refuse_damage(sealed, "")
    seal(sealed)
    flip(sealed, 9)
    with pytest.raises(HomeError):
        refuse_damage(sealed, "")


def test_a_damaged_seal_accuses_nobody(sealed: Path) -> None:
    path = sealed.with_name(".store.db.seal")
    for bit in range(0, path.stat().st_size * 8, 7):
        flip(path, bit)
        refuse_damage(sealed, "")
        flip(path, bit)


def test_a_copy_with_or_without_its_seal_is_well(sealed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(sealed.read_bytes())
    refuse_damage(copy, "")
    (tmp_path / ".copy.db.seal").write_bytes(sealed.with_name(".store.db.seal").read_bytes())
    refuse_damage(copy, "")
