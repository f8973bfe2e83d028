"""Reads `topics.toml` and `phrases.toml` into fragments that can be drawn for whole columns at once.

A form such as `{thing} isn't {-adjective}` becomes, for each polarity, a tuple of parts: a fragment number for a word,
a `Slot` for a choice. Polarity is settled here, so that drawing never branches on it. Lists go from common to rare, and
a draw is skewed to their front: the rare words are the long tail that a model meets only with more data.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from sentiment.sample.fragments import FragmentTable

STRENGTHS = ("weak", "medium", "strong")
_POLARITIES = {1: "positive", -1: "negative", 0: "neutral"}
_SKEW = 2.2
_NEWS_DAYS = 4000
_VOWEL_RUN = re.compile(rb"[aeiou](?=[a-z]*$)")


class Choices:
    """Lists of fragments, one a group (a topic, a strength), drawn from for many rows at once."""

    def __init__(self, groups: list[np.ndarray]) -> None:
        self._numbers = np.concatenate(groups)
        self._counts = np.array([len(group) for group in groups])
        self._starts = np.cumsum(self._counts) - self._counts

    def at(self, uniform: np.ndarray, group: np.ndarray | int = 0) -> np.ndarray:
        """The fragments at `uniform` (in [0, 1), shape (rows,)) of each row's group: shape (rows,)."""
        index = (uniform**_SKEW * self._counts[group]).astype(np.int64)
        chosen: np.ndarray = self._numbers[self._starts[group] + index]
        return chosen


class Slot(NamedTuple):
    """A choice inside a form."""

    choices: Choices
    by: str  # what selects the group: "topic", "strength", "pair" (topic, one draw for noun and adjective) or ""
    is_thing: bool = False


Form = tuple["int | Slot", ...]


@dataclass(frozen=True)
class Topics:
    """What tweets are about, aligned by topic."""

    names: list[str]
    queries: np.ndarray
    lean: dict[int, np.ndarray]
    mix: list[np.ndarray]
    news_starts: np.ndarray
    news_known: np.ndarray
    news_numbers: np.ndarray

    def weights(self, day: float, polarity: int) -> np.ndarray:
        """Relative weight of every topic on a day (counted from 6 April 2009): shape (topics,)."""
        drifted = [np.interp(day, days, heights) for days, heights in self.mix]
        weights: np.ndarray = np.array(drifted) * self.lean[polarity]
        return weights


def entity_escaped(text: str) -> str:
    """Text as the collector stored it: `&`, `<`, `>` and `"` as HTML entities."""
    return escape(text, {'"': "&quot;"})


