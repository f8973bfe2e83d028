"""Pretrained vectors: the usual formats are read, just the words of the tweets; a broken file is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sentiment.errors import InputError, TrainingError
from sentiment.model.classifier import SentimentModel
from sentiment.model.features import word_buckets
from sentiment.model.words import hash_words
from sentiment.training.config import TrainingConfig, TrainingJob, VectorsConfig
from sentiment.training.fit import fit
from sentiment.training.word_vectors import WordVectors, describe, read_word_vectors
from tests.training.test_fit import FEATURES, KilledError, weights_of, write_subset

GLOVE = "the 0.5 -1 2\n. 1 1 1\ndon't 3 0 4\nDont 9 9 9\nunseen 7 7 7\nalmost . 8 8 8\n"


def vocabulary(*words: str) -> tuple[np.ndarray, np.ndarray]:
    hashes = np.sort(hash_words(pl.Series(words)).hashes)
    return hashes, np.ones(len(hashes), dtype=np.int64)


def vector_of(found: WordVectors, word: str) -> list[float] | None:
    place = found.places[np.searchsorted(found.hashes, hash_words(pl.Series([word])).hashes[0])]
    return None if place < 0 else found.vectors[place].tolist()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("header", ["", "6 3\n"])
def test_words_of_the_tweets_get_their_vectors_in_either_format(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "vectors.txt", header + GLOVE)
    found = read_word_vectors(path, *vocabulary("the", "dont", "almost", "other"))
    length = np.sqrt((0.25 + 1 + 4 + 9 + 16) / 2)
    assert len(found.vectors) == 2, "one of a word that no tweet has, or of two words, is not read"
    assert vector_of(found, "the") == pytest.approx((np.array([0.5, -1, 2]) / length).tolist())
    assert vector_of(found, "dont") == pytest.approx((np.array([3, 0, 4]) / length).tolist()), "the first counts"
    assert vector_of(found, "almost") is None
    assert vector_of(found, "other") is None


def test_a_bucket_has_the_vector_of_its_most_frequent_word() -> None:
    hashes = np.sort(hash_words(pl.Series([f"word{number}" for number in range(40)])).hashes)
    counts = np.random.default_rng(0).permutation(40)
    places = np.where(np.arange(40) % 3 == 0, -1, np.cumsum(np.arange(40) % 3 != 0) - 1)
    vectors = np.arange(places.max() + 1, dtype=np.float32)[:, None] + 1
    given, has_vector = WordVectors(hashes, counts, places, vectors).by_bucket(4, 2)
    buckets = word_buckets(hashes, 4, 2)
    for bucket in range(16):
        members = np.flatnonzero(buckets == bucket)
        place = places[members[np.argmax(counts[members])]] if len(members) else -1
        assert has_vector[bucket] == (place >= 0)
        assert given[bucket, 0] == (vectors[place, 0] if place >= 0 else 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "None of the 0 words"),
        (b"\x00\x01\x02 binary", "is no text file of word vectors"),
        (b"one_word_a_line\nanother\n", "is no text file of word vectors"),
        (b"the 1 2 3\nother 1 2\n", "line 2: found 2 values behind the word"),
        (b"the 1 2 3\nother 1 2 x\n", "line 2.*expected 3 finite numbers"),
        (b"2 3\nthe 1 2 3\nother 1 nan 2\n", "line 3.*expected 3 finite numbers"),
        (b"unseen 1 2 3\n", "None of the 1 words"),
    ],
)
def test_what_is_no_file_of_vectors_is_refused_with_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_word_vectors(path, *vocabulary("the", "other"))


def test_a_missing_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        describe(tmp_path / "none.vec")
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        read_word_vectors(tmp_path / "none.vec", *vocabulary("the"))


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    return write_subset(tmp_path / "subset.parquet", 600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    chance = np.random.default_rng(4)
    words = ["lovely", "great", "awful", "sad", "rain", "exam"]
    lines = [f"{word} {' '.join(map(str, chance.normal(size=8).round(4)))}" for word in words]
    return write(tmp_path / "vectors.vec", "\n".join([f"{len(words)} 8", *lines]) + "\n")


def train(subset: Path, path: Path | None, *, effort: int = 2, **options):  # type: ignore[no-untyped-def]
    vectors = path and describe(path)
    config = TrainingConfig(effort=effort, features=FEATURES, vectors=vectors, checkpoint_rows=150)
    fed = subset.with_name("fed.parquet")
    return fit(TrainingJob(600, config, 1, word_vectors=path), subset, fed_rows_path=fed, **options)


def test_a_model_trained_with_vectors_does_not_need_their_file(subset: Path, path: Path, tmp_path: Path) -> None:
    result = train(subset, path)
    assert weights_of(result) != weights_of(train(subset, None))
    assert weights_of(result) == weights_of(train(subset, path))
    path.unlink()
    result.model.save(tmp_path / "model")
    texts = ["lovely rain", "great bus", "awful rain", "sad bus"]
    probability = SentimentModel.load(tmp_path / "model").predict_probability(texts)
    assert np.array_equal(probability, result.model.predict_probability(texts))
    assert (probability > 0.5).tolist() == [True, True, False, False]


def test_a_killed_run_with_vectors_goes_on_to_the_same_weights(subset: Path, path: Path, tmp_path: Path) -> None:
    def kill(progress: object) -> None:
        if next(calls) == 8:
            raise KilledError

    calls = iter(range(100))
    with pytest.raises(KilledError):
        train(subset, path, on_progress=kill, checkpoint_folder=tmp_path / "checkpoint")
    resumed: list[object] = []
    again = train(subset, path, on_progress=resumed.append, checkpoint_folder=tmp_path / "checkpoint")
    assert len(resumed) < 12
    assert weights_of(again) == weights_of(train(subset, path))


def test_vectors_need_an_encoder(subset: Path, path: Path) -> None:
    with pytest.raises(TrainingError, match="expected effort 2 or more"):
        train(subset, path, effort=1)


def test_a_file_is_known_by_what_is_in_it(path: Path) -> None:
    found = describe(path)
    copy = path.rename(path.with_name("renamed.vec"))
    assert describe(copy) == found == VectorsConfig(digest=found.digest)
    copy.write_text(copy.read_text() + "more 1 2 3 4 5 6 7 8\n")
    assert describe(copy) != found
