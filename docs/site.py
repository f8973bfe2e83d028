"""A hook of MkDocs (`mkdocs.yml`): README, CHANGELOG and CONTRIBUTING are pages of the site too, with the notebook.

Their links, such as `docs/gate.md`, are those of the repository; here they lead to the page. What is no page is named without
a link.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "CHANGELOG.md": "CHANGELOG.md", "CONTRIBUTING.md": "CONTRIBUTING.md"}
NOTEBOOK = REPOSITORY / "docs" / "notebook.ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in `docs/`."""
    for page, source in PAGES.items():
        files.append(File.generated(config, page, content=(REPOSITORY / source).read_text()))
    files.append(File.generated(config, "notebook.md", content=notebook_markdown(json.loads(NOTEBOOK.read_text()))))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to pages of the site; name what is none."""

    def lead(found: re.Match[str]) -> str:
        mark, text, target = found[1], found[2], found[3]
        if re.match(r"https?://|#|mailto:", target):
            return found[0]
        path, hash_mark, anchor = target.partition("#")
        path = path.removeprefix("../").removeprefix("docs/")
        path = {"README.md": "index.md"}.get(path, path)
        return f"{mark}[{text}]({path}{hash_mark}{anchor})" if files.get_file_from_path(path) else text

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", lead, markdown)


def notebook_markdown(notebook: dict[str, list[dict[str, str | list[str]]]]) -> str:
    """A notebook's cells as a page, without its answers, which depend on the home."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"
