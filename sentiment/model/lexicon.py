"""What words mean outside the training data: a lexicon with the rules of negation and emphasis, for whole batches.

The labels of Sentiment140 are emoticons that were removed from the text: a model trained on them learns topics and moods
of spring 2009 along with sentiment, and never sees an emoticon or emoji. People's judgements of words depend on no topic.
Words, values and rules are those of VADER (Hutto and Gilbert 2014), plus words, phrases and emoji of tweets that it lacks;
they are in `lexicon_words/`, VADER's under its MIT licence. A saved model holds a copy among its weights, so that its scores
never change.

The rules, over the words of a tweet: one of up to three words before may negate (times -0.74, unless a comma or another end
of a clause is between), intensify or dampen (0.29 to or from the value, less with distance); capitals among lower-case letters
and exclamation marks add to it; words before `but` count half, words after it one and a half times, and the clause that
`although` begins the other way round; a phrase of two words replaces its words. The sum s becomes s / sqrt(s^2 + 15), so
that no tweet is entirely certain.

A tweet has 15 words and two of them in the lexicon, so every step after the first look-up works on few positions. Costs about
a third of what the features cost; no loop over tweets.
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
from .config import LexiconConfig
from .features import Features
from .words import hash_words

_SOURCES = Path(__file__).with_name("lexicon_words")
_NONE, _NEGATES, _INTENSIFIES, _DAMPENS, _TURNS, _STOPS, _CONCEDES = range(7)
_ROLES = {
    "negators": _NEGATES,
    "intensifiers": _INTENSIFIES,
    "dampeners": _DAMPENS,
    "contrast": _TURNS,
    "stops": _STOPS,
    "concession": _CONCEDES,
}
_ROLE, _BEGINS_PHRASE, _SYMBOL, _PERSON = 7, 8, 16, 32
NEGATED = np.float32(-0.74)
_DEGREE = 0.293
_FADING = (1.0, 0.95, 0.9)
_CAPITALS = 0.733
_EXCLAMATION = 0.292
_MOST_EXCLAMATIONS = 4
_BEFORE_TURN, _BEHIND_TURN = 0.5, 1.5
_SATURATION = 15.0
_SLOT_BITS = 20
_PAIR = np.uint64(0xA0761D6478BD642F)


class Reading(NamedTuple):
    """What a lexicon says of a batch."""

    scores: np.ndarray
    """float32, shape (rows,): how positive, between -1 and 1; 0 where the lexicon knows no word."""
    is_known: np.ndarray
    """bool, shape (positions,): the word has a value or changes others'."""
    symbols: np.ndarray
    """int64, shape (symbols,), ascending: positions of emoticons and emoji."""
    people: np.ndarray
    """int64, shape (people,), ascending: positions of words for who somebody is, such as `she` or `muslim`."""
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
    """uint8, shape (entries,): what the word does to others; plus `_BEGINS_PHRASE`, `_SYMBOL` and `_PERSON`."""

    def __init__(self, config: LexiconConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("hashes", torch.zeros(config.count_entries, dtype=torch.int64))
        self.register_buffer("values", torch.zeros(config.count_entries))
        self.register_buffer("roles", torch.zeros(config.count_entries, dtype=torch.uint8))
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
        lexicon.roles.copy_(torch.tensor(roles, dtype=torch.uint8)[order])
        return lexicon

    def forward(self, batch: Batch) -> Tensor:
        """Scores: float32, shape (rows,), on the batch's device."""
        return torch.from_numpy(self.read(batch.features).scores).to(batch.offsets.device)

    def read(self, features: Features) -> Reading:
        """Find the words that count in each row, apply the rules, and sum up."""
        positions, values, roles = self._look_up(features)
        value_at = np.zeros(len(features.hashes) + 1, dtype=np.float32)
        role_at = np.zeros(len(features.hashes) + 1, dtype=np.uint8)
        value_at[positions], role_at[positions] = values, roles & _ROLE
        symbols, people = positions[roles & _SYMBOL > 0], positions[roles & _PERSON > 0]
        is_known = (value_at != 0) | _changes(role_at)
        is_known[people] = True
        starts, phrase_values = self._look_up_phrases(features, positions[roles & _BEGINS_PHRASE > 0])
        value_at[starts + 1] = 0
        value_at[starts] = phrase_values
        role_at[starts] = role_at[starts + 1] = _NONE
        # `no` and `damn` mean something by themselves, but not before a word whose meaning they change.
        changes_next = positions[_changes(role_at[positions]) & (value_at[positions + 1] != 0)]
        value_at[changes_next] = 0
        positions = positions[value_at[positions] != 0]
        rows = np.searchsorted(features.offsets, positions, side="right") - 1
        values = value_at[positions]
        _add_capitals(values, features, positions, rows)
        is_negated = _apply_words_before(values, role_at, positions, positions - features.offsets[rows])
        clause_weights = _weigh_clauses(role_at, features.offsets)
        values *= clause_weights[positions]
        sums = np.bincount(rows, weights=values, minlength=len(features.offsets) - 1).astype(np.float64)
        exclamations = np.sign(sums) * np.minimum(features.exclamations, _MOST_EXCLAMATIONS) * _EXCLAMATION
        sums += exclamations
        scale = 1 / np.sqrt(sums * sums + _SATURATION)
        return Reading(
            scores=(sums * scale).astype(np.float32),
            is_known=is_known[:-1],
            symbols=symbols,
            people=people,
            clause_weights=clause_weights,
            positions=positions,
            contributions=values * scale[rows],
            exclamations=exclamations * scale,
            is_negated=is_negated,
            strength=np.bincount(rows, weights=np.abs(values), minlength=len(scale)).astype(np.float64),
        )

    def _look_up(self, features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions whose word is in the lexicon, ascending, and their values and roles."""
        index = self._indexed()
        maybe = np.flatnonzero(index.is_taken[_slot(features.hashes)])
        entries, is_found = self._find(features.hashes[maybe])
        return maybe[is_found], index.values[entries], index.roles[entries]

    def _look_up_phrases(self, features: Features, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the positions where a phrase may start those where one does, and its value."""
        starts = starts[starts + 1 < len(features.hashes)]
        entries, is_found = self._find(_pair(features.hashes[starts], features.hashes[starts + 1]))
        return starts[is_found], self._indexed().values[entries]

    def _find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The entries of the hashes that have one, and which these are."""
        index = self._indexed()
        entries = index.first[_slot(hashes)]
        # Entries of one slot are adjacent; few slots have two.
        while len(behind := np.flatnonzero((index.hashes[entries] < hashes) & (entries < len(index.hashes) - 1))):
            entries[behind] += 1
        is_found = index.hashes[entries] == hashes
        return entries[is_found], is_found

    def _indexed(self) -> _Index:
        if self._index is None:
            hashes = self.hashes.cpu().numpy().view(np.uint64)
            slots = _slot(hashes).astype(np.int64)
            is_taken = np.zeros(1 << _SLOT_BITS, dtype=bool)
            is_taken[slots] = True
            first = np.searchsorted(slots, np.arange(1 << _SLOT_BITS))
            first = np.minimum(first, len(slots) - 1).astype(np.int32)
            self._index = _Index(hashes, self.values.cpu().numpy(), self.roles.cpu().numpy(), is_taken, first)
        return self._index


def _changes(roles: np.ndarray) -> np.ndarray:
    """Which words change what others mean."""
    return (roles != _NONE) & (roles != _STOPS)


def _add_capitals(values: np.ndarray, features: Features, positions: np.ndarray, rows: np.ndarray) -> None:
    """Words in capitals count more where the rest of the tweet has small letters."""
    hits = np.flatnonzero(features.is_shouted[positions])
    if len(hits) == 0:
        return
    shouted = np.flatnonzero(features.is_shouted)
    count_rows = len(features.offsets) - 1
    of_row = np.bincount(np.searchsorted(features.offsets, shouted, side="right") - 1, minlength=count_rows)
    hits = hits[(of_row < np.diff(features.offsets) - 1)[rows[hits]]]
    values[hits] += np.sign(values[hits]) * _CAPITALS


def _apply_words_before(values: np.ndarray, role_at: np.ndarray, positions: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Negate, intensify and dampen values by the up to three words before, of the same row; returns which are negated."""
    is_negated = np.zeros(len(values), dtype=bool)
    is_open = np.ones(len(values), dtype=bool)
    degree = np.zeros(len(values), dtype=np.float32)
    for distance, fading in enumerate(_FADING, start=1):
        roles = np.where(room > distance, role_at[np.maximum(positions - distance, 0)], _NONE)
        degree += _DEGREE * fading * ((roles == _INTENSIFIES) * np.float32(1) - (roles == _DAMPENS))
        is_open &= roles != _STOPS
        is_negated ^= (roles == _NEGATES) & is_open
    values += np.sign(values) * degree
    values[is_negated] *= NEGATED
    return is_negated


def _weigh_clauses(role_at: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How much each word counts: float32, shape (positions,). Words before a row's first `but` count less, those after it
    more; the clause that `although` begins counts less and the rest more."""
    weights = np.ones(int(offsets[-1]), dtype=np.float32)
    contrasts = np.flatnonzero((role_at == _TURNS) | (role_at == _CONCEDES))
    if len(contrasts) == 0:
        return weights
    rows, first = np.unique(np.searchsorted(offsets, contrasts, side="right") - 1, return_index=True)
    begins, contrasts, ends = offsets[rows], contrasts[first], offsets[rows + 1]
    concedes = (role_at[contrasts] == _CONCEDES)[:, None]
    clause_ends = np.append(np.flatnonzero(role_at == _STOPS), len(role_at))
    stops = np.minimum(clause_ends[np.searchsorted(clause_ends, contrasts)], ends)
    # Each of these rows in three: before the contrast, its clause, and the rest.
    lengths = np.stack([contrasts - begins, stops - contrasts, ends - stops], axis=1)
    turned, conceded = (
        np.array(values, dtype=np.float32)
        for values in ((_BEFORE_TURN, _BEHIND_TURN, _BEHIND_TURN), (_BEHIND_TURN, _BEFORE_TURN, _BEHIND_TURN))
    )
    of_rows = np.zeros(len(offsets) - 1, dtype=bool)
    of_rows[rows] = True
    weights[np.repeat(of_rows, np.diff(offsets))] = np.repeat(np.where(concedes, conceded, turned), lengths.ravel())
    return weights


def _slot(hashes: np.ndarray) -> np.ndarray:
    return hashes >> np.uint64(64 - _SLOT_BITS)


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
    listed: tuple[dict[str, Any], ...] = (values, roles)
    for words in listed:
        for word in list(words):
            for stretched in _stretched(word):
                words.setdefault(stretched, words[word])
    phrases = {phrase: float(value) for value, listed_phrases in tweets["phrases"].items() for phrase in listed_phrases}
    starts = {phrase.split()[0] for phrase in phrases}
    symbols = {symbol for listed_symbols in tweets["emoji"].values() for symbol in listed_symbols.split()}
    people = set(rules["people"].split())
    names = sorted(values.keys() | roles.keys() | starts | people)
    flags = {_BEGINS_PHRASE: starts, _SYMBOL: symbols, _PERSON: people}
    for name, word_hash in zip(names, _hash_each(names), strict=True):
        marks = sum(flag for flag, marked in flags.items() if name in marked)
        yield word_hash, (values.get(name, 0.0), roles.get(name, _NONE) | marks)
    first, second = (_hash_each([phrase.split()[place] for phrase in phrases]) for place in (0, 1))
    yield from zip(_pair(first, second).tolist(), ((value, _NONE) for value in phrases.values()), strict=True)


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
