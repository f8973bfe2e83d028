"""A reader of a simulated year, who asks for what is published all the time, and must see one whole version."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sentiment.errors import SentimentError
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.session import Warehouse
from simulations.year_people import BEN
from simulations.year_works import CONTEXT


def look(snapshot: Warehouse) -> str:
    """What is wrong with what readers see; empty if nothing is."""
    found = snapshot.connection.execute(
        "select count(distinct model_version), count(*), count(distinct tweet_id) from scored_tweets"
    ).fetchone()
    assert found is not None
    versions, rows, tweets = found
    unscored = len(snapshot.run("checks/published_version_is_complete").fetchall())
    is_wrong = versions > 1 or rows != tweets or unscored
    return f"{versions} versions, {rows} rows of {tweets} tweets, {unscored} not scored" if is_wrong else ""


def watch(root: Path, asked: Connection) -> None:
    """Ask the published snapshot every second, until something is sent; answers with what was seen."""
    BEN.become()
    home, looks, refused, wrong = Home(root), 0, 0, []
    while not asked.poll(1.0):
        try:
            with reader(home) as snapshot:
                if problem := look(snapshot):
                    wrong.append(problem)
            looks += 1
        except SentimentError:
            refused += 1
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}"[:300])
    asked.send({"looks": looks, "refused": refused, "wrong": wrong})


class Watching:
    """A reader that looks at the home all the time."""

    def __init__(self, root: Path) -> None:
        self.here, there = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=watch, args=(root, there), daemon=True)
        self.process.start()
        there.close()

    def end(self) -> dict[str, Any]:
        """What it has seen."""
        self.here.send("end")
        seen: dict[str, Any] = (
            self.here.recv() if self.here.poll(60) else {"looks": 0, "refused": 0, "wrong": ["hangs"]}
        )
        self.process.join(5)
        self.process.kill()
        return seen
