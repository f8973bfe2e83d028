"""`sentiment download`: Kaggle's client where it is installed, and a sentence that says what to do where it cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from sentiment.errors import DownloadError, HomeError, InputError
from sentiment.ingest.kaggle import FILE, download


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A client in the place of Kaggle's, that writes the file to the given path."""
    client = ModuleType("kagglehub")

    def fetch(handle: str, path: str, output_dir: str) -> str:
        (Path(output_dir) / path).write_text("tweets")
        return f"{output_dir}/{path}"

    client.dataset_download = fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", client)
    return client


def test_the_file_arrives_whole_and_is_not_fetched_twice(kaggle: ModuleType, tmp_path: Path) -> None:
    path = download(tmp_path / "here")
    assert path.read_text() == "tweets"
    assert [found.name for found in path.parent.iterdir()] == [FILE]
    del kaggle.dataset_download
    assert download(tmp_path / "here") == path


def test_without_the_client_there_is_the_way_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError, match=r"(?s)pip install kagglehub.*By hand: open https://www.kaggle.com/datasets/"):
        download(tmp_path)


def test_without_a_network_or_key_there_is_the_way_by_hand(kaggle: ModuleType, tmp_path: Path) -> None:
    def refuse(handle: str, path: str, output_dir: str) -> str:
        raise ConnectionError("Name or service not known")

    kaggle.dataset_download = refuse  # type: ignore[attr-defined]
    with pytest.raises(DownloadError, match=r"(?s)Name or service not known.*KAGGLE_API_TOKEN.*By hand: "):
        download(tmp_path)
    assert not (tmp_path / FILE).exists()


def test_a_folder_that_cannot_be_made_is_named(kaggle: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot be written"):
        download(tmp_path / "file" / "folder")
