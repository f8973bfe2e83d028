"""A home of its own for each test, and files of a few tweets."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import polars as pl
import pytest

from sentiment.gate import evidence
from sentiment.ingest.load import IngestReport, Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig, extract
from sentiment.registry.client import Registry
from sentiment.registry.names import FED_ROWS, REFERENCE_PREDICTIONS, RegisteredVersion
from sentiment.settings import Home, Settings
from sentiment.training.subsets import Export, export
from sentiment.warehouse.connection import writer

# The environment may name a home and thresholds of the user who runs the tests.
for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
    del os.environ[name]

# A busy machine must not fail a test; with CI set, hypothesis has a profile of its own that does the same.
if "CI" not in os.environ:
    hypothesis.settings.register_profile("patient", deadline=None)
    hypothesis.settings.load_profile("patient")

pytest_plugins = ["tests.databases", "tests.object_storage"]
SLOW = ("process",)
"""Folders of tests that start processes of their own, or kill some."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what is in these folders into the slow tier."""
    root = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(root) and item.path.relative_to(root).parts[0] in SLOW:
            item.add_marker(pytest.mark.slow)


ROOT = Path(__file__).resolve().parents[1]
FOUND_AT_START = pytest.StashKey[set[str]]()


def _entries() -> set[str]:
    """Files and folders at the top of the checkout, without caches."""
    return {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__pycache__"))}


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[FOUND_AT_START] = _entries()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when a test leaves something in the checkout, such as the database of MLflow's default store."""
    is_worker = hasattr(session.config, "workerinput")
    before: set[str] = session.config.stash[FOUND_AT_START]
    left = _entries() - before
    if left and not is_worker:
        names = ", ".join(sorted(left))
        session.config.get_terminal_writer().line(f"\nTests left these in the checkout: {names}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


DATE = "Mon Apr 06 22:19:45 PDT 2009"


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The defaults, but for the patience."""
    return Settings(writer_wait_seconds=5)


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Callable[[], Home]:
    """Makes empty homes; the schema is applied once and copied."""
    template = Home(tmp_path_factory.mktemp("template"), settings).create()
    with writer(template):
        pass

    def make() -> Home:
        home = Home(tmp_path_factory.mktemp("home"), settings).create()
        shutil.copyfile(template.warehouse, home.warehouse)
        return home

    return make


@pytest.fixture
def home(new_home: Callable[[], Home]) -> Home:
    """An empty home."""
    return new_home()


@pytest.fixture(scope="session")
def tweet_line() -> Callable[..., bytes]:
    """Makes a line of the Sentiment140 format, without its line break; `text` may be bytes."""

    def line(
        tweet_id: object,
        text: str | bytes,
        label: str = "4",
        *,
        date: str = DATE,
        user: str = "ann",
        query: str = "NO_QUERY",
    ) -> bytes:
        start = f'"{label}","{tweet_id}","{date}","{query}","{user}","'.encode()
        return start + (text.encode() if isinstance(text, str) else text) + b'"'

    return line


@pytest.fixture(scope="session")
def ingest_lines() -> Callable[..., IngestReport]:
    """Writes lines into a file of the home's inbox and ingests it."""

    def ingest(home: Home, *lines: bytes, name: str = "tweets.csv", **options: Any) -> IngestReport:
        path = home.inbox / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        # Few lines, many of them broken on purpose, and often of one class.
        meant = Instructions(ReadingOptions(labels="0=negative,2=neutral,4=positive"), max_rejected=1)
        return ingest_file(home, path, **{"instructions": meant, **options})

    return ingest


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Home, str], list[tuple[Any, ...]]]:
    """What a query finds in the writer's warehouse."""

    def rows(home: Home, query: str) -> list[tuple[Any, ...]]:
        with writer(home) as warehouse:
            return warehouse.connection.execute(query).fetchall()

    return rows


@pytest.fixture(scope="session")
def checks_pass() -> Callable[[Home], None]:
    """Fails if any check of the warehouse's tables in sql/checks/ returns a row."""
    names = (
        "tweets_are_unique",
        "predictions_are_unique",
        "files_reconcile",
        "published_version_is_complete",
        "scored_ranges_hold",
    )

    def check(home: Home) -> None:
        with writer(home) as warehouse:
            found = {name: warehouse.run(f"checks/{name}").fetchall() for name in names}
        assert found == {name: [] for name in names}

    return check


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


# -- A home with 2,400 tweets that models of known quality can be made for

COUNT_WORDS = 20


