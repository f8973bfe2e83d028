"""Asks a home, by SQL over what readers see, whether a simulated year went as the project promises.

What the failures of the year may not do is asked of what was written down meanwhile: of readers, of the desk, and of how everything
ended. An alarm belongs to a planted change if it comes within three days of it (the first day of the change is day one), in
any measure; or later, if it is of a measure in which the change shows and the change is still on its way through the four
weeks of reference and the week between: then it repeats itself, and is counted as such. Every other alarm is false, but for
late data while the sources are silent, or in a night with a failure.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl

from sentiment.monitoring.daily import GAP_DAYS, REFERENCE_DAYS
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.session import Warehouse
from simulations.year_failures import HOSTILE
from simulations.year_source import CHANGES, SILENT, START, Source

SOON, MOST_FALSE_ALARMS = 3, 2
CHECKS = ("files_reconcile", "tweets_are_unique", "predictions_are_unique", "published_version_is_complete")
LEVEL_FROM = 200
MOST_GROWTH = 1.25


def account(
    home: Home, source: Source, diary: dict[str, Any], days: int
) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """Figures and claims of a year, and the tables that its picture is drawn from."""
    with reader(home) as snapshot:
        lost = what_was_lost(snapshot, source, diary["forgotten"])
        people = what_people_said(snapshot, source, diary)
        checks = {name: len(snapshot.frame(f"checks/{name}")) for name in CHECKS}
        scored = snapshot.connection.sql(
            "select (select count(*) from tweets), (select count(*) from scored_tweets), (select count(*) from "
            "(select tweet_id from predictions group by tweet_id, model_version having count(*) > 1))"
        ).fetchone()
        champions = snapshot.connection.sql(
            "select changed_at, model_version, from_version, change, changed_by, reason, "
            "(select count(*) from decisions where decisions.model_version = alias_history.model_version "
            "and passed and reason != '' and decided_at <= changed_at) as count_reasons, "
            "(select count(*) from decisions where decisions.model_version = alias_history.model_version "
            "and not passed and decided_at <= changed_at) as count_against "
            "from alias_history order by changed_at"
        ).pl()
        monitoring = snapshot.connection.sql("from monitoring order by day, measure").pl()
    assert scored is not None
    failing = {failure["day"] for failure in diary["failures"]}
    alarms = [{**alarm, **explain(alarm, failing)} for alarm in diary["alarms"]]
    found = [seen(change, alarms) for change in CHANGES if change.day + SOON <= days]
    disk = bounded(diary["disk"], scored[0])
    count_false = sum(alarm["kind"] == "false" for alarm in alarms)
    ended = how_it_ended(diary)
    claims = {
        "no_line_is_lost": not any(lost[name] for name in ("files_that_differ", "missing", "unknown")),
        "tables_are_whole": not any(checks.values()),
        "no_tweet_is_scored_twice": scored[2] == 0,
        "every_tweet_is_scored": scored[0] == scored[1],
        "every_promotion_has_its_reasons": promoted_for_reasons(champions, diary["failures"]),
        "readers_saw_one_whole_version": diary["readers"]["looks"] > 0 and not diary["readers"]["wrong"],
        "every_correction_holds": not people["corrections_lost"],
        "who_is_forgotten_stays_out": not people["forgotten_tweets"],
        "every_failure_ends_in_a_sentence_or_a_kill": not ended["otherwise"],
        "the_desk_never_broke": not diary["desk"]["failed"],
        **({"disk_is_bounded": disk["is_bounded"]} if days > LEVEL_FROM else {}),
        "every_change_is_seen_within_three_days": all(change["days"] is not None for change in found),
        "at_most_two_false_alarms": count_false <= MOST_FALSE_ALARMS,
    }
    result = {
        "claims": claims,
        "lines": lost,
        "checks": checks,
        "people": people,
        "readers": diary["readers"],
        "desk": diary["desk"],
        "failures": ended,
        "tweets": scored[0],
        "scored_tweets": scored[1],
        "scored_twice": scored[2],
        "changes": found,
        "alarms": {kind: sum(alarm["kind"] == kind for alarm in alarms) for kind in ("seen", "again", "late", "false")},
        "all_alarms": alarms,
        "retrains": len(diary["retrains"]),
        "champions": champions.select(pl.exclude("reason"))
        .with_columns(pl.col("changed_at").cast(pl.String))
        .to_dicts(),
        "refused_files": diary["refused_files"],
        "disk": disk,
        "seconds_a_day_by_quarter": by_quarter(diary["costs"]),
    }
    return result, {"monitoring": monitoring, "champions": champions}


def promoted_for_reasons(champions: pl.DataFrame, failures: list[dict[str, Any]]) -> bool:
    """Whether the gate promoted what it had accepted, and people only what a sentence told them to, with its reason."""
    by_gate = champions.filter(pl.col("changed_by") == "gate")
    by_hand = champions.filter(pl.col("changed_by") != "gate")
    return bool(
        (champions["change"] == "promotion").all()
        and (by_gate["count_reasons"] > 0).all()
        and (by_gate["count_against"] == 0).all()
        and (by_hand["reason"] != "").all()
        and len(by_hand) <= sum("promote" in failure["operator"] for failure in failures)
    )


def what_was_lost(snapshot: Warehouse, source: Source, forgotten: list[str]) -> dict[str, Any]:
    """Each file's lines against what was sent, and all ids against those that were made and are not forgotten."""
    read = {
        path.partition("/inbox/")[2]: counts
        for path, *counts in snapshot.connection.sql(
            "select path, sum(count_lines)::bigint, sum(count_loaded)::bigint, sum(count_duplicate)::bigint, "
            "sum(count_rejected)::bigint, coalesce(sum((select count(*) from rejected_rows "
            "where rejected_rows.file_id = ingest_files.file_id and reason = 'forgotten')), 0)::bigint "
            "from ingest_files group by path"
        ).fetchall()
    }
    differ = []
    for sent in source.sent:
        found = read.pop(sent.name, (0, 0, 0, 0, 0))
        lines, loaded, duplicate, rejected, kept_out = found
        may_be_out = sum(sent.by_leaver.get(who, 0) for who in forgotten)
        if (
            lines != sent.count_lines
            or lines != loaded + duplicate + rejected
            # A broken line of somebody who is forgotten counts among what is kept out as well.
            or not 0 <= rejected - sent.count_broken <= min(kept_out, may_be_out)
        ):
            differ.append([sent.name, sent.count_lines, sent.count_broken, *found])
    # Nothing of a hostile file is loaded.
    read = {name: found for name, found in read.items() if name not in HOSTILE or found[1]}
    wanted = {tweet_id for tweet_id in source.labels if source.leavers.get(tweet_id) not in forgotten}
    ids = {tweet_id for (tweet_id,) in snapshot.connection.sql("select tweet_id from tweets").fetchall()}
    totals = snapshot.connection.sql(
        "select sum(count_lines)::bigint, sum(count_loaded)::bigint, sum(count_duplicate)::bigint, "
        "sum(count_rejected)::bigint from ingest_files"
    ).fetchone()
    assert totals is not None
    return {
        "files": len(source.sent),
        "files_that_differ": differ + [[name, *counts] for name, counts in read.items()],
        **dict(zip(("lines", "loaded", "duplicate", "rejected"), totals, strict=True)),
        "made": len(source.labels),
        "forgotten": len(source.labels) - len(wanted),
        "missing": len(wanted - ids),
        "unknown": len(ids - source.labels.keys()),
    }


