"""The flows on a real server: tables, alias, artifacts and run names after each."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from pydantic import BaseModel

from flows.housekeeping import HousekeepingOptions, housekeeping
from flows.ingest import IngestOptions, ingest
from flows.monitor import MonitorOptions, monitor
from flows.pipeline import PipelineOptions, PipelineSummary, pipeline
from flows.retrain import RetrainOptions, retrain
from flows.score import ScoreOptions, score
from sentiment.errors import InputError, TrainingError
from sentiment.markdown import plain
from sentiment.registry.client import Registry
from sentiment.sample import SampleSummary, Span, write_gold_sample, write_sample
from sentiment.settings import Home, load_settings
from sentiment.training.config import TrainingJob
from sentiment.warehouse.query import query

COUNT_ROWS = 3_000
FLOWS = {
    "ingest": ingest,
    "retrain": retrain,
    "score": score,
    "monitor": monitor,
    "pipeline": pipeline,
    "housekeeping": housekeeping,
}
OPTIONS: list[type[BaseModel]] = [
    IngestOptions,
    RetrainOptions,
    ScoreOptions,
    MonitorOptions,
    PipelineOptions,
    HousekeepingOptions,
]


@pytest.fixture(scope="module")
def looped(
    prefect_server: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, SampleSummary, PipelineSummary]]:
    """A home in which the pipeline ran once over generated tweets, with a gate that a small model can pass."""
    folder = tmp_path_factory.mktemp("looped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_HOME", str(folder / "home"))
        patch.setenv("SENTIMENT_GATE__FLOOR_ACCURACY", "0.5")
        patch.setenv("SENTIMENT_GATE__FLOOR_CALIBRATION_ERROR", "1")
        made = write_sample(folder / "history.csv", COUNT_ROWS, seed=3)
        write_gold_sample(folder / "manual.csv", 100)
        ingest(IngestOptions(paths=[str(folder / "manual.csv")], gold="manual"))
        yield folder, made, pipeline(PipelineOptions(paths=[str(made.path)]))


def rows(select: str) -> list[tuple[Any, ...]]:
    """What people read: the published snapshot of this home."""
    return query(Home(load_settings().home), select).rows()


def champion() -> int | None:
    settings = load_settings()
    found = Registry(Home(settings.home)).champion()
    return found.model_version if found else None


def newest_artifact(key: str) -> str:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return str(max(found, key=lambda artifact: artifact.created).data)


def run_names() -> set[str]:
    with get_client(sync_client=True) as client:
        return {run.name for run in client.read_flow_runs()}


def test_the_pipeline_goes_from_a_file_to_published_scores(looped: tuple[Path, SampleSummary, PipelineSummary]) -> None:
    _, made, summary = looped
    (loaded,) = summary.ingest.files
    assert loaded.rejected_by_reason == {reason: count for reason, count in sorted(made.rejected.items()) if count}
    assert loaded.count_lines == COUNT_ROWS == loaded.count_loaded + loaded.count_duplicate + loaded.count_rejected
    count_tweets = loaded.count_loaded
    assert rows("select count(*), count(distinct tweet_id) from tweets") == [(count_tweets, count_tweets)]
    assert rows("select count(*) from scored_tweets") == [(count_tweets,)]
    assert rows("select distinct model_version from scored_tweets") == [(summary.score.model_version,)]  # type: ignore[union-attr]
    assert rows("select count(*) from gold_tweets") == [(100,)]
    trainable = rows(
        "select count(*) from tweets where split = 'train' and label in ('negative', 'positive') "
        "and text_key not in (select text_key from gold_tweets)"
    )
    assert rows("select count_train_rows from model_versions order by model_version limit 1") == trainable


def test_each_run_is_recorded_with_what_it_did(looped: object) -> None:
    found = {flow: (count, outcome) for flow, count, outcome in rows("select flow, count_rows, outcome from runs")}
    assert set(found) == {"ingest", "retrain", "score"}
    assert all(count >= 0 and outcome for count, outcome in found.values())
    assert {"pipeline, all rows", "ingest history.csv", "retrain all rows", "score with the champion"} <= run_names()


@pytest.mark.usefixtures("loaded_here")
def test_a_refused_challenger_completes_the_flow_and_changes_nothing_that_people_read(looped: object) -> None:
    before = champion(), rows("from scored_tweets order by all"), rows("from alias_history")
    state = retrain(RetrainOptions(rows=100, effort=1), return_state=True)
    assert state.is_completed()
    summary = state.result()
    assert "better" in [check.check_name for check in summary.decision.verdict.failed]
    assert (champion(), rows("from scored_tweets order by all"), rows("from alias_history")) == before
    version = summary.decision.model_version
    assert f"**Version {version} was refused by: better" in newest_artifact("decision")
    assert f"Version {before[0]} stays champion." in newest_artifact("decision")
    assert "![The learning curve](data:image/png;base64," in newest_artifact("decision")
    failed = f"select check_name from decisions where model_version = {version} and not passed"
    assert ("better",) in rows(failed)
    assert retrain(RetrainOptions(rows=100, effort=1)).trained.was_reused
    assert newest_artifact("decision").startswith(f"**Nothing new to learn: version {version}, trained on these rows")


@pytest.mark.usefixtures("looped")
def test_a_challenger_may_begin_with_word_vectors_and_is_known_by_what_is_in_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("the 0.1 0.2 0.3\nday -1 0 1\ni 1 1 0\n")
    jobs: list[TrainingJob] = []
    module = import_module("flows.retrain")
    with monkeypatch.context() as patch:
        patch.setattr(module, "train_version", lambda home, registry, export, job, on_progress: jobs.append(job))
        snapshot = module.export_snapshot.fn()
        module.train.fn(snapshot, RetrainOptions(rows=100, effort=2, word_vectors=path))
        renamed = path.rename(tmp_path / "renamed.txt")
        module.train.fn(snapshot, RetrainOptions(rows=100, effort=2, word_vectors=renamed))
    # Equal configurations are one training key, so the second file would train nothing.
    assert jobs[0].config == jobs[1].config
    assert jobs[0].config.vectors is not None
    assert jobs[0].config.vectors.digest == hashlib.sha256(renamed.read_bytes()).hexdigest()
    assert [job.word_vectors for job in jobs] == [path, renamed]
    for options, words in [
        (RetrainOptions(rows=100, effort=1, word_vectors=renamed), "expected effort 2 or more"),
        (RetrainOptions(rows=100, effort=2, word_vectors=path), "cannot be read"),
    ]:
        state = retrain(options, return_state=True)
        assert state.is_failed()
        assert words in (state.message or "")


def test_the_pipeline_again_loads_trains_and_scores_nothing(
    looped: tuple[Path, SampleSummary, PipelineSummary],
) -> None:
    _, made, first = looped
    tables = ("tweets", "predictions", "decisions", "alias_history", "model_versions", "ingest_files")
    before = {table: rows(f"from {table} order by all") for table in tables}
    again = pipeline(PipelineOptions(paths=[str(made.path)]))
    assert [report.outcome for report in again.ingest.files] == ["unchanged"]
    assert again.retrain.trained.was_reused
    assert again.retrain.trained.version == first.retrain.trained.version
    assert again.score is not None
    assert again.score.count_scored == 0
    assert {table: rows(f"from {table} order by all") for table in tables} == before


def test_more_tweets_are_scored_alone(looped: tuple[Path, SampleSummary, PipelineSummary]) -> None:
    folder, *_ = looped
    daily = write_sample(
        folder / "daily.csv", 200, seed=4, labelled=False, dirty=False, span=Span(first_id=5_000_000_000)
    )
    loaded = ingest(IngestOptions(paths=[str(daily.path)], label_by_emoticon=True))
    report = score(ScoreOptions())
    assert report.count_scored == loaded.count_loaded > 150
    assert rows("select count(*) from scored_tweets") == rows("select count(*) from tweets")
    assert rows("select count(*) > 0 from tweets where label_source = 'emoticon'") == [(True,)]
    assert f"**{report.count_scored:,} tweets scored**" in newest_artifact("score")


def test_the_monitor_measures_days_and_leaves_a_page_and_events(
    looped: tuple[Path, SampleSummary, PipelineSummary],
) -> None:
    report = monitor(MonitorOptions(as_of=datetime(2009, 6, 28, 12), least_tweets=1, least_free_mb=10**9))
    assert report is not None
    assert rows("select count(distinct day) > 5, count(distinct year(measured_at)) from monitoring") == [(True, 1)]
    assert rows("select year(max(started_at)) from runs where flow = 'monitor'") == [(2009,)]
    text = newest_artifact("monitor")
    assert "new alarm(s)" in text
    page = Path(load_settings().home) / "reports" / "monitor-2009-06-28.html"
    assert str(page) in text
    assert page.exists()
    assert "monitor 2009-06-28" in run_names()


def test_a_file_of_the_inbox_that_is_none_of_tweets_is_refused_once(home: Path) -> None:
    path = Home(home).create().inbox / "letter.csv"
    path.write_text("Dear all\nthis is no tweet\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    with pytest.raises(InputError, match="not tried again until it changes"):
        ingest(IngestOptions())
    assert ingest(IngestOptions()).errors == []
    assert rows("select path from refused_files") == [(str(path),)]
    path.write_text("Dear all\nonce more\n")
    os.utime(path, (1_000_000_100, 1_000_000_100))
    with pytest.raises(InputError):
        ingest(IngestOptions())


def test_a_name_that_is_not_in_utf8_is_refused_once_and_keeps_no_other_file_out(
    home: Path, tweet_line: Callable[..., bytes]
) -> None:
    inbox = Home(home).create().inbox
    for name in (b"b\xfccher.csv", b"good.csv"):
        path = os.fsencode(inbox) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(tweet_line(1, "fine") + b"\n")
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with pytest.raises(InputError, match=r"name of .*b\\xfccher\.csv is not in UTF-8.* Rename it"):
        ingest(IngestOptions())
    assert rows("select tweet_id from tweets") == [(1,)]
    assert ingest(IngestOptions()).errors == []


def test_a_file_of_the_inbox_that_broke_off_is_waited_for_an_hour_and_then_told_once(
    home: Path, tweet_line: Callable[..., bytes]
) -> None:
    path, whole = Home(home).create().inbox / "daily.csv", tweet_line(1, "fine") + b"\n"
    path.write_bytes(whole[:-4])

    def ingest_after(minutes: int) -> list[str]:
        written_at = time.time() - 60 * minutes
        os.utime(path, (written_at, written_at))
        return [report.outcome for report in ingest(IngestOptions()).files]

    assert ingest_after(30) == ["waiting"]
    with pytest.raises(InputError, match="the transfer broke off"):
        ingest_after(90)
    assert ingest(IngestOptions()).files == []
    path.write_bytes(whole)
    assert ingest_after(1) == ["loaded"]


def test_a_missing_file_fails_the_flow_in_a_sentence_while_the_good_one_is_loaded(
    home: Path, tmp_path: Path, tweet_line: Callable[..., bytes]
) -> None:
    good = tmp_path / "good.csv"
    good.write_bytes(tweet_line(1, "fine") + b"\n")
    missing = tmp_path / "missing.csv"
    with pytest.raises(InputError, match=rf"{missing}"):
        ingest(IngestOptions(paths=[str(missing), str(good)]))
    assert rows("select tweet_id from tweets") == [(1,)]
    artifact = newest_artifact("ingest")
    assert "**1 new tweets** from 1 file(s)" in artifact
    assert plain(str(good)) in artifact


def test_a_file_that_is_not_complete_waits_and_fails_nothing(
    home: Path, tmp_path: Path, tweet_line: Callable[..., bytes]
) -> None:
    torn = tmp_path / "torn.csv"
    torn.write_bytes(tweet_line(1, "fine")[:-3])
    summary = ingest(IngestOptions(paths=[str(torn)]))
    assert [(report.outcome, report.count_lines) for report in summary.files] == [("waiting", 0)]
    assert "is not a complete record" in newest_artifact("ingest")


def test_without_paths_the_inbox_is_taken(home: Path, tweet_line: Callable[..., bytes]) -> None:
    inbox = Home(home).create().inbox
    path = inbox / "dropped.csv"
    path.write_bytes(tweet_line(1, "fine") + b"\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert [report.count_loaded for report in ingest(IngestOptions()).files] == [1]
    assert ingest(IngestOptions()).files == []
    assert "ingest inbox" in run_names()


def test_tables_of_hand_labelled_tweets_go_to_their_set(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pl.DataFrame({"text": ["good", "bad"], "label": ["positive", "negative"]}).write_parquet(path)
    ingest(IngestOptions(paths=[str(path)], gold="table"))
    assert rows("select gold_set, count(*) from gold_tweets group by 1") == [("table", 2)]
    assert rows("from tweets") == []


def test_without_labelled_tweets_retrain_fails_in_a_sentence(home: Path) -> None:
    with pytest.raises(TrainingError, match="Ingest labelled tweets first"):
        retrain(RetrainOptions())


@pytest.mark.parametrize("options", OPTIONS)
def test_every_parameter_of_a_form_is_described_and_has_a_default(options: type[BaseModel]) -> None:
    assert [name for name, field in options.model_fields.items() if not field.description] == []
    assert [name for name, field in options.model_fields.items() if field.is_required()] == []
    numbers = [name for name, field in options.model_fields.items() if "int" in str(field.annotation)]
    bounded = [name for name in numbers if any(hasattr(bound, "ge") for bound in options.model_fields[name].metadata)]
    assert bounded == numbers


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_named_as_its_file_and_described(name: str) -> None:
    flow = FLOWS[name]
    assert flow.name == name
    assert flow.description
    assert flow.fn.__module__ == f"flows.{name}"


def test_housekeeping_in_a_new_home_finds_nothing_to_remove_and_says_so(home: Path) -> None:
    report = housekeeping()
    assert (report.predictions, report.model_versions, report.count_files) == ({}, [], 0)
    assert "**0 predictions, 0 model version(s)" in newest_artifact("housekeeping")
    assert rows("select flow, count_rows from runs") == [("housekeeping", 0)]
