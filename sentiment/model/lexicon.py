"""What words mean outside the training data: a lexicon with the rules of negation and emphasis, for whole batches.

The labels of Sentiment140 are emoticons that were removed from the text: a model trained on them learns topics and moods
of spring 2009 along with sentiment, and never sees an emoticon or emoji. People's judgements of words depend on no topic.
Words, values and rules are those of VADER (Hutto and Gilbert 2014), plus words, phrases and emoji of tweets that it lacks;
they are in `lexicon_words/`, VADER's under its MIT licence. A saved model holds a copy among its weights, so that its scores
never change.

The rules, over the words of a tweet: one of up to three words before may negate (times -0.74, unless a comma or another end
of a clause is between), intensify or dampen (0.29 to or from the value, less with distance); capitals among lower-case letters
and exclamation marks add to it; words before `but` count half, words after it one and a half times, and the clause that
`although` or `than` begins the other way round; a phrase of two words replaces its words. `composition` has the rules in
detail, `constructions` those of several words together. The sum s becomes s / sqrt(s^2 + 15), so that no tweet is entirely
certain.

A tweet has 15 words and two of them in the lexicon, so every step after the first look-up works on few positions. That one is
compiled and holds no interpreter lock, so that threads help. Costs about half of what the features cost.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from . import hashing
from .batch import Batch
from .compilation import compiled
from .composition import (
    ASKS,
    COMPARES,
    CONCEDES,
    CONSTRUCTS,
    COORDINATES,
    DAMPENS,
    INTENSIFIES,
    IS_DEGREE,
    IS_UNIVERSAL,
    NEGATES,
    NEGATES_OR_ASKS,
    NONE,
    REACHES_FAR,
    STOPS,
    TURNS,
    WISHES,
    Marks,
    apply_words_before,
    changes,
    discount_composed,
    rows_of,
    settle_questions,
    weigh_clauses,
)
from .config import LexiconConfig
from .constructions import FOUND_BY, settle_constructions, settle_equatives
from .features import Features
from .words import hash_words

_SOURCES = Path(__file__).with_name("lexicon_words")
_ROLES = {
    "negators": NEGATES,
    "intensifiers": INTENSIFIES,
    "dampeners": DAMPENS,
    "contrast": TURNS,
    "stops": STOPS,
    "concession": CONCEDES,
}
_ROLE, _BEGINS_PHRASE, _SYMBOL, _PERSON, _EXCLAIMS = 7, 8, 16, 32, 1024
_CAPITALS = 0.733
_EXCLAMATION = 0.292
_MOST_EXCLAMATIONS = 4
_SATURATION = 15.0
_COMPLAINT = np.float32(-0.7)
"""Words below are complaints; a negation by itself is not, nor are words that are mostly chat."""
_SLOT_BITS = 20
_SLOT_SHIFT = np.uint64(64 - _SLOT_BITS)
_PAIR = np.uint64(0xA0761D6478BD642F)


class Reading(NamedTuple):
    """What a lexicon says of a batch."""

    scores: np.ndarray
    """float32, shape (rows,): how positive, between -1 and 1; 0 where the lexicon knows no word."""
    is_known: np.ndarray
    """bool, shape (positions,): the word has a value or changes others'."""
    symbols: np.ndarray
    """int64, shape (symbols,), ascending: positions of emoticons and emoji."""
    learnt: np.ndarray
    """float32, shape (positions,): how much counts what the training rows teach of a word: 0 for symbols, for who somebody is
    (`she`, `muslim`), and for what composition decides; see `composition.discount_composed`."""
    exclamations_against: np.ndarray
    """int64, shape (marks,), ascending: positions of exclamation marks in rows whose words are negative."""
    clause_weights: np.ndarray
    """float32, shape (positions,): how much a word counts in its clause of a contrast; 1 without one."""
    positions: np.ndarray
    """int64, shape (hits,), ascending: the words that count, a phrase at its first word."""
    contributions: np.ndarray
    """float64, shape (hits,): what each adds to the score of its row."""
    exclamations: np.ndarray
    """float64, shape (rows,): what exclamation marks add to the score."""
    is_negated: np.ndarray
    """bool, shape (hits,): a word before negates the value."""
    strength: np.ndarray
    """float64, shape (rows,): values of the words that count, without signs and added up; 0 where there is none."""


class _Index(NamedTuple):
    """The entries as numpy arrays, and where to find a hash: a slot is the upper bits of a hash."""

    hashes: np.ndarray
    values: np.ndarray
    roles: np.ndarray
    is_taken: np.ndarray
    """bool, shape (slots,): whether an entry has the slot."""
    first: np.ndarray
    """int32, shape (slots,): the first entry that is not below the slot, the last one at most."""


