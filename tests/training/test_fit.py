"""Training streams a prefix of the subset, writes down what it fed, and ends in the same weights through any kill."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open

from sentiment.errors import ModelError, TrainingError
from sentiment.model import hashing, operators
from sentiment.model.features import FeatureConfig
from sentiment.training.calibration import fit_calibration, fit_weights, log_loss, raise_last_weight
from sentiment.training.checkpoint import read_checkpoint
from sentiment.training.config import PASSES, TrainingConfig, TrainingJob
from sentiment.training.fit import Progress, TrainingResult, fit

FEATURES = FeatureConfig(ngram_bits=12, word_bits=8, vector_bits=8, pair_bits=8)
GROUP_ROWS = 100
TOPICS = ["rain", "exam", "coffee", "football", "holiday", "bus", "music", "dinner"]


def write_subset(path: Path, count_rows: int, labels: np.ndarray | None = None) -> Path:
    """Tweets whose label follows from a word, about topics that say nothing; every tenth text comes twice."""
    chance = np.random.default_rng(3)
    labels = np.arange(count_rows) % 2 if labels is None else labels
    texts = [
        f"{chance.choice(['lovely', 'great'] if label else ['awful', 'sad'])} {chance.choice(TOPICS)} {number // 20}"
        for number, label in enumerate(labels)
    ]
    for number in range(20, count_rows, 10):
        texts[number] = texts[number - 10 - labels[number] + labels[number - 10]]
    keys = hashing.hash_strings(pl.Series(texts)).view(np.int64)
    frame = pl.DataFrame(
        {"tweet_id": np.arange(count_rows) + 1000, "text_key": keys, "label": labels.astype(np.int8), "text": texts},
        schema={"tweet_id": pl.Int64, "text_key": pl.Int64, "label": pl.Int8, "text": pl.String},
    )
    frame.write_parquet(path, row_group_size=GROUP_ROWS)
    return path


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    return write_subset(tmp_path / "subset.parquet", 600)


def train(subset: Path, rows: int = 600, *, effort: int = 2, seed: int = 1, **options) -> TrainingResult:  # type: ignore[no-untyped-def]
    config = TrainingConfig(effort=effort, features=FEATURES, checkpoint_rows=150)
    return fit(TrainingJob(rows, config, seed), subset, fed_rows_path=subset.with_name("fed.parquet"), **options)


def weights_of(result: TrainingResult) -> dict[str, list[float]]:
    tensors = {name: value.flatten().tolist() for name, value in result.model.state_dict().items()}
    config = result.model.config
    return tensors | {"calibration": [*config.weights.tolist(), *config.calibration.model_dump().values()]}


@pytest.mark.parametrize("effort", [1, 2])
def test_the_model_learns_what_the_labels_follow(subset: Path, effort: int) -> None:
    result = train(subset, effort=effort)
    probability = result.model.predict_probability(["lovely rain", "great bus", "awful rain", "sad bus"])
    assert (probability > 0.5).tolist() == [True, True, False, False]
    assert result.early_stop_accuracy > 0.8
    assert (result.model.encoders is None) == (effort == 1)


def test_exactly_the_prefix_is_fed_each_row_once(subset: Path) -> None:
    result = train(subset, 450)
    fed = pl.read_parquet(subset.with_name("fed.parquet"))
    prefix = pl.read_parquet(subset).head(450)
    assert fed.columns == ["tweet_id", "text_key", "purpose"]
    assert fed.sort("tweet_id").select("tweet_id", "text_key").equals(prefix.select("tweet_id", "text_key"))
    counts = dict(fed["purpose"].value_counts().iter_rows())
    assert set(counts) == {"train", "early_stopping"}
    assert counts["train"] == result.count_train_rows
    assert 0 < counts["early_stopping"] < 0.15 * 450


def test_equal_texts_are_all_trained_on_or_all_held_back(subset: Path) -> None:
    result = train(subset)
    fed = pl.read_parquet(subset.with_name("fed.parquet"))
    assert fed["text_key"].n_unique() < len(fed)
    assert (fed.group_by("text_key").agg(pl.col("purpose").n_unique())["purpose"] == 1).all()
    held_back = fed.filter(pl.col("purpose") == "early_stopping")["text_key"].n_unique()
    assert result.count_early_stopping_rows == held_back


def test_a_seed_gives_the_same_weights(subset: Path) -> None:
    first = weights_of(train(subset, seed=5))
    assert weights_of(train(subset, seed=5)) == first
    assert weights_of(train(subset, seed=6)) != first


def test_the_number_of_threads_does_not_change_the_weights(subset: Path) -> None:
    threads = torch.get_num_threads()
    first = weights_of(train(subset))
    try:
        torch.set_num_threads(threads + 1)
        assert weights_of(train(subset)) == first
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_after_groups", [1, 3, 6, 7, 11])
def test_a_killed_run_goes_on_to_the_same_weights(subset: Path, tmp_path: Path, killed_after_groups: int) -> None:
    whole = train(subset)
    fed = pl.read_parquet(subset.with_name("fed.parquet"))
    calls: list[Progress] = []

    def kill(progress: Progress) -> None:
        calls.append(progress)
        if len(calls) == killed_after_groups:
            raise KilledError

    with pytest.raises(KilledError):
        train(subset, on_progress=kill, checkpoint_folder=tmp_path / "checkpoint")
    resumed: list[Progress] = []
    result = train(subset, on_progress=resumed.append, checkpoint_folder=tmp_path / "checkpoint")
    assert weights_of(result) == weights_of(whole)
    assert pl.read_parquet(subset.with_name("fed.parquet")).equals(fed)
    assert [point | {"seconds": 0} for point in result.curve] == [point | {"seconds": 0} for point in whole.curve]
    assert len(resumed) <= 12 - (killed_after_groups - 1) // 2 * 2
    assert list((tmp_path / "checkpoint").iterdir()) == []


def test_a_checkpoint_of_another_run_or_a_torn_one_is_not_used(subset: Path, tmp_path: Path) -> None:
    def kill(progress: Progress) -> None:
        if progress.rows_done > 400:
            raise KilledError

    folder = tmp_path / "checkpoint"
    with pytest.raises(KilledError):
        train(subset, seed=1, on_progress=kill, checkpoint_folder=folder)
    other = weights_of(train(subset, seed=2))
    assert weights_of(train(subset, seed=2, checkpoint_folder=folder)) == other
    with pytest.raises(KilledError):
        train(subset, seed=2, on_progress=kill, checkpoint_folder=folder)
    file = folder / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    assert weights_of(train(subset, seed=2, checkpoint_folder=folder)) == other


def test_a_checkpoint_with_a_flipped_bit_is_not_used(subset: Path, tmp_path: Path) -> None:
    def kill(progress: Progress) -> None:
        if progress.rows_done > 400:
            raise KilledError

    folder = tmp_path / "checkpoint"
    with pytest.raises(KilledError):
        train(subset, on_progress=kill, checkpoint_folder=folder)
    path = folder / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        run = file.metadata()["run"]
    assert read_checkpoint(folder, run) is not None
    whole = path.read_bytes()
    for position in np.random.default_rng(7).integers(0, len(whole) * 8, 60).tolist():
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert read_checkpoint(folder, run) is None


def test_a_run_that_fails_leaves_no_list_of_fed_rows(subset: Path) -> None:
    def kill(progress: Progress) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        train(subset, on_progress=kill)
    assert [path.name for path in subset.parent.iterdir()] == ["subset.parquet"]


def test_progress_and_curve_count_the_rows_of_all_passes(subset: Path) -> None:
    seen: list[Progress] = []
    result = train(subset, on_progress=seen.append)
    total = PASSES * result.count_train_rows
    assert seen[-1].rows_done == seen[-1].rows_total == total
    assert [point["rows_seen"] for point in result.curve] == [result.count_train_rows, total]
    assert set(result.curve[0]) == {"rows_seen", "loss", "early_stop_accuracy", "early_stop_loss", "seconds"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(200, dtype=int), "Found 0 positive rows"),
        (np.ones(200, dtype=int), "Found 0 negative rows"),
        (np.arange(20) % 2, "at least 20 of each class"),
        (np.zeros(0, dtype=int), "Found 0 negative rows to train on among 0"),
    ],
)
def test_too_few_of_a_class_is_said_with_numbers(tmp_path: Path, labels: np.ndarray, words: str) -> None:
    path = write_subset(tmp_path / "subset.parquet", len(labels), labels)
    with pytest.raises(TrainingError, match=words):
        train(path, len(labels))


def test_more_rows_than_there_are_is_refused(subset: Path) -> None:
    with pytest.raises(TrainingError, match="601 rows, but the subset holds 600"):
        train(subset, 601)


def test_calibration_softens_what_is_too_sure_and_drops_what_is_noise() -> None:
    chance = np.random.default_rng(1)
    truth = chance.normal(size=5000) * 2
    labels = (chance.random(5000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    logits = np.stack([truth * 4, chance.normal(size=5000) * 3], axis=1)
    weights = fit_weights(logits, labels)
    assert weights == pytest.approx([0.25, 0.0], abs=0.03)
    assert log_loss(logits @ weights, labels) < log_loss(logits[:, 0], labels)


def test_the_last_part_is_trusted_as_far_as_the_tolerance_goes() -> None:
    chance = np.random.default_rng(5)
    truth = chance.normal(size=40_000) * 2
    labels = (chance.random(40_000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    logits = np.stack([truth, np.sign(truth) * (chance.random(40_000) < 0.7)], axis=1)
    best = fit_weights(logits, labels)
    calibrated = fit_calibration(logits @ best, labels)(logits @ best)
    costs = []
    for tolerance in (0.0, 0.005, 0.02):
        weights = raise_last_weight(logits, labels, best, calibrated, tolerance)
        costs.append(float(np.mean(((logits @ best) > 0) == labels) - np.mean(((logits @ weights) > 0) == labels)))
    assert costs == pytest.approx([0.0, 0.0, 0.0], abs=0.004), "a part that agrees costs nothing"
    assert weights[1] / weights[0] == pytest.approx(2 / best[0], abs=0.01)
    assert np.mean((logits @ weights) ** 2) == pytest.approx(np.mean((logits @ best) ** 2))
    opposed = np.stack([truth, chance.choice([-1.0, 1.0], 40_000)], axis=1)
    best = fit_weights(opposed, labels)
    calibrated = fit_calibration(opposed @ best, labels)(opposed @ best)
    small, large = (raise_last_weight(opposed, labels, best, calibrated, tolerance)[1] for tolerance in (0.005, 0.02))
    assert max(best[1], 0) < small < large < 2
    right = [np.mean((opposed @ np.array([best[0], weight]) > 0) == labels) for weight in (max(best[1], 0), large)]
    assert right[0] - right[1] == pytest.approx(0.02, abs=0.006)


def test_the_fewer_rows_there_are_the_more_the_last_part_is_trusted() -> None:
    chance = np.random.default_rng(6)
    truth = chance.normal(size=40_000) * 2
    labels = (chance.random(40_000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    logits = np.stack([truth, chance.choice([-1.0, 1.0], 40_000)], axis=1)
    best = np.array([1.0, 0.0])
    raised = [raise_last_weight(logits[:n], labels[:n], best, truth[:n], 0.003)[1] for n in (200, 2_000, 40_000)]
    assert raised[0] > raised[1] > raised[2] > 0


def test_calibration_of_a_handful_of_rows_stays_near_its_prior() -> None:
    weights = fit_weights(np.array([[9.0], [-8.0], [7.0]]), np.array([1, 0, 1]))
    assert weights == pytest.approx([1.0], abs=0.1)


def test_calibration_scales_each_side_and_keeps_the_order() -> None:
    chance = np.random.default_rng(2)
    truth = chance.normal(size=20_000) * 2
    labels = (chance.random(20_000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    shown = np.where(truth > 0, truth / 2, truth * 2) + 0.3
    calibration = fit_calibration(shown, labels)
    assert calibration.b > 1.2
    assert calibration.a < 0.8
    assert log_loss(calibration(shown), labels) < log_loss(shown, labels) - 0.01
    assert np.all(np.diff(calibration(np.linspace(-20, 20, 500))) > 0)


def test_calibration_undoes_label_smoothing() -> None:
    chance = np.random.default_rng(6)
    truth = 1 / (1 + np.exp(-3 * chance.normal(size=40_000)))
    labels = (chance.random(40_000) < truth).astype(np.int8)
    softened = 0.1 + 0.8 * truth
    shown = np.log(softened / (1 - softened))
    calibration = fit_calibration(shown, labels)
    assert calibration.signed_square > 0.1
    assert np.mean(np.abs(1 / (1 + np.exp(-calibration(shown))) - truth)) < 0.015
    assert np.all(np.diff(calibration(np.linspace(-20, 20, 500))) > 0)


def test_labels_against_the_logits_never_turn_the_order_round() -> None:
    logits = np.linspace(-3, 3, 400)
    calibration = fit_calibration(logits, (logits < 0).astype(np.int8))
    assert np.all(np.diff(calibration(logits)) > 0)


def test_without_a_gpu_auto_trains_on_the_cpu_and_cuda_is_refused(
    subset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    job = TrainingJob(600, TrainingConfig(features=FEATURES), device="auto")
    fit(job, subset, fed_rows_path=subset.with_name("fed.parquet"))
    with pytest.raises(ModelError, match="torch finds none") as refusal:
        fit(dataclasses.replace(job, device="cuda"), subset, fed_rows_path=subset.with_name("fed.parquet"))
    assert "auto or cpu" in str(refusal.value)


def test_plain_torch_trains_to_the_same_probabilities_as_the_compiled_loops(
    subset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["lovely rain", "great bus", "awful rain", "sad bus"]
    compiled = train(subset).model.predict_probability(texts)
    monkeypatch.setattr(operators, "COMPILED_DEVICES", set())
    np.testing.assert_allclose(train(subset).model.predict_probability(texts), compiled, atol=1e-3)