@pytest.fixture(scope="session")
def world_template(new_home: Callable[[], Home], tweet_line: Callable[..., bytes], ingest_lines: Callable) -> Home:
    """Odd ids are positive and hold one of the words glad0 to glad19, even ones are negative and hold sad0 to sad19."""
    home = new_home()
    words = [("sad", "0"), ("glad", "4")]
    lines = [
        tweet_line(number, f"{words[number % 2][0]}{number // 2 % COUNT_WORDS} {number}", words[number % 2][1])
        for number in range(2400)
    ]
    ingest_lines(home, *lines)
    gold = [tweet_line(number, f"{words[number % 2][0]}1 gold {number}", words[number % 2][1]) for number in range(20)]
    ingest_lines(home, *gold, name="gold.csv", gold_set="manual")
    Registry(home)
    return home


@pytest.fixture
def world(new_home: Callable[[], Home], world_template: Home) -> Home:
    """A copy of it, with an empty registry: creating one takes seconds."""
    home = new_home()
    shutil.copyfile(world_template.warehouse, home.warehouse)
    shutil.copytree(world_template.mlflow, home.mlflow, dirs_exist_ok=True)
    with closing(sqlite3.connect(home.mlflow / "mlflow.db")) as store:
        places = (str(world_template.root), str(home.root))
        store.execute("update experiments set artifact_location = replace(artifact_location, ?, ?)", places)
        store.commit()
    return home


@pytest.fixture
def registry(world: Home) -> Registry:
    """The registry of `world`."""
    return Registry(world)


@pytest.fixture
def frozen(world: Home) -> Export:
    """What may train and what evaluates in `world`."""
    with writer(world) as warehouse:
        return export(warehouse, world)


@pytest.fixture(scope="session")
def lexicon_model() -> Callable[[int], SentimentModel]:
    """Makes a model that knows so many of the 20 word pairs; it takes every other tweet for positive."""
    config = ModelConfig(features=FeatureConfig(ngram_bits=16))

    def features(text: str) -> set[int]:
        return set(extract(pl.Series([text]), config.features).ngrams.ravel().tolist())

    @cache
    def of_word(word: str) -> list[int]:
        return list((features(word) & features(f"{word} 7")) - features(""))

    def make(count_known: int) -> SentimentModel:
        model = SentimentModel(config)
        for word, weight in (("sad", -1.5), ("glad", 1.5)):
            for number in range(count_known):
                model.ngrams.weight.data[of_word(f"{word}{number}")] = weight
        return model

    return make


@pytest.fixture
def loaded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check `loads` loads in this process: a fresh one takes 6 s, which tests/test_gate.py takes for all."""

    def predict(files: Path, texts: pl.Series, folder: Path) -> pl.Series:
        model = SentimentModel.load(files / "artifacts" / "model")
        return pl.Series(model.predict_probability(texts)).cast(pl.Float64)

    monkeypatch.setattr(evidence, "predict_in_fresh_process", predict)


@pytest.fixture
def register(
    registry: Registry, frozen: Export, lexicon_model: Callable[[int], SentimentModel]
) -> Callable[..., RegisteredVersion]:
    """Registers a model that knows so many words, as `retraining` does; `fed` are the rows it says it was fed."""

    def register(count_known: int, fed: pl.DataFrame | None = None) -> RegisteredVersion:
        model, key = lexicon_model(count_known), f"key {count_known}"
        fed_rows, probe = registry.home.work / "fed.parquet", registry.home.work / "probe.parquet"
        (pl.read_parquet(frozen.train) if fed is None else fed).select("tweet_id", "text_key").write_parquet(fed_rows)
        rows = pl.read_parquet(frozen.holdout, columns=["tweet_id", "text"])
        rows.select("tweet_id", probability_positive=model.predict_probability(rows["text"])).write_parquet(probe)
        with registry.training_run(key, f"{count_known} words") as run_id:
            return registry.register(run_id, key, model, {FED_ROWS: fed_rows, REFERENCE_PREDICTIONS: probe}, {})

    return register


@pytest.fixture(scope="session")
def write_bert() -> Callable[..., Path]:
    """Writes a tiny BERT of random weights, with a tokenizer trained here, as `save_pretrained` does."""
    transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")

    def write(folder: Path, kind: str = "BertModel", **options: Any) -> Path:
        """A folder as `save_pretrained` writes it."""
        import torch
        from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words = ["lovely great awful sad rain exam coffee football holiday bus music dinner 1 2 3"] * 5
        tokenizer.train_from_iterator(words, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        names = {f"{name.strip('[]').lower()}_token": name for name in special}
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
        torch.manual_seed(7)
        config = transformers.BertConfig(
            vocab_size=200,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            **options,
        )
        getattr(transformers, kind)(config).save_pretrained(folder)
        return folder

    return write
