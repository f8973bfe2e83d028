"""The data profile: each section against tweets whose figures are known, and a page that lets no tweet out of its text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from sentiment.errors import HomeError, InputError
from sentiment.monitoring.profile import Figures, findings, keep, measure, profile_markdown, write_page
from sentiment.monitoring.profile.figures import SECTIONS
from sentiment.settings import Home
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

Profile = Callable[..., Figures]


@pytest.fixture
def profile_of(home: Home, ingest_lines: Callable) -> Profile:
    """Ingests lines and measures them."""

    def profile(*lines: bytes, **options: object) -> Figures:
        ingest_lines(home, *lines, **options)
        publish(home)
        return measure(home)

    return profile


@pytest.fixture(scope="module")
def mixed(new_home: Callable, tweet_line: Callable, ingest_lines: Callable) -> Figures:
    """The profile of tweets of every kind."""
    home = new_home()
    ingest_lines(
        home,
        tweet_line(1, "@ann good <script>alert(1)</script> $day$", "4", date="Mon Apr 06 23:30:00 UTC 2009"),
        tweet_line(2, "bad, bad http://example.com/x", "0", date="Tue May 05 10:00:00 UTC 2009"),
        tweet_line(3, "good &amp; not bad #tag", "4", date=""),
        tweet_line(4, "Good, & NOT BAD #tag", "0", date="Tue May 05 11:00:00 UTC 2009", user="bob"),
        tweet_line(5, "nothing known", "", date="Wed May 06 11:00:00 UTC 2009"),
        tweet_line(6, "so so", "2", date="Wed May 06 11:00:00 UTC 2009"),
        tweet_line(7, "torn", "4"),
        tweet_line(7, "torn", "0"),
        tweet_line(8, b"caf\xe9 :)", "4"),
    )
    publish(home)
    return measure(home)


def test_every_section_is_measured_in_its_order(mixed: Figures) -> None:
    # Of eight tweets no text stands ten times, and no word tells more than chance.
    too_few = {"repeated_texts", "telling_words"}
    assert mixed.frame["section"].unique(maintain_order=True).to_list() == [
        section for section in SECTIONS if section not in too_few
    ]
    assert mixed.frame["value"].null_count() == 0
    assert mixed.section("rows")["position"].to_list() == list(range(len(mixed.section("rows"))))


def test_rows_are_counted_by_label(mixed: Figures) -> None:
    assert dict(mixed.section("rows").select("item", "value").iter_rows()) == {
        "tweets": 8,
        "negative": 2,
        "positive": 3,
        "neutral": 1,
        "unlabelled": 1,
        "conflicting": 1,
        "hand-labelled": 0,
        "rejected lines": 0,
        "files": 1,
    }


def test_missing_values(mixed: Figures) -> None:
    missing = dict(mixed.section("columns", "count_missing").select("item", "value").iter_rows())
    assert missing == {"posted_at": 1, "user_name": 0, "query": 0, "label": 2}
    assert mixed.value("columns", "posted_at", "share_missing") == 1 / 8


def test_times_are_counted_in_utc(mixed: Figures) -> None:
    months = mixed.by_label("months")
    assert months["item"].to_list() == ["2009-04", "2009-05"]
    assert (mixed.value("days", "2009-05-05", "count_tweets", "negative")) == 2
    assert mixed.value("hours", "23", "count_tweets", "positive") == 1
    assert mixed.value("weekdays", "Wednesday", "count_tweets", "neutral") == 1


def test_lengths(mixed: Figures) -> None:
    assert mixed.value("words_per_tweet", "3", "count_tweets", "negative") == 1
    assert mixed.value("length", "words", "maximum") == 5
    assert mixed.value("length", "characters", "minimum") == 4
    assert mixed.value("length", "words", "median", "neutral") == 2


def test_copies_and_conflicts(mixed: Figures) -> None:
    assert mixed.value("duplicates", "same text", "count_texts") == 0
    same = {
        measure: mixed.value("duplicates", "same normalised text", measure)
        for measure in ("count_texts", "count_extra_tweets")
    }
    assert same == {"count_texts": 1, "count_extra_tweets": 1}
    assert mixed.value("duplicates", "same normalised text", "count_tweets_under_both_labels") == 2
    assert mixed.value("duplicates", "same id", "count_tweets_under_both_labels") == 1


def test_traits_by_class(mixed: Figures) -> None:
    assert mixed.value("traits", "mentions somebody", "share_tweets", "positive") == pytest.approx(1 / 3)
    assert mixed.value("traits", "holds a link", "share_tweets", "negative") == 0.5
    assert mixed.value("traits", "holds a hashtag", "count_tweets", "positive") == 1
    assert mixed.value("traits", "glad emoticon", "count_tweets", "positive") == 1
    assert mixed.value("traits", "word in capitals", "count_tweets", "negative") == 1


def test_entities_and_bytes(mixed: Figures) -> None:
    counts = dict(mixed.section("encoding", "count_tweets").select("item", "value").iter_rows())
    assert counts["text differs from its bytes"] == 2
    assert counts["HTML entities, resolved"] == 1
    assert counts["bytes that are not UTF-8, read as windows-1252"] == 1
    assert counts["characters beyond ASCII"] == 1


def test_telling_words_are_the_log_odds_of_monroe_and_others(profile_of: Profile, tweet_line: Callable) -> None:
    lines = [tweet_line(number, f"glad {number}", "4") for number in range(60)]
    lines += [tweet_line(100 + number, f"sad {number + 100}", "0") for number in range(40)]
    figures = profile_of(*lines)
    total = {"positive": 120, "negative": 80}
    prior_words = 200 / 10
    prior = prior_words * 60 / 200

    def log_odds(count: int, label: str) -> float:
        return math.log((count + prior) / (total[label] + prior_words - count - prior))

    delta = log_odds(60, "positive") - log_odds(0, "negative")
    assert figures.value("telling_words", "glad", "log_odds", "positive") == pytest.approx(delta)
    z = delta / math.sqrt(1 / (60 + prior) + 1 / prior)
    assert figures.value("telling_words", "glad", "z", "positive") == pytest.approx(z)
    assert figures.section("telling_words", "z").select("item", "label").rows() == [
        ("sad", "negative"),
        ("glad", "positive"),
    ]


def test_label_noise_of_copies_is_the_error_rate_at_which_they_disagree_so_often(
    profile_of: Profile, tweet_line: Callable
) -> None:
    # Of 100 texts with two copies, 32 disagree: 2e(1-e) = 0.32 has the solution e = 0.2.
    lines = [
        tweet_line(2 * text + copy, f"text {text}", "4" if copy or text >= 32 else "0")
        for text in range(100)
        for copy in range(2)
    ]
    figures = profile_of(*lines)
    assert figures.value("label_noise", "copies", "share_disagreeing") == pytest.approx(0.32)
    assert figures.value("label_noise", "copies", "share_wrong_labels") == pytest.approx(0.2)


def test_label_noise_by_the_champion_rests_on_the_hold_out_alone(world: Home, rows_of: Callable) -> None:
    rows_of(world, "insert into published_model values (1, now())")
    # Sure of every label but for those of the ids below 400, of which it is sure to the contrary.
    rows_of(
        world,
        "insert into predictions select tweet_id, 1, if((label = 'positive') = (tweet_id >= 400), 0.9, 0.1), "
        "if((label = 'positive') = (tweet_id >= 400), 'positive', 'negative'), now(), 'run', null from tweets",
    )
    publish(world)
    figures = measure(world)
    ((held_out, wrong),) = rows_of(
        world, "select count(*), count(*) filter (tweet_id < 400) from tweets where split = 'holdout'"
    )
    assert held_out < 2400 / 2
    assert figures.value("label_noise", "champion", "count_tweets") == held_out
    assert figures.value("label_noise", "champion", "count_doubted") == wrong
    assert figures.value("label_noise", "champion", "share_disagreeing") == pytest.approx(wrong / held_out)


def test_the_texts_that_stand_most_often_name_nobody(profile_of: Profile, tweet_line: Callable) -> None:
    figures = profile_of(
        *(tweet_line(number, f"@user{number} thank you", "4" if number else "0") for number in range(12))
    )
    assert figures.section("repeated_texts").select("item", "label", "value").rows() == [
        ("@… thank you", None, 12),
        ("@… thank you", "negative", 1),
        ("@… thank you", "positive", 11),
    ]
    assert not figures.frame["item"].str.contains("user1").any()


def test_the_newest_figures_take_the_place_of_the_former_ones(home: Home, mixed: Figures, rows_of: Callable) -> None:
    for _ in range(2):
        keep(home, mixed)
        assert rows_of(home, "select count(*), count(distinct profiled_at) from profile_figures") == [
            (len(mixed.frame), 1)
        ]
    publish(home)
    shown = query(home, "select value from profile_figures where section = 'rows' and item = 'tweets'")
    assert shown.item() == 8


def test_findings_name_what_stands_out_with_its_figures(profile_of: Profile, tweet_line: Callable) -> None:
    lines = [tweet_line(n, f"@ann one {n}", "4", date="Mon Apr 06 23:30:00 UTC 2009") for n in range(40)]
    lines += [tweet_line(100 + n, f"two {n}", "0", date="Mon Apr 06 23:30:00 UTC 2009") for n in range(40)]
    lines += [
        tweet_line(200 + day * 50 + n, f"three {day} {n}", "0", date=f"{name} May 0{day} 23:30:00 UTC 2009")
        for day, name in ((1, "Fri"), (2, "Sat"))
        for n in range(40)
    ]
    said = "\n".join(findings(profile_of(*lines)))
    assert "From 2009-05-01 to the end, 80 of the labelled tweets are negative" in said
    assert "mentions somebody (100.0 % of positive tweets, 0.0 % of negative ones)" in said
    assert "The share of positive labels moves from 0.0 % in 2009-05 to 50.0 % in 2009-04" in said
    assert "One user name stands" not in said


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


def test_the_page_is_one_file_that_loads_nothing_and_runs_nothing(home: Home, mixed: Figures) -> None:
    page = write_page(home.reports / "profile.html", mixed).read_text()
    assert not {"script", "link", "img", "iframe"} & Tags(page).found
    # Namespaces are names; nothing else in the page has an address.
    assert set(re.findall(r"https?://[\w./]+", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") >= 7
    assert "#0101" not in page, "a colour of matplotlib's that no variable has replaced"
    assert not list(home.reports.glob("*.part"))


def test_the_short_form_has_the_findings_and_the_page(home: Home, mixed: Figures) -> None:
    text = profile_markdown(mixed, home.reports / "profile.html")
    assert text.startswith("**8 tweets: 2 negative, 3 positive.**")
    assert str(home.reports / "profile.html") in text


@pytest.mark.parametrize("label", ["", "4"])
def test_tweets_of_one_label_or_none_and_without_dates_have_a_page_as_well(
    home: Home, profile_of: Profile, tweet_line: Callable, label: str
) -> None:
    figures = profile_of(*(tweet_line(number, f"tweet {number}", label, date="") for number in range(3)))
    page = write_page(home.reports / "profile.html", figures).read_text()
    assert "When tweets were posted" not in page
    assert findings(figures)


def test_without_tweets_there_is_a_sentence(home: Home) -> None:
    with pytest.raises(HomeError, match="Nothing has been published"):
        measure(home)
    publish(home)
    with pytest.raises(InputError, match="There are no tweets to profile"):
        measure(home)
