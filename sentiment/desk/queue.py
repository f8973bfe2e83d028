"""Which tweet a person reviews next: one that nobody has reviewed and nobody else is looking at.

One tweet in five is drawn at random, regardless of the kind chosen, so that accuracy on those estimates accuracy on all;
a random order that never changes makes the reviewed part of it a random sample. Claims are kept in this process, which is
the only one that serves a home's desk on a port; one lapses after a quarter of an hour.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock, Timer

import polars as pl

from sentiment.desk.store import Store, View
from sentiment.errors import SentimentError
from sentiment.ingest.reviews import Review, record, withdraw
from sentiment.warehouse.snapshot import publish

QUEUES = {
    "mixed": "all kinds, one in five at random",
    "unsure": "least certain",
    "wrong_label": "source's label probably wrong",
    "disagreement": "two versions disagree",
    "random": "at random",
}
CHOSEN = ("unsure", "wrong_label", "disagreement")
CANDIDATES = 2_000
SECONDS_OF_CLAIM = 900.0
SECONDS_UNTIL_PUBLISHED = 3.0
SECONDS_TO_WAIT = 10.0


@dataclass(frozen=True)
class Claim:
    """A tweet that somebody is looking at, why it was chosen, and until when it is theirs."""

    tweet_id: int
    queue: str
    until: float


@dataclass
class ReviewQueue:
    """Deals tweets and writes what people say; used from any thread."""

    store: Store
    claims: dict[str, Claim] = field(default_factory=dict)
    done: dict[int, str] = field(default_factory=dict)
    count_dealt: dict[str, int] = field(default_factory=dict)
    last: dict[str, Review] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    publishing: Timer | None = None

    def deal(self, view: View, who: str, kind: str) -> Claim | None:
        """The tweet that a person is looking at, or the next one of a kind; None when there is none left."""
        with self.lock:
            now = time.monotonic()
            for name in [name for name, claim in self.claims.items() if claim.until < now]:
                del self.claims[name]
            held = self.claims.get(who)
            if held is not None and (kind in ("mixed", held.queue)):
                return held
            taken = {claim.tweet_id for name, claim in self.claims.items() if name != who}
            for queue in self._order(who, kind):
                for tweet_id in candidates(view, queue):
                    if tweet_id not in taken and tweet_id not in self.done:
                        self.claims[who] = Claim(tweet_id, queue, now + SECONDS_OF_CLAIM)
                        return self.claims[who]
            return None

    def answer(self, review: Review) -> None:
        """Write what a person says of a tweet, and publish it a little later.

        Raises:
            InputError: there is no such tweet or label.
            BusyError, HomeError: the warehouse cannot be written now; the tweet stays theirs.
        """
        record(self.store.home.with_patience(SECONDS_TO_WAIT), review)
        self.take(review)
        self._publish_soon()

    def take(self, review: Review) -> None:
        """Deal a tweet to nobody any more."""
        with self.lock:
            self.done[review.tweet_id] = review.reviewed_by
            self.last[review.reviewed_by] = review
            self.count_dealt[review.reviewed_by] = self.count_dealt.get(review.reviewed_by, 0) + 1
            if (claim := self.claims.get(review.reviewed_by)) and claim.tweet_id == review.tweet_id:
                del self.claims[review.reviewed_by]

    def undo(self, who: str) -> Review | None:
        """Take back what a person said last here, and give the tweet back to them.

        Raises:
            BusyError, HomeError: as `answer`.
        """
        review = self.last.get(who)
        if review is None:
            return None
        withdraw(self.store.home.with_patience(SECONDS_TO_WAIT), review.tweet_id, who)
        with self.lock:
            del self.last[who]
            self.done.pop(review.tweet_id, None)
            self.claims[who] = Claim(review.tweet_id, review.queue, time.monotonic() + SECONDS_OF_CLAIM)
        self._publish_soon()
        return review

    def close(self) -> None:
        """Publish what was not published yet."""
        if self.publishing is not None and self.publishing.is_alive():
            self.publishing.cancel()
            self._publish()

    def _order(self, who: str, kind: str) -> list[str]:
        if kind != "mixed":
            return [kind]
        turn = self.count_dealt.get(who, 0)
        if turn % 5 == 0:
            return ["random", *CHOSEN]
        first = turn % len(CHOSEN)
        return [*CHOSEN[first:], *CHOSEN[:first], "random"]

    def _publish_soon(self) -> None:
        with self.lock:
            if self.publishing is not None:
                self.publishing.cancel()
            self.publishing = Timer(SECONDS_UNTIL_PUBLISHED, self._publish)
            self.publishing.daemon = True
            self.publishing.start()

    def _publish(self) -> None:
        try:
            publish(self.store.home.with_patience(SECONDS_TO_WAIT))
        except SentimentError:
            # A run is at work and publishes when it ends; what was said is in the warehouse already.
            return


def candidates(view: View, queue: str) -> list[int]:
    """Tweets of a kind that nobody has reviewed, the one to be reviewed first at the front.

    Sorting all tweets takes some tenths of a second, so more are taken than needed and kept while people review them.
    """
    reviewed = view.frame_once("desk/select_reviewed")["tweet_id"]
    count = (len(reviewed) // CANDIDATES + 2) * CANDIDATES
    if queue == "disagreement":
        found = view.frame_once("desk/select_disagreements", count=count)
    else:
        found = view.indexed_once("select_candidates", count=count).filter(queue=queue)
    return found.filter(~pl.col("tweet_id").is_in(reviewed.implode()))["tweet_id"].to_list()
