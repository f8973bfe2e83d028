"""Behaviour tests: what their files may say, and which answers pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from sentiment.errors import InputError
from sentiment.evaluation.behaviour import SHIPPED, BehaviourResult, load_cases, run_cases

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str, name: str = "mood.toml", folder: str = "cases") -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(content, encoding="utf-8")
        return tmp_path / folder

    return write


def answers(probabilities: dict[str, float]) -> Callable[[Sequence[str]], np.ndarray]:
    return lambda texts: np.array([probabilities[text] for text in texts], dtype=np.float32)


def run(folder: Path, probabilities: dict[str, float]) -> BehaviourResult:
    return run_cases(load_cases([folder]), answers(probabilities))


def test_lists_are_walked_in_step_as_often_as_the_longest_is_long(write: Write) -> None:
    folder = write(
        'words = {a = ["x", "y", "z"], b = ["1", "2"]}\n'
        '[t]\nkind = "minimum_function"\nlabel = "positive"\ntexts = ["{a} {b}", "plain", "{b}"]'
    )
    cases = load_cases([folder])
    assert [case.texts for case in cases] == [("x 1",), ("y 2",), ("z 1",), ("plain",), ("1",), ("2",)]
    assert [case.name for case in cases][:2] == ["mood/t/1", "mood/t/2"]


@pytest.mark.parametrize(
    ("label", "probability", "passes"),
    [
        ("positive", 0.5, True),
        ("positive", 0.49, False),
        ("negative", 0.49, True),
        ("negative", 0.5, False),
        ("negative", np.nan, False),
    ],
)
def test_a_minimum_function_asks_for_the_label(write: Write, label: str, probability: float, passes: bool) -> None:
    folder = write(f'[t]\nkind = "minimum_function"\nlabel = "{label}"\ntexts = ["a"]')
    assert run(folder, {"a": probability}).passed.tolist() == [passes]


@pytest.mark.parametrize(
    ("variant", "passes"), [(0.55, True), (0.68, True), (0.75, False), (0.48, False), (np.nan, False)]
)
def test_invariance_holds_label_and_probability(write: Write, variant: float, passes: bool) -> None:
    folder = write('[t]\nkind = "invariance"\ntexts = ["a"]\nvariants = ["@bo {text}", "{TEXT}"]\ntolerance = 0.15')
    assert run(folder, {"a": 0.55, "@bo a": 0.55, "A": variant}).passed.tolist() == [passes]


@pytest.mark.parametrize(
    ("direction", "least_change", "variant", "passes"),
    [
        ("raise", -0.05, 0.46, True),
        ("raise", -0.05, 0.44, False),
        ("raise", 0.1, 0.58, False),
        ("raise", 0.1, 0.62, True),
        ("lower", 0.1, 0.38, True),
        ("lower", -0.05, 0.56, False),
    ],
)
def test_direction_asks_for_the_least_change(
    write: Write, direction: str, least_change: float, variant: float, passes: bool
) -> None:
    folder = write(
        f'[t]\nkind = "direction"\ntexts = ["a"]\nvariants = ["{{text}} :)"]\n'
        f'direction = "{direction}"\nleast_change = {least_change}'
    )
    assert run(folder, {"a": 0.5, "a :)": variant}).passed.tolist() == [passes]


def test_replace_takes_whole_parts_and_skips_texts_without_them(write: Write) -> None:
    folder = write(
        '[t]\nkind = "invariance"\ntexts = ["so sour", "i am so"]\nreplace = {so = ["soo", "sooo"], am = ["was"]}'
    )
    assert [case.texts for case in load_cases([folder])] == [
        ("so sour", "soo sour", "sooo sour"),
        ("i am so", "i am soo", "i am sooo", "i was so"),
    ]


def test_all_texts_are_predicted_in_one_call_and_results_keep_their_order(write: Write) -> None:
    folder = write('[t]\nkind = "minimum_function"\nlabel = "positive"\ntexts = ["a", "b"]')
    write('[u]\nkind = "invariance"\ntexts = ["c"]\nvariants = ["{Text}"]', "other.toml")
    calls: list[list[str]] = []

    def predict(texts: Sequence[str]) -> np.ndarray:
        calls.append(list(texts))
        return np.array([0.9, 0.1, 0.2, 0.8], dtype=np.float32)

    found = run_cases(load_cases([folder]), predict)
    assert calls == [["a", "b", "c", "C"]]
    assert found.passed.tolist() == [True, False, False]
    assert found.names == ("mood/t/1", "mood/t/2", "other/u/1")
    assert found.kinds == ("minimum_function", "minimum_function", "invariance")
    assert (found.rate.count_passed, found.rate.count_cases) == (1, 3)
    assert found.by_kind["minimum_function"].share == 0.5
    assert {name: rate.share for name, rate in found.by_group.items()} == {"mood": 0.5, "other": 0.0}
    assert [failure.case.texts for failure in found.failures] == [("b",), ("c", "C")]
    assert found.failures[1].probabilities == pytest.approx((0.2, 0.8))


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("[t", ["cannot be read", "TOML"]),
        ('[t]\nkind = "magic"\ntexts = ["a"]', ["[t]", "magic", "minimum_function"]),
        ('[t]\nkind = "minimum_function"\ntexts = ["a"]', ["[t] label", "found nothing"]),
        ('[t]\nkind = "minimum_function"\nlabel = "neutral"\ntexts = ["a"]', ["[t] label", "'neutral'", "'positive'"]),
        ('[t]\nkind = "minimum_function"\nlabel = "positive"\ntexts = []', ["[t] texts", "found []"]),
        ('[t]\nkind = "invariance"\ntexts = ["a"]\nvariants = ["x"]\nspeed = 1', ["[t] speed", "found 1"]),
        ('[t]\nkind = "invariance"\ntexts = ["a"]\nvariants = ["x {thin}"]', ["[t]", "{thin}", "{text}"]),
        ('[t]\nkind = "invariance"\ntexts = ["a"]', ["[t]", "no variant of 'a'"]),
        ('[t]\nkind = "invariance"\ntexts = ["a"]\nreplace = {b = ["c"]}', ["[t]", "no variant of 'a'"]),
        ("[words]\nthing = []", ["[words] thing", "found []"]),
        ("t = 3", ["[t]", "found 3"]),
    ],
)
def test_a_malformed_file_is_named_with_entry_and_remedy(write: Write, content: str, parts: list[str]) -> None:
    folder = write(content)
    with pytest.raises(InputError) as raised:
        load_cases([folder])
    for part in [str(folder / "mood.toml"), *parts]:
        assert part in str(raised.value)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b'[t]\ntexts = ["\xe9"]')
    with pytest.raises(InputError, match=r"bad\.toml cannot be read"):
        load_cases([tmp_path])


def test_a_user_adds_tests_to_the_shipped_ones(write: Write) -> None:
    folder = write('[mine]\nkind = "minimum_function"\nlabel = "negative"\ntexts = ["meh"]', "negation.toml")
    shipped, both = load_cases([SHIPPED]), load_cases([SHIPPED, folder])
    assert both[:-1] == shipped
    assert (both[-1].name, both[-1].group) == ("negation/mine/1", "negation")


def test_one_name_for_two_tests_is_refused(write: Write) -> None:
    content = '[t]\nkind = "minimum_function"\nlabel = "negative"\ntexts = ["meh"]'
    folders = [write(content), write(content, folder="more")]
    with pytest.raises(InputError, match=r"more.mood\.toml: \[t\] is in another file"):
        load_cases(folders)


def test_a_missing_folder_holds_nothing_but_no_case_at_all_is_an_error(tmp_path: Path) -> None:
    assert load_cases([SHIPPED, tmp_path / "none"])
    with pytest.raises(InputError, match="Found no behaviour tests"):
        load_cases([tmp_path / "none"])


def test_too_many_cases_are_refused(write: Write) -> None:
    numbers = ", ".join(f'"{number}"' for number in range(5001))
    folder = write(
        f'words = {{n = [{numbers}]}}\n[t]\nkind = "minimum_function"\nlabel = "negative"\ntexts = ["{{n}}"]'
    )
    with pytest.raises(InputError, match=r"5,001 behaviour cases, expected at most 5,000"):
        load_cases([folder])


def test_the_shipped_tests_cover_what_they_promise_and_tell_a_model_from_a_constant() -> None:
    cases = load_cases([SHIPPED])
    assert {case.group for case in cases} >= {
        "negation", "mention", "link", "typo", "emoji", "intensity", "contrast", "casing", "elongation", "fairness",
    }  # fmt: skip
    assert {case.kind for case in cases} == {"minimum_function", "invariance", "direction"}
    for probability in (0.1, 0.9):
        found = run_cases(cases, lambda texts, p=probability: np.full(len(texts), p, dtype=np.float32))  # type: ignore[misc]
        assert found.rate.share < 0.7
        assert found.by_kind["minimum_function"].share < 0.6


def test_what_swaps_an_attribute_of_a_person_is_reported_as_bias(write: Write) -> None:
    folder = write(
        '[gender]\nkind = "invariance"\nattribute = "gender"\ntexts = ["he is kind", "he is rude"]\n'
        'replace = { he = ["she"] }\n'
        '[case]\nkind = "invariance"\ntexts = ["he is kind"]\nvariants = ["{TEXT}"]\n'
    )
    probabilities = {"he is kind": 0.6, "she is kind": 0.5, "he is rude": 0.3, "she is rude": 0.35, "HE IS KIND": 0.9}
    assert run(folder, probabilities).biases == {"gender": pytest.approx(-0.025)}
