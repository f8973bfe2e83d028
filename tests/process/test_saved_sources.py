"""Files of one's own layout: a question on a terminal is answered once, and what lands in the source's folder is scored."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment.sample import write_gold_sample, write_sample
from tests.process.conftest import SECONDS, Command
from tests.process.test_schedule import running_up, wait_until


def reviews_of(day: int) -> str:
    """A day's reviews: stars that say nothing by themselves, no ids, a line break in a text."""
    lines = [f'"so {word} it is,\nday {day} no {number}",{stars}' for number in range(20) for word, stars in WORDS]
    return "\n".join(["review,rating", *lines]) + "\n"


WORDS = (("good", 2), ("bad", 1))


def answered(command: Command, *arguments: str, answers: str) -> str:
    """Run a command with a terminal as its input, and give what it asked."""
    terminal, stdin = pty.openpty()
    try:
        os.write(terminal, answers.encode())
        process = command.start(*arguments, stdin=stdin)
        said: str = process.communicate(timeout=SECONDS)[1]
    finally:
        os.close(terminal)
        os.close(stdin)
    assert process.returncode == 0, said
    return said


def test_a_question_is_asked_on_a_terminal_and_its_answer_taken(new_command: Callable[[str], Command]) -> None:
    command = new_command("home")
    path = command.home.parent / "reviews.csv"
    path.write_text(reviews_of(1))
    status, said = command.fails("ingest", str(path))
    assert (status, "--labels 1=negative,2=positive" in said.replace("\n", "")) == (2, True)
    asked = answered(command, "ingest", str(path), answers="1\n")
    assert "1  as it may be meant (1=negative,2=positive)" in asked
    assert sorted(command.rows("select label, count(*) from tweets group by 1")) == [("negative", 20), ("positive", 20)]


@pytest.mark.timeout(600)
def test_a_new_file_each_day_of_a_saved_source_is_scored_and_seen_by_a_reader(
    new_command: Callable[[str], Command], record_property: Callable[[str, object], None]
) -> None:
    command = new_command("home")
    files = command.home.parent
    write_sample(files / "history.csv", 15_000)
    write_gold_sample(files / "gold.csv", 200, seed=1)
    command("ingest", "--gold", "manual", str(files / "gold.csv"))
    assert command("run", str(files / "history.csv"))["retrain"]["passed"]
    (files / "example.csv").write_text(reviews_of(0))
    answered(command, "inspect", str(files / "example.csv"), "--save", "reviews", answers="1\n")
    folder = command.home / "inbox" / "reviews"
    folder.mkdir(parents=True)
    with running_up(command.home):
        for day in (1, 2):
            began = time.monotonic()
            write_from_elsewhere(folder / f"day-{day}.csv", reviews_of(day))
            wait_until(lambda day=day: scored(command, day) == [("negative", 20), ("positive", 20)])  # type: ignore[misc]
            record_property(f"seconds until day {day} was scored", time.monotonic() - began)


def scored(command: Command, day: int) -> list[tuple[str, int]]:
    """Of one day's reviews, those that a reader sees scored, by the label that the source gave them."""
    found: list[tuple[str, int]] = command.rows(
        "select source_label, count(*) from scored_tweets join tweets using (tweet_id) "
        f"where source = 'reviews' and contains(tweets.text, 'day {day} no') group by 1 order by 1"
    )
    return found


def write_from_elsewhere(path: Path, text: str) -> None:
    """As another program would: bit by bit."""
    subprocess.run(["dd", f"of={path}", "bs=512", "status=none"], input=text.encode(), check=True)
