"""The flow `profile`: page, figures in SQL, artifact and its line in `runs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.ingest import IngestOptions, ingest
from flows.profile import profile
from sentiment.settings import Home
from sentiment.warehouse.query import query


def test_a_profile_is_a_page_figures_in_sql_and_an_artifact(
    home: Path, tmp_path: Path, tweet_line: Callable[..., bytes]
) -> None:
    (tmp_path / "some.csv").write_bytes(
        b"".join(tweet_line(number, f"fine {number}", ("0", "4")[number % 2]) + b"\n" for number in range(30))
    )
    ingest(IngestOptions(paths=[str(tmp_path / "some.csv")]))
    summary = profile()
    assert summary.count_tweets == 30
    assert summary.page == home / "reports" / "profile.html"
    assert "Data profile" in summary.page.read_text()
    counted = query(Home(home), "select value from profile_figures where section = 'rows' and item = 'positive'")
    assert counted.item() == 15
    assert query(Home(home), "select count_rows, outcome from runs where flow = 'profile'").rows() == [
        (30, "30 tweets: 15 negative, 15 positive.")
    ]
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["profile"])))
    newest = max(found, key=lambda artifact: artifact.created)
    assert "**30 tweets: 15 negative, 15 positive.**" in str(newest.data)