def what_people_said(snapshot: Warehouse, source: Source, diary: dict[str, Any]) -> dict[str, Any]:
    """The last label that people gave each tweet against the one that counts, and what is left of those who are forgotten."""
    said = {tweet_id: label for tweet_id, label, _ in diary["corrections"]}
    said = {
        tweet_id: label for tweet_id, label in said.items() if source.leavers.get(tweet_id) not in diary["forgotten"]
    }
    counted = dict(snapshot.connection.sql("select tweet_id, label from newest_corrections").fetchall())
    names = snapshot.connection.execute(
        "select count(*) from tweets where list_contains(?, user_name)", [diary["forgotten"]]
    ).fetchone()
    assert names is not None
    return {
        "corrections": len(said),
        "corrections_lost": sorted(tweet_id for tweet_id, label in said.items() if counted.get(tweet_id) != label),
        "forgotten": len(diary["forgotten"]),
        "forgotten_tweets": names[0],
    }


def how_it_ended(diary: dict[str, Any]) -> dict[str, Any]:
    """Nights with a failure by its kind, how work ended in them, and what ended neither in a sentence nor in a kill."""
    kinds: dict[str, dict[str, int]] = {}
    for failure in diary["failures"]:
        counted = kinds.setdefault(failure["kind"], {"nights": 0, "helped": 0})
        counted["nights"] += 1
        counted["helped"] += bool(failure["operator"])
        for how in failure["ended"].values():
            counted[how] = counted.get(how, 0) + 1
    otherwise = [ending for ending in diary["endings"] if ending["how"] not in ("sentence", "killed")]
    return {
        "nights": len(diary["failures"]),
        "restores": diary["restores"],
        "by_kind": kinds,
        "otherwise": [[ending["day"], ending["work"], ending["how"], ending["said"]] for ending in otherwise],
    }