class Vocabulary:
    """All words, forms and variants of generated tweets, numbered in one fragment table."""

    def __init__(self, table: FragmentTable) -> None:
        self.table = table
        folder = Path(__file__).parent
        self.phrases: dict[str, Any] = tomllib.loads((folder / "phrases.toml").read_text(encoding="utf-8"))
        source: dict[str, dict[str, Any]] = tomllib.loads((folder / "topics.toml").read_text(encoding="utf-8"))
        self.topics = self._topics(source)
        self._slots = self._all_slots(list(source.values()))
        self.clauses = {polarity: self._clauses(polarity) for polarity in _POLARITIES}
        self.leads = self._compile_all(self.phrases["around"]["lead"], 1)
        self.tails = self._compile_all(self.phrases["around"]["tail"], 1)
        self.concede_first = self.words(self.phrases["joints"]["concede_first"])
        self.joints = {kind: Choices([self.raw(self.phrases["joints"][kind])]) for kind in ("agree", "turn", "concede")}
        self.openers = {p: Choices([self.words(self.phrases["openers"][n])]) for p, n in _POLARITIES.items()}
        self.endings = Choices([self.raw(self.phrases["endings"][strength]) for strength in STRENGTHS])
        self.lead_marks = self.raw(["...", ".", "!", ",", " -"])
        self.opener_marks = self.raw(["", ",", "!", "...", ".", ""])
        self.comma = table.add(",")
        self.links = table.add_all([f" http://example.com/{number:x}" for number in range(3000, 30000, 7)])
        # Up to here everything is a word that people vary; each look-up covers the variants made before it.
        (self.slang,) = table.variants(self._slang)
        self.misspelt = table.variants(_drop_vowel, _swap_letters, _double_letter)
        self.elongated = table.variants(*(partial(_elongate, more=more) for more in (2, 3, 5)))
        self.shouted = table.variants(lambda word: word if b"&" in word else word.upper())[0]

    def words(self, texts: list[str]) -> np.ndarray:
        """Fragments with a leading blank; the empty text stays empty."""
        return self.raw([f" {text}" if text else "" for text in texts])

    def raw(self, texts: list[str]) -> np.ndarray:
        """Fragments unchanged but for escaped entities."""
        return self.table.add_all([entity_escaped(text) for text in texts])

    def opening_variants(self) -> tuple[np.ndarray, np.ndarray]:
        """Two look-ups for the first word of a text: without its blank, and with a capital letter too."""
        bare, capital = self.table.variants(_bare, lambda word: _bare(word)[:1].upper() + _bare(word)[1:])
        return bare, capital

    def _topics(self, source: dict[str, dict[str, Any]]) -> Topics:
        news = [sorted(topic["news"]) for topic in source.values()]
        counts = np.array([len(items) for items in news])
        known = np.zeros((len(news), _NEWS_DAYS), dtype=np.int64)
        for topic, items in enumerate(news):
            for day, _ in items:
                known[topic, day:] += 1
        lists = [self.words([thing for _, thing in items]) for items in news]
        lean = {p: np.array([topic.get(name, 1.0) for topic in source.values()]) for p, name in _POLARITIES.items()}
        return Topics(
            names=list(source),
            queries=self.table.add_all(source),
            lean=lean,
            mix=[np.array(topic["mix"], dtype=float).T for topic in source.values()],
            news_starts=np.cumsum(counts) - counts,
            news_known=known,
            news_numbers=np.concatenate(lists),
        )

    def _all_slots(self, topics: list[dict[str, Any]]) -> dict[tuple[str, int], Slot]:
        phrases, words = self.phrases, self.words
        slots: dict[tuple[str, int], Slot] = {}
        for polarity in (1, -1):
            name = _POLARITIES[polarity]
            for kind, lists in phrases["words"].items():
                slots[kind, polarity] = Slot(Choices([words(lists[s][name]) for s in STRENGTHS]), "strength")
            pairs = [
                [(noun, adjective) for noun, *adjectives in topic["pairs"] for adjective in adjectives[polarity < 0]]
                for topic in topics
            ]
            for place, kind in enumerate(("pair_noun", "pair_adjective")):
                slots[kind, polarity] = Slot(
                    Choices([words([pair[place] for pair in group]) for group in pairs]), "pair"
                )
            slots["degree", polarity] = Slot(Choices([words(phrases["degree"][s]) for s in STRENGTHS]), "strength")
            for kind in ("good", "bad"):
                slots[kind, polarity] = Slot(Choices([words(topic[kind]) for topic in topics]), "topic")
            slots["thing", polarity] = Slot(Choices([words(topic["things"]) for topic in topics]), "topic", True)
            for kind in ("gain", "lose"):
                slots[kind, polarity] = Slot(Choices([words(phrases["events"][kind])]), "")
            for kind in ("place", "person", "time"):
                slots[kind, polarity] = Slot(Choices([words(phrases["around"][kind])]), "")
            slots["number", polarity] = Slot(Choices([words([str(number) for number in range(2, 100)])]), "")
        return slots

    def _clauses(self, polarity: int) -> tuple[list[Form], np.ndarray]:
        forms: list[Form] = []
        weights: list[float] = []
        for group in self.phrases["forms"].values():
            texts = group.get(_POLARITIES[polarity], []) + (group.get("both", []) if polarity else [])
            forms += self._compile_all(texts, polarity or 1)
            weights += [group.get("weight", 1) / len(texts)] * len(texts) if texts else []
        return forms, np.cumsum(weights) / np.sum(weights)

    def _compile_all(self, texts: list[str], polarity: int) -> list[Form]:
        return [tuple(self._part(word, polarity) for word in text.split()) for text in texts]

    def _part(self, word: str, polarity: int) -> int | Slot:
        if word.startswith("{"):
            name = word.strip("{}")
            return self._slots[name.removeprefix("-"), -polarity if name.startswith("-") else polarity]
        return int((self.raw([word]) if word == "," else self.words([word]))[0])

    def _slang(self, word: bytes) -> bytes:
        *before, last = word.decode().split(" ")
        return " ".join([*before, self.phrases["slang"].get(last, last)]).encode()


def _bare(word: bytes) -> bytes:
    return word.removeprefix(b" ")


def _drop_vowel(word: bytes) -> bytes:
    return re.sub(rb"(?<=[a-z]{2})[aeiou](?=[a-z]+$)", b"", word, count=1)


def _swap_letters(word: bytes) -> bytes:
    return re.sub(rb"([a-z])([a-z])(?=[a-z]$)", rb"\2\1", word)


def _double_letter(word: bytes) -> bytes:
    return re.sub(rb"([b-df-hj-np-tv-z])(?=[a-z]$)", rb"\1\1", word)


def _elongate(word: bytes, *, more: int) -> bytes:
    return _VOWEL_RUN.sub(lambda match: match[0] * (1 + more), word, count=1)
