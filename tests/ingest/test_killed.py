"""A load that is killed between its two transactions: what it has committed is never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pytest

from sentiment.ingest import load as module
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.snapshot import publish


class TestAKillBetweenItsTwoTransactions:
    """The new rows are committed, the account is not: nobody may ever see them."""

    @pytest.fixture
    def killed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
        def end_here(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module.TweetMerger, "finish", end_here)
            patch.setattr(module, "remove_unfinished_file", lambda *_: None)  # A killed process tidies nothing.
            yield patch.undo

    def test_the_next_to_open_the_warehouse_finds_none_of_it(
        self, home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable, killed: Callable
    ) -> None:
        with pytest.raises(KeyboardInterrupt):
            ingest_lines(home, tweet_line(1, "one"), tweet_line(2, "two"), b"broken")
        assert rows_of(home, "select * from tweets") == []
        assert rows_of(home, "select * from rejected_rows") == []
        assert rows_of(home, "select * from unfinished_files") == []
        killed()
        assert ingest_lines(home, tweet_line(1, "one"), tweet_line(2, "two"), b"broken").count_loaded == 2

    def test_a_snapshot_that_is_published_before_the_next_ingest_has_none_of_it(
        self, home: Home, tweet_line: Callable, ingest_lines: Callable, killed: Callable
    ) -> None:
        with pytest.raises(KeyboardInterrupt):
            ingest_lines(home, tweet_line(1, "one"))
        publish(home)
        with reader(home) as snapshot:
            assert snapshot.value("steps/warehouse/count_tweets") == 0

    def test_rows_that_the_same_content_brought_earlier_stay(
        self, home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable, killed: Callable
    ) -> None:
        lines = [tweet_line(1, "one :)", ""), tweet_line(2, "two", "")]
        killed()
        ingest_lines(home, *lines)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module.TweetMerger, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            patch.setattr(module, "remove_unfinished_file", lambda *_: None)
            with pytest.raises(KeyboardInterrupt):
                ingest_lines(home, *lines, label_by_emoticon=True)
        assert rows_of(home, "select tweet_id from tweets order by 1") == [(1,), (2,)]
        assert ingest_lines(home, *lines, label_by_emoticon=True).count_duplicate == 2
        assert rows_of(home, "select label from tweets order by tweet_id") == [("positive",), (None,)]

    def test_an_error_there_is_tidied_up_at_once(
        self,
        home: Home,
        tweet_line: Callable,
        ingest_lines: Callable,
        rows_of: Callable,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr(module.TweetMerger, "finish", fail)
        with pytest.raises(RuntimeError, match="planted"):
            ingest_lines(home, tweet_line(1, "one"))
        with duckdb.connect(str(home.warehouse)) as untouched:
            assert untouched.sql("select count(*) from tweets").fetchone() == (0,)
            assert untouched.sql("select count(*) from unfinished_files").fetchone() == (0,)
