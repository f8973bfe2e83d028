"""What goes in and comes out of the API: the schemas in its OpenAPI document are the ones that bodies are checked with.

A body is parsed by orjson and checked by pydantic in one pass over a plain list of strings; answers are put together from
bytes, their numbers written by orjson all at once. So a batch of 1,000 tweets costs well below 1 ms besides the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sentiment.api.batching import Answer
from sentiment.errors import InputError

MAX_TEXTS = 10_000
MAX_CHARACTERS = 10_000
MAX_EXPLAINED = 100
_BEGINNINGS = {
    label: b'"label":"%b","probability_positive":' % label.encode() for label in ("negative", "neutral", "positive")
}

Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]
Explain = Annotated[
    bool, Field(description=f"Also say which words pushed which way; for up to {MAX_EXPLAINED} texts at once.")
]


class OneText(BaseModel):
    """One text."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"text": "what a lovely morning"}, {"text": "what a lovely morning", "explain": True}]
        },
    )

    text: Text = Field(description="The text of a tweet.")
    explain: Explain = False


class ManyTexts(BaseModel):
    """Up to 10,000 texts, all predicted by the same model version."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"texts": ["what a lovely morning", "my phone died again"]}]},
    )

    texts: list[Text] = Field(min_length=1, max_length=MAX_TEXTS, description="Texts of tweets.")
    explain: Explain = False


class Word(BaseModel):
    """What a word pushed."""

    token: str = Field(description="The word as the model reads it.")
    contribution: float = Field(description="What it adds to the logit: above zero pushes towards positive.")


class Prediction(BaseModel):
    """What the champion says of one text."""

    label: Literal["negative", "neutral", "positive"] = Field(
        description="neutral from a probability_neutral of 0.5 on, else the likelier side; never neutral with two labels."
    )
    probability_positive: float = Field(
        ge=0, le=1, description="Calibrated probability that the text is positive rather than negative."
    )
    probability_neutral: float | None = Field(
        default=None, ge=0, le=1, description="Probability that the text shows no mood; left out with two labels."
    )
    explanation: list[Word] | None = Field(
        default=None, description="Its words in reading order and what each pushed; only when `explain` is true."
    )


class OneAnswer(Prediction):
    """The answer to one text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "label": "positive",
                    "probability_positive": 0.9312,
                    "probability_neutral": 0.1745,
                    "model_version": 3,
                }
            ]
        }
    )

    model_version: int = Field(description="The version that predicted it.")


class ManyAnswers(BaseModel):
    """The answer to many texts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model_version": 3,
                    "predictions": [
                        {"label": "positive", "probability_positive": 0.9312, "probability_neutral": 0.1745},
                        {"label": "negative", "probability_positive": 0.0481, "probability_neutral": 0.2148},
                    ],
                }
            ]
        }
    )

    model_version: int = Field(description="The version that predicted all of them.")
    predictions: list[Prediction] = Field(description="One for each text, in their order.")


class Model(BaseModel):
    """The version that answers, and how it did on the hold-out when it was trained."""

    model_name: str = Field(description="Name of the registered model in MLflow.")
    model_version: int = Field(description="The version that answers.")
    run_id: str = Field(description="The MLflow run that trained it.")
    loaded_at: datetime = Field(description="Since when it answers here.")
    champion_version: int = Field(
        description="The version that is champion; another one than `model_version` only if it cannot be loaded."
    )
    problem: str | None = Field(description="Why the champion does not answer; null when it does.")
    has_encoder: bool = Field(description="Whether it has a sequence encoder in addition to the n-grams.")
    count_train_rows: int | None = Field(description="Tweets that it was trained on.")
    holdout_accuracy: float | None = Field(description="Share of hold-out tweets that it labelled right, 0 to 1.")
    holdout_accuracy_lower: float | None = Field(description="Lower end of the 95 % interval.")
    holdout_accuracy_upper: float | None = Field(description="Upper end of the 95 % interval.")
    holdout_calibration_error: float | None = Field(description="Expected calibration error on the hold-out.")


class Day(BaseModel):
    """The champion's predictions of the tweets of one day."""

    day: date = Field(description="Day of posting, in UTC.")
    count_tweets: int = Field(description="Tweets posted.")
    count_positive: int = Field(description="Of these, predicted positive.")
    share_positive: float = Field(description="Share predicted positive, 0 to 1.")
    mean_probability_positive: float = Field(description="Mean probability of positive, 0 to 1.")
    count_neutral: int = Field(description="Tweets predicted neutral.")
    estimated_share_positive: float | None = Field(
        description="Estimated true share of positive tweets, corrected for what the champion gets wrong; null if unknown."
    )
    estimated_share_lower: float | None = Field(description="Lower end of its 95 % interval.")
    estimated_share_upper: float | None = Field(description="Upper end of its 95 % interval.")


