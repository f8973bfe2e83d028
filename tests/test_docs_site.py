"""The docs as a site, and the notebook in it: both are made of what is there, and work without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home
from tests.desk.conftest import score

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a broken link fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=NOTEBOOK.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_a_page_for_every_file(site: Path) -> None:
    pages = {path.stem for path in site.glob("*.html")}
    assert pages >= {path.stem for path in NOTEBOOK.parent.glob("*.md")} | {"index", "notebook", "CHANGELOG"}
    assert "scored_tweets" in (site / "search" / "search_index.js").read_text()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loading = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(https?:)?//|<link[^>]*\shref=\"?(https?:)?//[^>]*>"
    )
    for page in site.rglob("*.html"):
        found = [match[0] for match in loading.finditer(page.read_text()) if 'rel="canonical"' not in match[0]]
        assert found == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), style


def test_the_notebook_runs_from_top_to_bottom(
    world: Home, register: Callable[..., RegisteredVersion], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat
    from nbclient import NotebookClient

    registry.set_champion(register(20).model_version)
    score(world, 1, "starts_with(text, 'glad')")
    monkeypatch.setenv("SENTIMENT_HOME", str(world.root))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    done = NotebookClient(notebook, timeout=120).execute()
    shown = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)


def test_the_notebook_is_kept_without_answers_that_depend_on_a_home() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
