"""The inbox's watcher: what it announces, when, and until a run has taken it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.server import inbox_watcher
from flows.server.inbox_watcher import MOST_REPEATS, SECONDS_BETWEEN_ANNOUNCEMENTS, SECONDS_UNTIL_AGAIN, Watcher
from sentiment.settings import SETTLE_SECONDS

SOON = SETTLE_SECONDS + 1


class Server:
    """Takes what is announced, and says whether an ingest has started since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[dict[str, Any]] = []
        self.count_started = 0
        self.is_down = False
        monkeypatch.setattr(inbox_watcher, "announce", self.announce)
        monkeypatch.setattr(inbox_watcher, "ask", lambda *_: self.count_started)

    def announce(self, api: str, event: str, resource: str, payload: dict[str, Any]) -> None:
        if self.is_down:
            raise OSError("no answer")
        self.told.append(payload)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


@pytest.fixture
def watcher(server: Server) -> Watcher:
    return Watcher("http://127.0.0.1:1/api")


def land(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("a tweet")
    return path


def test_a_file_is_announced_once_it_lies_still(watcher: Watcher, server: Server, tmp_path: Path) -> None:
    path = land(tmp_path, "a.csv")
    watcher.see(path, 0)
    watcher.look(SETTLE_SECONDS / 2)
    watcher.see(path, SETTLE_SECONDS / 2)
    watcher.look(SOON)
    assert server.told == []
    watcher.look(SETTLE_SECONDS / 2 + SOON)
    watcher.look(SETTLE_SECONDS / 2 + SOON + 1)
    assert server.told == [{"count": 1, "names": "a.csv"}]


def test_what_lands_together_is_announced_together_and_a_stream_at_most_every_few_seconds(
    watcher: Watcher, server: Server, tmp_path: Path
) -> None:
    for number in range(30):
        watcher.see(land(tmp_path, f"{number:02}.csv"), 0)
    watcher.look(SOON)
    watcher.see(land(tmp_path, "next.csv"), SOON)
    watcher.look(2 * SOON - 3)
    assert [told["count"] for told in server.told] == [30]
    watcher.look(SOON + SECONDS_BETWEEN_ANNOUNCEMENTS + 1)
    assert [told["count"] for told in server.told] == [30, 1]


def test_files_that_are_still_written_or_gone_are_not_announced(
    watcher: Watcher, server: Server, tmp_path: Path
) -> None:
    for name in ("a.csv.part", ".hidden", "b.tmp"):
        watcher.see(land(tmp_path, name), 0)
    gone = land(tmp_path, "gone.csv")
    watcher.see(gone, 0)
    gone.unlink()
    watcher.look(SOON)
    assert server.told == []


def test_an_announcement_is_repeated_until_a_run_has_started_after_it(
    watcher: Watcher, server: Server, tmp_path: Path
) -> None:
    watcher.see(land(tmp_path, "a.csv"), 0)
    watcher.look(SOON)
    again = SOON + SECONDS_UNTIL_AGAIN + 1
    watcher.look(again)
    assert len(server.told) == 2
    server.count_started = 1
    watcher.look(again + SECONDS_UNTIL_AGAIN + 1)
    server.count_started = 0
    watcher.look(again + 3 * SECONDS_UNTIL_AGAIN)
    assert len(server.told) == 2


def test_a_server_that_is_down_is_told_later_and_nobody_is_told_for_ever(
    watcher: Watcher, server: Server, tmp_path: Path
) -> None:
    server.is_down = True
    watcher.see(land(tmp_path, "a.csv"), 0)
    watcher.look(SOON)
    server.is_down = False
    for number in range(1, 3 * MOST_REPEATS):
        watcher.look(SOON + number * (SECONDS_UNTIL_AGAIN + 1))
    assert len(server.told) == MOST_REPEATS
