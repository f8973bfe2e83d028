"""How many behaviour cases prove that a challenger behaves worse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sentiment.evaluation.behaviour import load_cases
from sentiment.gate.evidence import compare_groups

WORDS = [f"word{number}" for number in range(20)]


def after_losing(folder: Path, texts: list[str], lost: int) -> tuple[float, float]:
    """Difference, and upper end of its interval, of a group of which a challenger fails the first cases, a champion none."""
    test = f'kind = "minimum_function"\nlabel = "positive"\ntexts = {json.dumps(texts)}\n'
    for group in ("here", "there"):
        (folder / f"{group}.toml").write_text(f"[words]\nthing = {json.dumps(WORDS)}\n[test]\n{test}")
    cases = load_cases([folder])
    after = np.array([case.group == "there" or int(case.name.rsplit("/", 1)[1]) > lost for case in cases])
    found = compare_groups(cases, np.ones(len(cases), dtype=bool), after)
    assert found["there"].difference == 0
    return found["here"].difference, found["here"].upper


def test_cases_of_one_template_prove_as_much_as_one(tmp_path: Path) -> None:
    difference, upper = after_losing(tmp_path, ["watching {thing} at home", "{thing} was on", "my {thing}"], 20)
    assert difference == -1 / 3
    assert upper >= 0


def test_cases_of_as_many_templates_prove_a_loss(tmp_path: Path) -> None:
    difference, upper = after_losing(tmp_path, [f"text {number}" for number in range(60)], 20)
    assert difference == -1 / 3
    assert upper < 0
