"""The desk on a home with many tweets: `python -m benchmarks.desk HOME`.

First view of each page and of each filter, in a process that has just started; ten people who click once a second; what is left for
`/predict` meanwhile, asked by `wrk`; and the twenty tasks of `tests/desk/tasks.py` in Chromium, which label tweets of the
home. The load runs on the same cores as the desk.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

from benchmarks.api import DIRECT, bodies, busy_seconds, serving, under_load
from sentiment.settings import Home

PAGES = (
    "/",
    "/topics",
    "/tweets",
    "/review",
    "/models",
    "/models/2",
    "/models/2-vs-1",
    "/status",
    "/questions",
    "/questions/which_days_turned",
    "/questions/how_positive_is_each_topic",
    "/try?text=not+bad",
    "/docs",
)
FILTERS = {
    "a word": [f"/tweets?q={word}" for word in ("battery", "iphone", "rain", "exam", "coffee")],
    "a common word": [f"/tweets?q={word}" for word in ("the", "day", "good")],
    "two words": ["/tweets?q=go+home", "/tweets?q=can't+sleep"],
    "a phrase": ['/tweets?q="battery+died"', '/tweets?q="so+tired"', "/tweets?q=:)"],
    "a label": ["/tweets?label=negative", "/tweets?label=positive"],
    "a label, sorted": ["/tweets?label=negative&sort=negative", "/tweets?label=positive&sort=positive"],
    "days": ["/tweets?from=2009-06-01&until=2009-06-07", "/tweets?from=2009-05-01&until=2009-05-31"],
    "a probability": ["/tweets?least=45&most=55&sort=unsure", "/tweets?most=1"],
    "disputed": ["/tweets?disputed=true"],
    "a user": ["/tweets?user=lost_dog", "/tweets?user=tweetpet"],
    "topics of other days": ["/topics?until=2009-06-07", "/topics?days=14&label=negative", "/topics?kind=hashtags"],
    "days of the overview": ["/?from=2009-06-01&until=2009-06-20", "/?unit=week"],
}
PEOPLE, SECONDS = 10, 20
WORDS = [
    "work",
    "home",
    "sleep",
    "rain",
    "phone",
    "school",
    "movie",
    "friend",
    "music",
    "sick",
    "lunch",
    "beach",
    "car",
    "dog",
    "exam",
    "party",
    "game",
    "week",
    "sun",
    "hair",
]


def main() -> None:
    """Measure, and write `results/desk.json`."""
    home = Home(Path(sys.argv[1]))
    os.environ.pop("SENTIMENT_API_KEY", None)
    result: dict[str, Any] = {}
    with serving(home) as (address, server), tempfile.TemporaryDirectory() as folder:
        wait_for_pages(address)
        before, began = busy_seconds(), time.perf_counter()
        result["first_view_ms"] = {page: seconds_of(address, page) for page in PAGES}
        result["filters_ms"] = {
            name: {"first": max(seconds_of(address, path) for path in paths), "again": seconds_of(address, paths[0])}
            for name, paths in FILTERS.items()
        }
        share = (busy_seconds() - before) / (time.perf_counter() - began) / (os.cpu_count() or 1)
        result["share_of_cores_busy"] = round(share, 2)
        result["ten_people_ms"] = people(address, SECONDS)
        single, _ = bodies(home, Path(folder), "text", "texts")
        result["predict_alone"] = under_load(server, f"{address}/predict", single, clients=32)
        clicked: list[dict[str, Any]] = []
        crowd = threading.Thread(target=lambda: clicked.append(people(address, SECONDS)))
        crowd.start()
        result["predict_beside_ten_people"] = under_load(server, f"{address}/predict", single, clients=32)
        crowd.join()
        result["ten_people_beside_predict_ms"] = clicked[0]
    written(result)
    result["tasks_seconds"] = tasks(home)
    written(result)


def written(result: dict[str, Any]) -> None:
    """Keep what is known so far: what follows may fail."""
    target = Path(__file__).with_name("results") / "desk.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def wait_for_pages(address: str) -> None:
    """Return once the search index is built and what everyone asks alike is computed."""
    while True:
        try:
            seconds_of(address, "/")
            break
        except OSError:
            time.sleep(1)
    for _ in range(60):  # As a rule 10 seconds: a view is prepared, and the model loaded.
        before = busy_seconds()
        time.sleep(1)
        if busy_seconds() - before < 0.4:
            break


def seconds_of(address: str, path: str) -> float:
    """Milliseconds until a page is there."""
    began = time.perf_counter()
    with DIRECT.open(address + urllib.parse.quote(path, safe="/?=&+%:"), timeout=60) as answer:
        answer.read()
    return round(1000 * (time.perf_counter() - began), 1)


def people(address: str, seconds: float) -> dict[str, Any]:
    """Ten people who look at a page and click again a second later: half of the clicks are searches that nobody made before."""
    times: list[float] = []
    give_up_at = time.monotonic() + seconds

    def click_on(seed: int) -> None:
        chosen = random.Random(seed)
        while time.monotonic() < give_up_at:
            search = (
                f"/tweets?q={chosen.choice(WORDS)}+{chosen.choice(WORDS)}&sort={chosen.choice(('newest', 'negative'))}"
            )
            times.append(seconds_of(address, search if chosen.random() < 0.5 else chosen.choice(PAGES[:9])))
            time.sleep(chosen.uniform(0.5, 1.5))

    threads = [threading.Thread(target=click_on, args=[seed]) for seed in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parts = statistics.quantiles(times, n=100)
    return {"clicks": len(times), "p50": round(parts[49], 1), "p99": round(parts[98], 1), "slowest": max(times)}


def tasks(home: Home) -> dict[str, float]:
    """Seconds that each of the twenty tasks takes a script in Chromium."""
    import shutil

    from playwright.sync_api import sync_playwright

    from tests.desk.tasks import TASKS, Subject

    os.environ["SENTIMENT_API_KEY"] = key = "benchmark"
    taken = {}
    with serving(home) as (address, _), sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, do in TASKS.items():
            context = browser.new_context(http_credentials={"username": "benchmark", "password": key})
            page = context.new_page()
            page.goto(address)
            began = time.perf_counter()
            do(page, Subject(word="battery"))
            taken[name] = round(time.perf_counter() - began, 1)
            context.close()
        browser.close()
    return taken


if __name__ == "__main__":
    main()