class DailySentiment(BaseModel):
    """The last days of the view `daily_sentiment` in the published snapshot."""

    model_version: int | None = Field(description="The version that scored them; null before anything is scored.")
    days: list[Day] = Field(description="Days on which tweets were posted, in order; the last is the newest.")


class Status(BaseModel):
    """That the process runs."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """That there is a model to answer with."""

    status: Literal["ready"] = "ready"
    model_version: int = Field(description="The version that answers.")


class Problem(BaseModel):
    """Why a request was not answered, and what to do."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"detail": "There is no champion yet. Train one: sentiment retrain"}]}
    )

    detail: str = Field(description="What was found, what was expected, what to do.")


PREDICT_SCHEMA: dict[str, Any] = {"oneOf": [OneText.model_json_schema(), ManyTexts.model_json_schema()]}


@dataclass(frozen=True)
class Question:
    """What a request asks."""

    texts: list[str]
    is_batch: bool
    is_explained: bool


def parse_question(body: bytes) -> Question:
    """What a body asks.

    Raises:
        InputError: the body is not JSON, or not one of the two forms.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f'The body is not JSON ({error}). Expected for example {{"text": "what a day"}}.') from error
    if not isinstance(found, dict) or ("text" in found) == ("texts" in found):
        raise InputError(
            'Expected a JSON object with either "text", a string, or "texts", a list of strings: '
            'for example {"text": "what a day"}.'
        )
    try:
        if "text" in found:
            one = OneText.model_validate(found)
            return Question([one.text], is_batch=False, is_explained=one.explain)
        many = ManyTexts.model_validate(found)
    except ValidationError as error:
        raise InputError(sentence_of(error.errors())) from error
    if many.explain and len(many.texts) > MAX_EXPLAINED:
        raise InputError(f"Asked to explain {len(many.texts):,} texts; allowed are {MAX_EXPLAINED} at once.")
    return Question(many.texts, is_batch=True, is_explained=many.explain)


def sentence_of(errors: Any) -> str:
    """What pydantic found wrong first, as a sentence."""
    first = errors[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{place}: {first['msg']}{more}."


def one_answer(answer: Answer) -> bytes:
    """Write a `OneAnswer`."""
    (prediction,) = _predictions(answer)
    return b'{%b,"model_version":%d}' % (prediction, answer.model_version)


def many_answers(answer: Answer) -> bytes:
    """Write a `ManyAnswers`."""
    return b'{"model_version":%d,"predictions":[{%b}]}' % (answer.model_version, b"},{".join(_predictions(answer)))


def _written(numbers: np.ndarray) -> list[bytes]:
    """As numpy's float32, each is written with the digits that SQL shows, not with those of its double."""
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _predictions(answer: Answer) -> list[bytes]:
    """Write the members of each `Prediction`; only the numbers and words need a writer of JSON."""
    numbers = _written(answer.probabilities)
    predictions = [_BEGINNINGS[label] + number for number, label in zip(numbers, answer.labels.tolist(), strict=True)]
    if answer.neutral is not None:
        predictions = [
            b'%b,"probability_neutral":%b' % (prediction, number)
            for prediction, number in zip(predictions, _written(answer.neutral), strict=True)
        ]
    if answer.explanations is None:
        return predictions
    explanations = (
        orjson.dumps([{"token": token, "contribution": pushed} for token, pushed in words])
        for words in answer.explanations
    )
    return [
        b'%b,"explanation":%b' % (prediction, explanation)
        for prediction, explanation in zip(predictions, explanations, strict=True)
    ]