class Lexicon(torch.nn.Module):
    """Values of words, emoji and phrases, and what words do to others.

    Works in main memory on any device: most of it is look-ups by the hash of a word.
    """

    hashes: torch.Tensor
    """int64, shape (entries,), ascending as uint64: of words as in `features.hash_words`, of phrases as in `_pair`."""
    values: torch.Tensor
    """float32, shape (entries,), -4 to 4."""
    roles: torch.Tensor
    """int16, shape (entries,): what the word does to others; plus flags such as `_BEGINS_PHRASE` and `_SYMBOL`."""

    def __init__(self, config: LexiconConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("hashes", torch.zeros(config.count_entries, dtype=torch.int64))
        self.register_buffer("values", torch.zeros(config.count_entries))
        self.register_buffer("roles", torch.zeros(config.count_entries, dtype=torch.int16))
        self._index: _Index | None = None

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._index = None

    @classmethod
    def shipped(cls) -> Lexicon:
        """The lexicon that comes with the project; 0.2 s."""
        entries = _shipped_entries()
        hashes = np.array(list(entries), dtype=np.uint64)
        order = np.argsort(hashes)
        values, roles = zip(*entries.values(), strict=True)
        notice = (_SOURCES / "vader.LICENSE.txt").read_text()
        lexicon = cls(LexiconConfig(count_entries=len(entries), notice=f"VADER's word list. {notice}"))
        lexicon.hashes.copy_(torch.from_numpy(hashes[order].view(np.int64)))
        lexicon.values.copy_(torch.tensor(values)[order])
        lexicon.roles.copy_(torch.tensor(roles, dtype=torch.int16)[order])
        return lexicon

    def forward(self, batch: Batch) -> Tensor:
        """Scores: float32, shape (rows,), on the batch's device."""
        return torch.from_numpy(self.read(batch.features).scores).to(batch.offsets.device)

    def read(self, features: Features) -> Reading:
        """Find the words that count in each row, apply the rules, and sum up."""
        index = self._indexed()
        positions, entries = _find(features.hashes, index)
        length = len(features.hashes) + 1
        value_at = np.zeros(length, dtype=np.float32)
        marks = Marks(np.zeros(length, dtype=np.uint8), np.zeros(length, dtype=np.int16))
        is_known = np.zeros(length, dtype=bool)
        _mark(positions, entries, index, value_at, marks, is_known)
        symbols, people, marked, begin_phrases, construct = (
            _flagged(positions, marks.flags, flag) for flag in (_SYMBOL, _PERSON, _EXCLAIMS, _BEGINS_PHRASE, CONSTRUCTS)
        )
        self._apply_phrases(features, begin_phrases, value_at, marks)
        if self._rules_version >= 4:
            settle_constructions(marks, features, construct, value_at)
        # `no` and `damn` mean something by themselves, but not before a word whose meaning they change.
        changes_next = positions[changes(marks.roles[positions]) & (value_at[positions + 1] != 0)]
        value_at[changes_next] = 0
        value_at[settle_questions(marks, features)] = 0
        positions = positions[value_at[positions] != 0]
        rows = rows_of(positions, features.offsets)
        values = value_at[positions]
        if self._rules_version >= 4:
            settle_equatives(marks, features, positions)
        _add_capitals(values, features, positions, rows)
        is_complaint = values < _COMPLAINT
        negators = apply_words_before(values, marks, positions, positions - features.offsets[rows], self._rules_version)
        clause_weights = weigh_clauses(marks.roles, features.offsets)
        values *= clause_weights[positions]
        sums = np.bincount(rows, weights=values, minlength=len(features.offsets) - 1).astype(np.float64)
        exclamations = np.sign(sums) * np.minimum(features.exclamations, _MOST_EXCLAMATIONS) * _EXCLAMATION
        sums += exclamations
        scale = 1 / np.sqrt(sums * sums + _SATURATION)
        learnt = np.ones(len(features.hashes), dtype=np.float32)
        learnt[symbols] = learnt[people] = 0
        if self._rules_version >= 3:
            is_complaint &= negators > 0
            if self._rules_version >= 4:
                # Rare constructions, of which n-grams and encoders have learnt as little as of negated complaints.
                is_complaint |= (negators > 0) & (marks.flags[positions - negators] & (WISHES | REACHES_FAR) > 0)
            words = positions[is_complaint]
            complaints = np.stack([words, words - negators[is_complaint]], axis=1)
            discount_composed(learnt, marks, features.offsets, positions, complaints)
        return Reading(
            scores=(sums * scale).astype(np.float32),
            is_known=is_known[:-1],
            symbols=symbols,
            learnt=learnt,
            exclamations_against=marked[sums[rows_of(marked, features.offsets)] < 0],
            clause_weights=clause_weights,
            positions=positions,
            contributions=values * scale[rows],
            exclamations=exclamations * scale,
            is_negated=negators > 0,
            strength=np.bincount(rows, weights=np.abs(values), minlength=len(scale)).astype(np.float64),
        )

    @property
    def _rules_version(self) -> int:
        return int(self.config.rules.removeprefix("valence-v"))

    def _apply_phrases(self, features: Features, starts: np.ndarray, value_at: np.ndarray, marks: Marks) -> None:
        """Where a phrase starts at one of the positions, its value and role are those of both words."""
        starts = starts[starts + 1 < len(features.hashes)]
        index = self._indexed()
        found, entries = _find(_pair(features.hashes[starts], features.hashes[starts + 1]), index)
        starts, flags = starts[found], index.roles[entries]
        if self._rules_version >= 4:
            # Of phrases that share a word ("never fails", "fails to"), the first applies.
            is_first = np.diff(starts, prepend=-2) != 1
            starts, flags, entries = starts[is_first], flags[is_first], entries[is_first]
            marks.flags[starts] = 0
        value_at[starts + 1] = 0
        value_at[starts] = index.values[entries]
        marks.roles[starts] = NONE
        marks.roles[starts + 1] = flags & _ROLE
        marks.flags[starts + 1] = np.where(flags & _ROLE == NEGATES, flags & ~_ROLE | REACHES_FAR, flags & ~_ROLE)

    def _indexed(self) -> _Index:
        if self._index is None:
            hashes = self.hashes.cpu().numpy().view(np.uint64)
            slots = (hashes >> _SLOT_SHIFT).astype(np.int64)
            is_taken = np.zeros(1 << _SLOT_BITS, dtype=bool)
            is_taken[slots] = True
            first = np.searchsorted(slots, np.arange(1 << _SLOT_BITS))
            first = np.minimum(first, len(slots) - 1).astype(np.int32)
            self._index = _Index(hashes, self.values.cpu().numpy(), self.roles.cpu().numpy(), is_taken, first)
        return self._index


@compiled
def _find(hashes: np.ndarray, index: _Index) -> tuple[np.ndarray, np.ndarray]:
    """Which of the hashes have an entry, ascending, and which these are: both int64, shape (found,)."""
    places, entries = np.empty(len(hashes), dtype=np.int64), np.empty(len(hashes), dtype=np.int64)
    count, last = 0, len(index.hashes) - 1
    for place in range(len(hashes)):
        slot = hashes[place] >> _SLOT_SHIFT
        if not index.is_taken[slot]:
            continue
        # Entries of one slot are adjacent; few slots have two.
        entry = index.first[slot]
        while index.hashes[entry] < hashes[place] and entry < last:
            entry += 1
        if index.hashes[entry] == hashes[place]:
            places[count], entries[count] = place, entry
            count += 1
    return places[:count], entries[:count]


@compiled
def _mark(
    positions: np.ndarray,
    entries: np.ndarray,
    index: _Index,
    value_at: np.ndarray,
    marks: Marks,
    is_known: np.ndarray,
) -> None:
    """Write what the entries say of the words at these positions."""
    for place in range(len(positions)):
        position, value, flags = positions[place], index.values[entries[place]], index.roles[entries[place]]
        role = flags & _ROLE
        value_at[position], marks.roles[position], marks.flags[position] = value, role, flags
        is_known[position] = value != 0 or (role not in (NONE, STOPS)) or flags & _PERSON > 0


@compiled
def _flagged(positions: np.ndarray, flags: np.ndarray, flag: int) -> np.ndarray:
    """The positions that have a flag."""
    found = np.empty(len(positions), dtype=np.int64)
    count = 0
    for position in positions:
        found[count] = position
        count += flags[position] & flag > 0
    return found[:count]


def _add_capitals(values: np.ndarray, features: Features, positions: np.ndarray, rows: np.ndarray) -> None:
    """Words in capitals count more where the rest of the tweet has small letters."""
    hits = np.flatnonzero(features.is_shouted[positions])
    if len(hits) == 0:
        return
    shouted = np.flatnonzero(features.is_shouted)
    count_rows = len(features.offsets) - 1
    of_row = np.bincount(rows_of(shouted, features.offsets), minlength=count_rows)
    hits = hits[(of_row < np.diff(features.offsets) - 1)[rows[hits]]]
    values[hits] += np.sign(values[hits]) * _CAPITALS


def _pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return hashing.mix(first * _PAIR + second)


@functools.cache
def _shipped_entries() -> dict[int, tuple[float, int]]:
    return dict(_read_entries())


def _read_entries() -> Iterator[tuple[int, tuple[float, int]]]:
    """Hash, value and role of each entry; a later one of the same hash counts."""
    values: dict[str, float] = {}
    for line in (_SOURCES / "vader.tsv").read_text().splitlines():
        word, value = line.split("\t")
        values[word] = float(value)
    tweets = tomllib.loads((_SOURCES / "tweets.toml").read_text())
    for kind in ("words", "emoji"):
        values |= {word: float(value) for value, words in tweets[kind].items() for word in words.split()}
    rules = tomllib.loads((_SOURCES / "rules.toml").read_text())
    roles = {word: role for name, role in _ROLES.items() for word in rules[name].split()}
    values |= {word: values.get(word, rules["negators_value"]) for word in rules["negators"].split()}
    roles |= {word: NEGATES_OR_ASKS for word in rules["negators"].split() if word.endswith("nt")}
    listed: tuple[dict[str, Any], ...] = (values, roles)
    for words in listed:
        for word in list(words):
            for stretched in _stretched(word):
                words.setdefault(stretched, words[word])
    phrases = {phrase: float(value) for value, listed_phrases in tweets["phrases"].items() for phrase in listed_phrases}
    phrase_roles = {phrase: role for name, role in _ROLES.items() for phrase in rules["phrases"].get(name, ())}
    phrases = dict.fromkeys(phrase_roles, 0.0) | phrases
    flags = {
        _BEGINS_PHRASE: {phrase.split()[0] for phrase in phrases},
        _SYMBOL: {symbol for listed_symbols in tweets["emoji"].values() for symbol in listed_symbols.split()},
        _PERSON: set(rules["people"].split()),
        COMPARES: {*_comparatives(values), *rules["comparison"].split(), *rules["phrases"]["concession"]},
        IS_UNIVERSAL: {*rules["universal_negators"].split(), *rules["phrases"]["universal_negators"]},
        ASKS: set(rules["questions"].split()),
        _EXCLAIMS: {"!", "!!"},
        REACHES_FAR: set(rules["negators_of_clauses"].split()),
        WISHES: set(rules["wishes"].split()),
        COORDINATES: set(rules["coordination"].split()),
        IS_DEGREE: set(rules["degree"].split()),
        CONSTRUCTS: FOUND_BY | {word for word, role in roles.items() if role == CONCEDES},
    }

    def marks(name: str) -> int:
        return sum(flag for flag, marked in flags.items() if name in marked)

    names = sorted((values.keys() | roles.keys()).union(*flags.values()) - phrases.keys())
    for name, word_hash in zip(names, _hash_each(names), strict=True):
        yield word_hash, (values.get(name, 0.0), roles.get(name, NONE) | marks(name))
    first, second = (_hash_each([phrase.split()[place] for phrase in phrases]) for place in (0, 1))
    entries = ((value, phrase_roles.get(phrase, NONE) | marks(phrase)) for phrase, value in phrases.items())
    yield from zip(_pair(first, second).tolist(), entries, strict=True)


def _comparatives(values: dict[str, float]) -> set[str]:
    """Words such as `happier`, which have a superlative."""
    return {word for word in values if word.endswith("er") and f"{word[:-2]}est" in values}


def _hash_each(words: list[str]) -> np.ndarray:
    found = hash_words(pl.Series(words))
    many = [word for word, count in zip(words, np.diff(found.ends, prepend=0), strict=True) if count != 1]
    if many:
        raise ValueError(f"Entries of the lexicon are one word each, phrases two; found {many[:5]}.")
    return found.hashes


def _stretched(word: str) -> Iterator[str]:
    """The word with one letter twice, as `sooo` is read after runs were cut: a vowel of it, or its end."""
    for place, letter in enumerate(word):
        is_run = word[place - 1 : place] == letter or word[place + 1 : place + 2] == letter
        if len(word) > 1 and not is_run and (letter in "aeiou" or (place == len(word) - 1 and letter.isalpha())):
            yield word[: place + 1] + word[place:]
