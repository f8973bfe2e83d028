"""Where models train and score, with and without a GPU. No GPU is needed: only the choice is looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.device import choose_device, for_few_texts, for_many_texts
from sentiment.model.errors import ModelError
from sentiment.scoring.worker import describe_model, load_model
from sentiment.training.config import EFFORTS


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine with a GPU, to which models only seem to be moved; where they were moved."""
    places: list[torch.device] = []

    def to(model: SentimentModel, place: torch.device) -> SentimentModel:
        places.append(place)
        return model

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(SentimentModel, "to", to)
    return places


@pytest.mark.parametrize(
    ("device", "gains", "chosen"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cuda", False, "cuda"),
        ("cpu", True, "cpu"),
    ],
)
@pytest.mark.usefixtures("with_gpu")
def test_auto_takes_the_gpu_where_it_is_faster(device: str, gains: bool, chosen: str) -> None:
    assert choose_device(device, gains=gains) == torch.device(chosen)  # type: ignore[arg-type]


def test_without_a_gpu_one_that_is_asked_for_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", gains=True) == torch.device("cpu")
    with pytest.raises(ModelError, match=r"torch finds none.*SENTIMENT_DEVICE"):
        choose_device("cuda", gains=True)


@pytest.mark.parametrize(("effort", "many"), [(1, "cpu"), (2, "cuda")])
def test_many_texts_go_to_the_gpu_if_there_are_encoders_and_few_do_not(
    with_gpu: list[torch.device], effort: int, many: str
) -> None:
    model = SentimentModel(ModelConfig(encoder=EFFORTS[effort]))
    for_many_texts(model, "auto")
    for_few_texts(model, "auto")
    assert with_gpu == [torch.device(many), torch.device("cpu")]


def test_a_worker_puts_the_model_where_the_task_says(
    with_gpu: list[torch.device], lexicon_model: Callable[[int], SentimentModel], tmp_path: Path
) -> None:
    lexicon_model(20).save(tmp_path / "model")
    files = describe_model(tmp_path / "model")
    load_model.cache_clear()
    load_model(files, "cuda")
    load_model(files, "cpu")
    assert with_gpu == [torch.device("cuda"), torch.device("cpu")]
