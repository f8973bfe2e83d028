"""Puts tweets together whose polarity follows from their composition, for a whole chunk of rows at once.

The polarity of a tweet is chosen first and then said in one of the ways that a language has: an opinion word of some
strength, the opposite word negated ("isn't bad", "nothing annoying about"), an event whose parts multiply (lost + good
thing, lost + bad thing), a property that is welcome in one noun and not in another (a long holiday, a long queue), or
two clauses of which the latter wins after "but" and the former before "although". Single words therefore tell only
part of it; pairs and triples of words tell more, the more of them one has seen.

How strongly a tweet speaks shows in its words and decides how often its label is wrong (`LABEL_NOISE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sentiment.sample.vocabulary import Choices, Form, Vocabulary

# Share of tweets by strength (weak, medium, strong) and how often the label of each is the wrong one: 17 % in all, what
# people who relabelled real tweets found.
STRENGTH_SHARE = np.array([0.3, 0.4, 0.3])
LABEL_NOISE = np.array([0.27, 0.16, 0.09])

# By true polarity; the label noise makes of it 37.6 % of negative and 54.7 % of positive labels, as in the real data.
_MENTION_SHARE = {-1: 0.331, 0: 0.46, 1: 0.599}
# Shares of tweets in two clauses: of one mind; "A but B"; "B although A"; "although A, B". The others have one.
_TWO_CLAUSES = [0.5, 0.06, 0.025, 0.015]
_LINK_SHARE, _HASHTAG_SHARE = 0.047, 0.019
_LEAD_SHARE, _TAIL_SHARE, _NEWS_SHARE = 0.45, 0.75, 0.2
_OPENER_SHARE, _OPENER_NEUTRAL_SHARE = 0.42, 0.15
_SLANG_SHARE, _LOUD_SHARE = 0.1, 0.015
# Of one column of words; often an empty one, so that about a third of these rows change.
_MISSPELT_SHARE, _ELONGATED_SHARE, _EMPHATIC_SHARE = 0.36, 0.18, 0.24
_CLAUSE_WIDTH = 9
_TWEET_BYTES = 140


@dataclass(frozen=True)
class Tweets:
    """A chunk of texts: fragment numbers (rows, columns), and the topic of each row (rows,)."""

    text: np.ndarray
    topic: np.ndarray


class _Setting(NamedTuple):
    """What the choices within a tweet depend on: whole numbers, shape (rows,)."""

    strength: np.ndarray
    topic: np.ndarray
    day: np.ndarray

    def of(self, rows: np.ndarray) -> _Setting:
        return _Setting(self.strength[rows], self.topic[rows], self.day[rows])


class Composer:
    """Writes tweets with the fragments of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        table = vocabulary.table
        names = [f" @gen_{name}" for name in vocabulary.phrases["marks"]["names"]]
        self._mentions = Choices([table.add_all(names)])
        self._suffixes = table.add_all([*([""] * 30), *(str(number) for number in range(200))])
        self._hashtags = Choices([vocabulary.words(vocabulary.phrases["marks"]["hashtags"])])

    def tweets(self, rng: np.random.Generator, truth: np.ndarray, strength: np.ndarray, day: np.ndarray) -> Tweets:
        """Compose one tweet a row.

        Args:
            truth: polarity to express, shape (rows,): 1 positive, -1 negative, 0 none.
            strength: index into `STRENGTH_SHARE`, shape (rows,).
            day: whole days since 6 April 2009, shape (rows,), ascending.
        """
        vocabulary, rows = self._vocabulary, len(truth)
        topic = self._topics(rng, truth, day)
        setting = _Setting(strength, topic, day)
        kind = np.searchsorted(np.cumsum(_TWO_CLAUSES), rng.random(rows), side="right")
        is_double = kind == 0
        # What is turned or conceded is the opposite, and no opinion has none.
        is_turn, is_concession, is_reversed = ((kind == number) & (truth != 0) for number in (1, 2, 3))
        has_second = is_double | is_turn | is_concession | is_reversed
        first = self._clauses(rng, np.where(is_turn | is_reversed, -truth, truth), setting)
        second = self._clauses(rng, np.where(is_concession, -truth, truth), setting)
        second[~has_second] = 0
        joint = np.zeros(rows, dtype=np.int32)
        for chosen, name in ((is_double, "agree"), (is_turn, "turn"), (is_concession, "concede")):
            joint[chosen] = vocabulary.joints[name].at(rng.random(int(chosen.sum())))
        joint[is_reversed] = vocabulary.comma
        before = np.zeros((rows, 1), dtype=np.int32)
        before[is_reversed, 0] = rng.choice(vocabulary.concede_first, int(is_reversed.sum()))

        lead = self._phrases(rng, vocabulary.leads, rng.random(rows) < _LEAD_SHARE, 7)
        lead[lead[:, 0] != 0, -1] = rng.choice(vocabulary.lead_marks, int((lead[:, 0] != 0).sum()))
        tail = self._phrases(rng, vocabulary.tails, rng.random(rows) < _TAIL_SHARE, 5)
        mention = self._mention(rng, truth)
        opener = self._opener(rng, truth)
        ending = vocabulary.endings.at(rng.random(rows), strength)[:, None]
        hashtag = np.where(rng.random(rows) < _HASHTAG_SHARE, self._hashtags.at(rng.random(rows)), 0)[:, None]
        link = np.where(rng.random(rows) < _LINK_SHARE, rng.choice(vocabulary.links, rows), 0)[:, None]
        length = vocabulary.table.lengths
        fixed = sum(
            length(part) for part in (mention, opener, before, first, joint[:, None], second, ending, hashtag, link)
        )
        lead[fixed + length(lead) > _TWEET_BYTES] = 0
        tail[fixed + length(lead) + length(tail) > _TWEET_BYTES] = 0
        words = np.hstack([opener, lead, before, first, joint[:, None], second, tail]).astype(np.int32)
        return Tweets(np.hstack([mention, self._styled(rng, words), ending, hashtag, link]).astype(np.int32), topic)

    def _topics(self, rng: np.random.Generator, truth: np.ndarray, day: np.ndarray) -> np.ndarray:
        topic = np.empty(len(truth), dtype=np.int64)
        uniform = rng.random(len(truth))
        for today in np.unique(day):
            for polarity in (-1, 0, 1):
                rows = np.flatnonzero((day == today) & (truth == polarity))
                weights = np.cumsum(self._vocabulary.topics.weights(float(today), polarity))
                topic[rows] = np.searchsorted(weights, uniform[rows] * weights[-1], side="right")
        return topic

    def _clauses(self, rng: np.random.Generator, truth: np.ndarray, setting: _Setting) -> np.ndarray:
        clauses = np.zeros((len(truth), _CLAUSE_WIDTH), dtype=np.int32)
        for polarity, (forms, weights) in self._vocabulary.clauses.items():
            rows = np.flatnonzero(truth == polarity)
            chosen = np.searchsorted(weights, rng.random(len(rows)), side="right")
            for number, form in enumerate(forms):
                at = rows[chosen == number]
                clauses[at, : len(form)] = self._filled(rng, form, setting.of(at))
        return clauses

    def _phrases(self, rng: np.random.Generator, forms: list[Form], wanted: np.ndarray, width: int) -> np.ndarray:
        phrases = np.zeros((len(wanted), width), dtype=np.int32)
        chosen = np.where(wanted, rng.integers(0, len(forms), len(wanted)), -1)
        for number, form in enumerate(forms):
            at = np.flatnonzero(chosen == number)
            nothing = np.zeros(len(at), dtype=np.int64)
            phrases[at, : len(form)] = self._filled(rng, form, _Setting(nothing, nothing, nothing))
        return phrases

    def _filled(self, rng: np.random.Generator, form: Form, setting: _Setting) -> np.ndarray:
        """One form for many rows: (rows, parts)."""
        rows = len(setting.topic)
        filled = np.empty((rows, len(form)), dtype=np.int32)
        shared = rng.random(rows)
        groups: dict[str, np.ndarray | int] = {
            "strength": setting.strength,
            "topic": setting.topic,
            "pair": setting.topic,
        }
        for column, part in enumerate(form):
            if isinstance(part, int):
                filled[:, column] = part
                continue
            uniform = shared if part.by == "pair" else rng.random(rows)
            filled[:, column] = part.choices.at(uniform, groups.get(part.by, 0))
            if part.is_thing:
                self._replace_by_news(rng, filled[:, column], setting)
        return filled

    def _replace_by_news(self, rng: np.random.Generator, things: np.ndarray, setting: _Setting) -> None:
        """One subject in five is the topic's latest news, once there is any."""
        topics, rows = self._vocabulary.topics, len(things)
        known = topics.news_known[setting.topic, np.clip(setting.day, 0, topics.news_known.shape[1] - 1)]
        age = (rng.random(rows) ** 3 * known).astype(np.int64)
        is_news = (rng.random(rows) < _NEWS_SHARE) & (known > 0)
        things[is_news] = topics.news_numbers[(topics.news_starts[setting.topic] + known - 1 - age)[is_news]]

    def _mention(self, rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
        share = np.select([truth < 0, truth > 0], [_MENTION_SHARE[-1], _MENTION_SHARE[1]], _MENTION_SHARE[0])
        has_mention = rng.random(len(truth)) < share
        name = self._mentions.at(rng.random(len(truth)))
        return np.where(has_mention[:, None], np.stack([name, rng.choice(self._suffixes, len(truth))], axis=1), 0)

    def _opener(self, rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
        """An interjection before two tweets in five; one in seven of them says nothing about the polarity."""
        opener = np.zeros((len(truth), 2), dtype=np.int32)
        mood = np.where(rng.random(len(truth)) < _OPENER_NEUTRAL_SHARE, 0, truth)
        wanted = rng.random(len(truth)) < _OPENER_SHARE
        for polarity, choices in self._vocabulary.openers.items():
            rows = np.flatnonzero(wanted & (mood == polarity))
            opener[rows, 0] = choices.at(rng.random(len(rows)))
            opener[rows, 1] = rng.choice(self._vocabulary.opener_marks, len(rows))
        return opener

    def _styled(self, rng: np.random.Generator, words: np.ndarray) -> np.ndarray:
        """Slang, misspellings, elongations and capitals."""
        vocabulary, rows = self._vocabulary, len(words)
        is_slang = rng.random(rows) < _SLANG_SHARE
        words[is_slang] = vocabulary.slang[words[is_slang]]
        for share, lookups in ((_MISSPELT_SHARE, vocabulary.misspelt), (_ELONGATED_SHARE, vocabulary.elongated)):
            changed = np.flatnonzero(rng.random(rows) < share)
            column = rng.integers(0, words.shape[1], len(changed))
            lookup = rng.integers(0, len(lookups), len(changed))
            words[changed, column] = lookups[lookup, words[changed, column]]
        is_loud = np.zeros(words.shape, dtype=bool)
        is_loud[rng.random(rows) < _LOUD_SHARE] = True
        emphatic = np.flatnonzero(rng.random(rows) < _EMPHATIC_SHARE)
        is_loud[emphatic, rng.integers(0, words.shape[1], len(emphatic))] = True
        words[is_loud] = vocabulary.shouted[words[is_loud]]
        return words
