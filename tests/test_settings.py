"""Settings from the environment, and a home that says why it cannot be used."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sentiment.errors import HomeError, InputError
from sentiment.settings import Home, Settings, load_settings


def test_settings_come_from_the_environment_with_nested_thresholds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SENTIMENT_HOME", str(tmp_path))
    monkeypatch.setenv("SENTIMENT_GATE__FLOOR_ACCURACY", "0.75")
    found = load_settings()
    assert (found.home, found.gate.floor_accuracy) == (tmp_path, 0.75)
    assert found.gate.alpha == Settings().gate.alpha


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == tmp_path / "var"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTIMENT_KEEP_SNAPSHOTS", "0"),
        ("SENTIMENT_WRITER_WAIT_SECONDS", "soon"),
        ("SENTIMENT_WAREHOUSE_MEMORY", "lots"),
        ("SENTIMENT_MODEL_NAME", "with blanks"),
        ("SENTIMENT_ALLOWED_HOSTS", "server:4200"),
        ("SENTIMENT_ALLOWED_HOSTS", "*"),
        ("SENTIMENT_ALLOWED_HOSTS", "http://server"),
        ("SENTIMENT_GATE__ALPHA", "1.5"),
        ("SENTIMENT_GATE__FLOOR", "0.7"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"^{name}='{re.escape(value)}' cannot be used: "):
        load_settings()


def test_hosts_are_given_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_ALLOWED_HOSTS", "server, db.example.com,10.0.0.5,[fd00::1],")
    assert load_settings().allowed_hosts == ("server", "db.example.com", "10.0.0.5", "fd00::1")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"SENTIMENT_{name.upper()}", "")
    monkeypatch.setenv("SENTIMENT_GATE__FLOOR_ACCURACY", "")
    assert load_settings() == unset
    assert unset.inbox is None


def test_every_setting_is_described() -> None:
    fields = Settings.model_fields | Settings().gate.__class__.model_fields
    assert [name for name, field in fields.items() if not field.description] == []


def test_a_home_is_made_with_all_its_folders_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home").create()
    folders = [path for path in home.root.iterdir() if path.is_dir()]
    assert {"inbox", "published", "mlflow", "prefect", "work", "locks"} <= {path.name for path in folders}
    assert {path.stat().st_mode & 0o077 for path in [home.root, *folders]} == {0}
    assert Home(home.root).create() == home


def test_a_home_that_is_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    for root in (path, path / "below"):
        with pytest.raises(HomeError, match=r"cannot be used: .*file is a file, expected a folder"):
            Home(root).create()


def test_a_home_with_a_file_in_a_folders_place_names_it(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("x")
    with pytest.raises(HomeError, match=r"inbox is a file, expected a folder"):
        Home(tmp_path).create()


@pytest.mark.parametrize("part", ["", "mlflow"])
def test_a_read_only_home_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    home = Home(tmp_path / "home").create()
    read_only = home.root / part
    # Permissions do not bind the superuser, as whom tests often run in a container.
    may_access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != read_only and may_access(path, mode))
    with pytest.raises(HomeError, match=r"is read-only\. Give yourself write permission or set SENTIMENT_HOME"):
        home.create()
