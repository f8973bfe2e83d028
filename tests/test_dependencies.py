"""What is imported is declared, once, and locked; a wheel holds all that runs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OWN = {"sentiment", "flows", "tests", "benchmarks", "simulations", "docs", "sentiment_model"}
# Peers that a benchmark compares with, and what runs on its own Java: they are installed by hand, as those modules say.
NOT_OURS = {"fasttext", "vaderSentiment", "pyspark"}


def project(repository: Path) -> dict[str, object]:
    document: dict[str, dict[str, object]] = tomllib.loads((repository / "pyproject.toml").read_text())
    return document["project"]


def declared(repository: Path) -> list[str]:
    """Names of all dependencies, extras included."""
    found = project(repository)
    extras: dict[str, list[str]] = found["optional-dependencies"]  # type: ignore[assignment]
    lines: list[str] = [*found["dependencies"], *(line for extra in extras.values() for line in extra)]  # type: ignore[misc]
    return [canonicalize_name(Requirement(line).name) for line in lines]


def imported(*folders: Path) -> set[str]:
    """Top-level packages that modules import, without those of the standard library and our own."""
    found: set[str] = set()
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - OWN


def test_what_is_imported_is_declared(repository: Path) -> None:
    distributions, names = packages_distributions(), set(declared(repository))
    folders = [repository / name for name in ("sentiment", "flows", "tests", "benchmarks", "simulations", "docs")]
    undeclared = {
        package
        for package in imported(*folders) - NOT_OURS
        if not {canonicalize_name(name) for name in distributions.get(package, [package])} & names
    }
    assert undeclared == set()


def test_nothing_is_declared_twice(repository: Path) -> None:
    names = declared(repository)
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_lock_file_names_all_that_is_declared_and_no_index(repository: Path) -> None:
    text = (repository / "requirements.lock").read_text()
    locked = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==", text, re.MULTILINE)}
    assert set(declared(repository)) <= locked, "run: make lock"
    assert "://" not in text
    assert "--" not in text


@pytest.mark.slow
def test_a_wheel_runs_where_there_is_no_checkout(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("sentiment", "flows", "sql", "deployments"):
        shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(repository / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True, capture_output=True)
    shutil.rmtree(source)
    (wheel,) = tmp_path.glob("sentiment-*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    count = len(list((repository / "sql").rglob("*.sql")))
    assert len(list((site / "sentiment" / "sql").rglob("*.sql"))) == count
    assert (site / "flows" / "deployments" / "prefect.yaml").exists()
    code = (
        "import sys, flows, sentiment; from flows.cli.app import main; "
        f"assert sentiment.__file__.startswith({str(site)!r}); sys.argv[0] = 'sentiment'; main()"
    )
    environment = os.environ | {"PYTHONPATH": str(site), "SENTIMENT_HOME": str(tmp_path / "home")}
    for arguments in (["sample", "made.csv", "--rows", "200"], ["ingest", "made.csv"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
