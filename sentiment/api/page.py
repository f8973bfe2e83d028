"""The page at `/`: one HTML file with its style and script in it, and a policy that lets the browser run nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path


def page_and_policy(path: Path) -> tuple[str, str]:
    """The page, and the Content-Security-Policy that allows just the style and script that stand in it."""
    page = path.read_text(encoding="utf-8")

    def digests(tag: str) -> str:
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in parts
        )

    policy = (
        f"default-src 'none'; style-src {digests('style')}; script-src {digests('script')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy
