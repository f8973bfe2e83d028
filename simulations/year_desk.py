"""Somebody who uses the desk of a simulated year: a real server, asked over HTTP as a browser does."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from simulations.year_people import ANN, GROUP

KEY = "key-of-the-year"
REVIEWS, SECONDS = 6, 40.0
WORDS = ("phone", "morning", "queue", "holiday", "school")


class Desk:
    """`sentiment serve` in a process of its own, while somebody searches, reads and labels; ended after that.

    Attributes:
        labelled: what was given and accepted: tweet, label, who.
        asked: how many pages were asked for; `failed` those that ended in an error of the server, with its text.
    """

    def __init__(self, root: Path, seed: int, truth: dict[int, str]) -> None:
        self.root, self.dice, self.truth = root, random.Random(seed), truth
        self.labelled: list[tuple[int, str, str]] = []
        self.asked, self.failed = 0, list[str]()
        self.thread = threading.Thread(target=self._use, daemon=True)
        as_ann: dict[str, Any] = {"umask": ANN.umask}
        if os.geteuid() == 0:
            as_ann |= {"user": ANN.user_id, "group": GROUP, "extra_groups": []}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli.app", "serve", "--port", "0"],
            env=environment | {"SENTIMENT_HOME": str(root), "SENTIMENT_API_KEY": KEY, "HOME": str(root / "work")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            **as_ann,
        )
        self.thread.start()

    def kill(self) -> None:
        """As everything else is killed."""
        self.process.kill()

    def end(self) -> None:
        """Wait for the person, and end the server."""
        self.thread.join(2 * SECONDS)
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.failed.append("did not end within 40 s of SIGTERM")
            self.process.kill()
            self.process.wait()
        self.thread.join(SECONDS)

    def _use(self) -> None:
        assert self.process.stdout is not None
        line = next((line for line in self.process.stdout if line.startswith("ready")), None)
        if line is None:
            return
        with (
            suppress(httpx.TransportError),
            httpx.Client(base_url=line.split()[-1], auth=("ann", KEY), timeout=SECONDS, trust_env=False) as client,
        ):
            self._read(client)
            for number in range(REVIEWS):
                self._review(client, number)

    def _ask(self, client: httpx.Client, address: str) -> str:
        answer = client.get(address)
        self.asked += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.failed.append(f"{address}: {answer.status_code} {answer.text[:200]}")
        return answer.text

    def _read(self, client: httpx.Client) -> None:
        word = self.dice.choice(WORDS)
        for address in ("/", "/topics", f"/try?text=what+a+lovely+{word}", "/models", "/status"):
            self._ask(client, address)
        found = re.findall(r'href="/tweets/(\d+)"', self._ask(client, f"/tweets?q={word}"))
        for tweet_id in found[:2]:
            self._ask(client, f"/tweets/{tweet_id}")
        self._ask(client, f"/tweets.csv?q={word}")

    def _review(self, client: httpx.Client, number: int) -> None:
        page = self._ask(client, "/review")
        fields = dict(re.findall(r'name="(token|tweet|why)" value="([^"]*)"', page))
        if "tweet" not in fields:
            return
        tweet_id = int(fields["tweet"])
        # One answer in four is wrong, so that labels of people and of sources can be told apart.
        label = self.truth.get(tweet_id, "neutral") if number % 4 else self.dice.choice(("negative", "positive"))
        answer = client.post("/review", data={**fields, "queue": "mixed", "do": label})
        if answer.status_code == 303:
            self.labelled.append((tweet_id, label, "ann"))
        elif answer.status_code >= 500 and answer.status_code != 503:
            self.failed.append(f"POST /review: {answer.status_code} {answer.text[:200]}")
