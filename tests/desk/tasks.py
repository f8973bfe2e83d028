"""Twenty things that people come to the desk for, each done in a browser from its first page, by clicks alone.

Words to search for, names and texts are typed; addresses never are. Each task ends by reading its answer from the page and
fails if it is not there. They run on any home whose tweets have two labels and two versions: `test_browser` brings a small one,
`benchmarks.desk` one with 1.6 million tweets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect


@dataclass(frozen=True)
class Subject:
    """What a home's tweets are about: a word that is in many of them, and a text to try."""

    word: str
    text: str = "not bad at all"


Task = Callable[[Page, Subject], None]
TASKS: dict[str, Task] = {}


def task(person: str, wish: str) -> Callable[[Task], Task]:
    """Register a task under who wishes what."""

    def register(do: Task) -> Task:
        TASKS[f"{person}: {wish}"] = do
        return do

    return register


def go(page: Page, name: str) -> None:
    """Click a page of the navigation."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    # A choice shows at once only when the page's script runs.
    page.wait_for_load_state("load")


def search(page: Page, text: str) -> int:
    """Search tweets; how many were found."""
    go(page, "Tweets")
    page.get_by_label("Search").fill(text)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=*")
    return found(page)


def found(page: Page) -> int:
    """How many tweets a page of tweets says there are."""
    return int(page.locator("p[role=status] b").first.inner_text().replace(",", ""))


def labels(page: Page) -> set[str]:
    """The predicted labels of the tweets that are shown."""
    return set(page.locator(".tweet .label").all_inner_texts())


def chances(page: Page) -> list[int]:
    """Percentages of positive of the tweets that are shown, from the top."""
    return [int(text.split()[0]) for text in page.get_by_text(re.compile(r"^\d+\s%\spositive$")).all_inner_texts()]


@task("analyst", "which day turned, and why")
def which_day_turned(page: Page, subject: Subject) -> None:
    page.get_by_role("link", name="Which days turned?").click()
    page.locator("tbody a").first.click()
    assert found(page) > 0
    page.get_by_role("link", name="What rose or fell on this day").click()
    expect(page.get_by_role("heading", name="Rising")).to_be_visible()


@task("analyst", "how positive was each week")
def each_week(page: Page, subject: Subject) -> None:
    page.locator("select[name=unit]").select_option("week")
    page.wait_for_url("**unit=week")
    page.get_by_text("As a table").click()
    expect(page.locator("tbody tr").first).to_contain_text(re.compile(r"\d\s%"))


@task("analyst", "what is behind a point of the chart")
def behind_a_point(page: Page, subject: Subject) -> None:
    page.locator(".plot a").first.click()
    page.wait_for_url("**/tweets?from=*")
    assert found(page) > 0


@task("analyst", "negative tweets with a word, as a file")
def as_a_file(page: Page, subject: Subject) -> None:
    search(page, subject.word)
    page.locator("select[name=label]").select_option("negative")
    page.wait_for_url("**label=negative*")
    count = min(found(page), 100_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) > count > 0
    assert lines[0].startswith("tweet_id,")


@task("analyst", "when a word was written about")
def when_written_about(page: Page, subject: Subject) -> None:
    go(page, "Topics")
    page.get_by_role("link", name="by day").first.click()
    expect(page.locator("#word .plot")).to_be_visible()
    page.locator("#word .plot a").first.click()
    page.wait_for_url("**/tweets?from=*q=*")
    assert found(page) > 0


@task("analyst", "the SQL behind an answer")
def the_sql(page: Page, subject: Subject) -> None:
    go(page, "Questions")
    page.get_by_role("link", name="Which hours are happiest?").click()
    page.wait_for_url("**/questions/**")
    page.wait_for_load_state("load")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).to_have_text(re.compile("Copied|Ctrl"))
    assert "select" in page.locator("#sql").inner_text()


@task("analyst", "whether the probabilities can be believed")
def believable(page: Page, subject: Subject) -> None:
    go(page, "Questions")
    page.get_by_role("link", name="Can the probabilities be believed?").click()
    expect(page.locator("tbody tr").first).to_contain_text(re.compile(r"\d\s%"))


@task("community manager", "the angriest tweets about a word")
def the_angriest(page: Page, subject: Subject) -> None:
    assert search(page, subject.word) > 0
    page.get_by_label("Sort").select_option("most negative first")
    page.wait_for_url("**sort=negative*")
    shown = chances(page)
    assert shown
    assert shown == sorted(shown)


@task("community manager", "who complains about what")
def who_complains(page: Page, subject: Subject) -> None:
    go(page, "Topics")
    complaints = page.locator("section", has=page.get_by_role("heading", name=re.compile("Who complains")))
    complaints.locator("tbody a").nth(1).click()
    assert found(page) > 0
    assert labels(page) == {"negative"}


@task("community manager", "what rose in negative tweets")
def rose_in_negative(page: Page, subject: Subject) -> None:
    go(page, "Topics")
    page.get_by_label("In tweets").select_option("negative")
    page.wait_for_url("**label=negative*")
    page.locator("section", has=page.get_by_role("heading", name="Rising")).locator("tbody a").first.click()
    assert labels(page) == {"negative"}


@task("community manager", "everything that somebody wrote")
def of_somebody(page: Page, subject: Subject) -> None:
    go(page, "Tweets")
    link = page.locator(".tweet a[href*='user=']").first
    name = link.inner_text()
    link.click()
    assert found(page) > 0
    assert set(page.locator(".tweet a[href*='user=']").all_inner_texts()) == {name}


@task("community manager", "why a tweet was taken for negative")
def why_negative(page: Page, subject: Subject) -> None:
    go(page, "Tweets")
    page.locator("select[name=label]").select_option("negative")
    page.wait_for_url("**label=negative*")
    page.locator(".tweet a[href^='/tweets/']").first.click()
    expect(page.locator(".words span").first).to_contain_text(re.compile(r"[+−]\d"))


@task("community manager", "a search to share")
def to_share(page: Page, subject: Subject) -> None:
    count = search(page, subject.word)
    other = page.context.new_page()
    other.goto(page.url)
    assert found(other) == count
    other.close()


@task("community manager", "what a text of one's own would be taken for")
def ones_own(page: Page, subject: Subject) -> None:
    go(page, "Try")
    page.get_by_label("Text").fill(subject.text)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("section .label")).to_have_text(re.compile("negative|neutral|positive"))


@task("labeller", "label fifty")
def label_fifty(page: Page, subject: Subject) -> None:
    go(page, "Review")
    for number in range(50):
        before = page.locator("input[name=tweet]").input_value()
        page.get_by_role("button", name=("Negative", "Positive")[number % 2]).click()
        expect(page.locator("input[name=tweet]")).not_to_have_value(before)
    counted = page.locator("section", has=page.get_by_role("heading", name="What was reviewed"))
    first = counted.locator("tbody tr").first
    give_up_at = time.monotonic() + 60
    while not first.is_visible() and time.monotonic() < give_up_at:
        # What is labelled without a pause is published a few seconds after the last one.
        page.wait_for_timeout(1_000)
        go(page, "Review")
    expect(first).to_be_visible()


@task("labeller", "take the last label back")
def take_back(page: Page, subject: Subject) -> None:
    go(page, "Review")
    before = page.locator("input[name=tweet]").input_value()
    page.get_by_role("button", name="Positive").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("input[name=tweet]")).to_have_value(before)


@task("labeller", "correct one particular tweet")
def one_particular(page: Page, subject: Subject) -> None:
    search(page, subject.word)
    page.locator(".tweet a[href^='/tweets/']").first.click()
    page.get_by_role("link", name="Label this tweet").click()
    page.get_by_role("button", name="Neutral").click()
    expect(page.get_by_role("status").first).to_contain_text("You said neutral")


@task("owner", "is the new model better, and where is it worse")
def is_it_better(page: Page, subject: Subject) -> None:
    go(page, "Models")
    page.get_by_role("link", name=re.compile("^(refused by|passed)")).first.click()
    expect(page.get_by_role("heading", name="Checks")).to_be_visible()
    expect(page.locator("tbody tr", has_text="better").first).to_contain_text(re.compile(r"[+−]\d"))
    expect(page.get_by_role("heading", name="What can be done")).to_be_visible()


@task("owner", "what more data brought")
def more_data(page: Page, subject: Subject) -> None:
    go(page, "Models")
    page.locator(".plot a").first.click()
    expect(page.get_by_text("Right on the hold-out")).to_be_visible()


@task("owner", "is anything broken")
def anything_broken(page: Page, subject: Subject) -> None:
    page.locator("a.tile[href='/status']").click()
    expect(page.locator("main > [role=status], main > .problem").first).to_be_visible()
    expect(page.get_by_role("heading", name="Last runs")).to_be_visible()
