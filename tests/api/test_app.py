"""What each address of the API answers, and that its OpenAPI document says so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from sentiment.api.app import create_app
from sentiment.model.classifier import SentimentModel
from sentiment.model.explanation import explain
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.snapshot import publish
from tests.api.conftest import listening, service_of


def test_one_text_gets_one_answer(api: httpx.Client, lexicon_model: Callable[[int], SentimentModel]) -> None:
    answer = api.post("/predict", json={"text": "glad1 today"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert (found["label"], found["model_version"]) == ("positive", 7)
    expected = lexicon_model(20).predict_probability(["glad1 today"])[0]
    assert np.float32(found["probability_positive"]) == expected
    assert api.post("/predict", json={"text": "sad1 today"}).json()["label"] == "negative"


@pytest.mark.parametrize("count", [1, 3, 100, 101, 10_000])
def test_many_texts_get_their_answers_in_order(
    api: httpx.Client, lexicon_model: Callable[[int], SentimentModel], count: int
) -> None:
    texts = [f"{'glad' if number % 3 else 'sad'}{number % 20} {number}" for number in range(count)]
    found = api.post("/predict", json={"texts": texts}).json()
    assert found["model_version"] == 7
    expected = lexicon_model(20).predict_probability(texts)
    np.testing.assert_allclose([row["probability_positive"] for row in found["predictions"]], expected, atol=1e-5)
    labels = ["positive" if text.startswith("glad") else "negative" for text in texts]
    assert [row["label"] for row in found["predictions"]] == labels


def test_an_explanation_names_the_words_that_pushed(
    api: httpx.Client, lexicon_model: Callable[[int], SentimentModel]
) -> None:
    plain = api.post("/predict", json={"text": "glad1 today"}).json()
    found = api.post("/predict", json={"text": "glad1 today", "explain": True}).json()
    words = [(word["token"], word["contribution"]) for word in found.pop("explanation")]
    assert found == plain
    expected = explain(lexicon_model(20), "glad1 today")
    assert [token for token, _ in words] == [token for token, _ in expected]
    assert [pushed for _, pushed in words] == pytest.approx([pushed for _, pushed in expected])
    assert max(words, key=lambda word: word[1])[0] == "glad1"
    texts = ["glad1 today", "sad1", ""]
    many = api.post("/predict", json={"texts": texts, "explain": True}).json()["predictions"]
    assert [[word["token"] for word in row["explanation"]] for row in many] == [["glad1", "today"], ["sad1"], []]


def test_too_many_texts_to_explain_are_refused(api: httpx.Client) -> None:
    answer = api.post("/predict", json={"texts": ["glad1"] * 101, "explain": True})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Asked to explain 101 texts; allowed are 100 at once."


@pytest.mark.parametrize("text", ["", " \n ", "@a http://b.c", "日本語 🙂", "\x00\x7f", "a" * 10_000])
def test_any_text_gets_an_answer(api: httpx.Client, text: str) -> None:
    assert api.post("/predict", json={"text": text}).status_code == 200


def test_a_body_is_read_whatever_it_is_called(api: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # What curl says unless told otherwise.
    assert api.post("/predict", content=b'{"text": "glad1"}', headers=form).json()["label"] == "positive"


def test_the_model_says_what_it_is(api: httpx.Client) -> None:
    found = api.get("/model").json()
    assert (found["model_name"], found["model_version"], found["champion_version"]) == ("tweet-sentiment", 7, 7)
    assert (found["holdout_accuracy"], found["has_encoder"], found["problem"]) == (0.8, False, None)


def test_health_and_readiness(api: httpx.Client) -> None:
    assert (api.get("/health").status_code, api.get("/health").json()) == (200, {"status": "ok"})
    assert (api.get("/ready").status_code, api.get("/ready").json()["model_version"]) == (200, 7)


def test_without_a_champion_it_lives_and_says_what_is_missing(serve_model: Callable[..., FastAPI]) -> None:
    with listening(serve_model(None)) as api:
        assert api.get("/health").status_code == 200
        for answer in (api.get("/ready"), api.get("/model"), api.post("/predict", json={"text": "glad1"})):
            assert answer.status_code == 503
            assert answer.json() == {"detail": "There is no champion yet. Train one: sentiment retrain"}


def test_metrics_count_texts_and_requests(serve_model: Callable[..., FastAPI]) -> None:
    with listening(serve_model()) as api:
        api.post("/predict", json={"texts": ["glad1", "glad2", "sad1"]})
        api.post("/predict", content=b"no json")
        api.get("/nowhere")
        answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = set(answer.text.splitlines())
    assert {
        'sentiment_texts_total{label="positive",model_version="7"} 2.0',
        'sentiment_texts_total{label="negative",model_version="7"} 1.0',
        'sentiment_requests_total{path="/predict",status="200"} 1.0',
        'sentiment_requests_total{path="/predict",status="422"} 1.0',
        'sentiment_requests_total{path="other",status="404"} 1.0',
        'sentiment_request_seconds_count{path="/predict"} 2.0',
        "sentiment_texts_per_prediction_sum 3.0",
        "sentiment_model_version 7.0",
        "sentiment_champion_version 7.0",
        "sentiment_waiting_texts 0.0",
    } <= lines


class TestDailySentiment:
    @pytest.fixture
    def scored(self, home: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes]) -> Home:
        """Three tweets on two days, scored by version 2 and published."""
        days = ["Mon Apr 06 22:00:00 UTC 2009", "Mon Apr 06 23:00:00 UTC 2009", "Sun May 10 01:00:00 UTC 2009"]
        ingest_lines(home, *(tweet_line(number, f"tweet {number}", date=day) for number, day in enumerate(days)))
        with writer(home) as warehouse:
            warehouse.connection.execute(
                "insert into predictions select tweet_id, 2, if(tweet_id = 0, 0.25, 0.75), "
                "if(tweet_id = 0, 'negative', 'positive'), now(), 'run', null from tweets"
            )
            warehouse.run("steps/registry/flip_published_model", model_version=2)
        publish(home)
        return home

    def test_it_is_the_view_counted_back_from_the_newest_tweet(self, scored: Home) -> None:
        unknown = {"count_neutral": 0} | {f"estimated_share_{what}": None for what in ("positive", "lower", "upper")}
        with listening(create_app(scored)) as api:
            found = api.get("/daily_sentiment").json()
            assert found["model_version"] == 2
            assert [(date.fromisoformat(row.pop("day")), row) for row in found["days"]] == [
                (
                    date(2009, 4, 6),
                    {
                        "count_tweets": 2,
                        "count_positive": 1,
                        "share_positive": 0.5,
                        "mean_probability_positive": 0.5,
                        **unknown,
                    },
                ),
                (
                    date(2009, 5, 10),
                    {
                        "count_tweets": 1,
                        "count_positive": 1,
                        "share_positive": 1.0,
                        "mean_probability_positive": 0.75,
                        **unknown,
                    },
                ),
            ]
            assert len(api.get("/daily_sentiment?days=34").json()["days"]) == 1
            assert len(api.get("/daily_sentiment?days=35").json()["days"]) == 2

    def test_it_follows_the_published_snapshot(
        self, scored: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes]
    ) -> None:
        with listening(create_app(scored)) as api:
            assert api.get("/daily_sentiment").json()["model_version"] == 2
            with writer(scored) as warehouse:
                warehouse.connection.execute("update predictions set model_version = 3")
                warehouse.run("steps/registry/flip_published_model", model_version=3)
            publish(scored)
            assert api.get("/daily_sentiment").json()["model_version"] == 3

    def test_a_new_home_has_no_days(self, api: httpx.Client) -> None:
        assert api.get("/daily_sentiment").json() == {"model_version": None, "days": []}

    @pytest.mark.parametrize("days", ["0", "367", "many"])
    def test_a_wrong_number_of_days_is_a_sentence(self, api: httpx.Client, days: str) -> None:
        answer = api.get("/daily_sentiment", params={"days": days})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("query.days: Input should be ")

    def test_a_damaged_snapshot_is_a_sentence(self, serve_model: Callable[..., FastAPI]) -> None:
        app = serve_model()
        service_of(app).daily.home.published.write_bytes(b"damaged" * 2000)
        with listening(app) as api:
            answer = api.get("/daily_sentiment")
        assert answer.status_code == 503
        assert "is damaged" in answer.json()["detail"]


class TestOpenApi:
    def test_its_examples_work(self, api: httpx.Client) -> None:
        document = api.get("/openapi.json").json()
        schemas = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
        examples = [example for schema in schemas for example in schema["examples"]]
        assert len(examples) >= 2
        for example in examples:
            assert api.post("/predict", json=example).status_code == 200

    def test_every_answer_that_is_documented_is_described(self, api: httpx.Client) -> None:
        for path, methods in api.get("/openapi.json").json()["paths"].items():
            for method in methods.values():
                assert method["summary"], path
                assert all(response["description"] for response in method["responses"].values()), path

    def test_whatever_is_sent_the_answer_is_documented_and_no_failure(self, api: httpx.Client, tmp_path: Path) -> None:
        config = tmp_path / "schemathesis.toml"
        # Its own list of refusals lacks 413.
        config.write_text("[checks]\nnegative_data_rejection.expected-statuses = [404, 405, 413, 422]\n")
        schemathesis = str(Path(sys.executable).with_name("schemathesis"))
        options = ["--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color"]
        done = subprocess.run(
            [schemathesis, "--config-file", str(config), "run", f"{api.base_url}/openapi.json", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[:5_000]
        assert "Tested: 6" in done.stdout


def test_it_is_imported_without_prefect_torch_and_mlflow(repository: Path) -> None:
    script = "import sys, sentiment.api.server\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"prefect", "flows", "torch", "mlflow", "pandas"}