def number_of(day: str) -> int:
    """The number of a day, 1 the first of the year."""
    return (date.fromisoformat(day) - START).days + 1


def explain(alarm: dict[str, Any], failing: set[int]) -> dict[str, Any]:
    """What set an alarm off: `seen`, `again` (with the change), `late`, or `false`.

    Args:
        failing: numbers of the days whose night had a failure, which may leave data late.
    """
    number, measure = number_of(alarm["day"]), alarm["measure"]
    for change in CHANGES:
        after = number - change.day
        if 0 <= after < SOON:
            return {"kind": "seen", "change": change.name}
        if after >= 0 and after <= REFERENCE_DAYS + GAP_DAYS and measure in change.measures:
            return {"kind": "again", "change": change.name}
    was_told = (date.fromisoformat(alarm["told_on"]) - START).days
    if measure == "delay_days" and (number in SILENT or was_told in failing):
        return {"kind": "late"}
    return {"kind": "false"}


def seen(change: Any, alarms: list[dict[str, Any]]) -> dict[str, Any]:
    """When a change was seen by a measure that it has to show in; the first day of the change is day one."""
    own = [alarm for alarm in alarms if alarm["kind"] == "seen" and alarm["change"] == change.name]
    days = [number_of(alarm["day"]) - change.day + 1 for alarm in own if alarm["measure"] in change.measures]
    return {
        "day": str(START + timedelta(days=change.day - 1)),
        "change": change.name,
        "days": min(days, default=None),
        "by": sorted({alarm["measure"] for alarm in own}),
    }


def bounded(disk: list[dict[str, Any]], count_tweets: int) -> dict[str, Any]:
    """What a home takes at the end, and whether all but what tweets need has levelled off in the second half of the year."""
    last = {part: size for part, size in disk[-1].items() if part != "day"}
    level = next((row for row in disk if row["day"] == LEVEL_FROM), disk[0])
    rest = ("mlflow", "reports", "checkpoints", "work", "logs")
    return {
        "mib_at_the_end": {part: round(size / 2**20, 1) for part, size in last.items()},
        "warehouse_bytes_a_tweet": round(last["warehouse.duckdb"] / count_tweets),
        "exports_bytes_a_tweet": round(last["exports"] / count_tweets),
        "rest_mib": {
            name: round(sum(row[part] for part in rest) / 2**20, 1)
            for name, row in (("first_day", disk[0]), (f"day_{LEVEL_FROM}", level), ("last_day", disk[-1]))
        },
        "is_bounded": sum(last[part] for part in rest) <= MOST_GROWTH * sum(level[part] for part in rest)
        and last["published"] <= 4 * last["warehouse.duckdb"],
    }


def by_quarter(costs: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Median seconds of a run of each flow, quarter by quarter."""
    frame = pl.DataFrame(costs, infer_schema_length=None)
    quarters = frame.with_columns(quarter=(pl.col("day") - 1) // 92).group_by("quarter").median().sort("quarter")
    return {
        name: [None if value is None else round(value, 2) for value in quarters[name]]
        for name in frame.columns
        if name != "day"
    }
