"""Commands that read a bucket: moto's server, and the installed command in a process of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.ingest.test_objects import upload
from tests.process.conftest import Command


def test_a_bucket_is_inspected_ingested_and_withdrawn_by_command(
    s3: tuple[str, subprocess.Popen[bytes]], new_command: Callable[[str], Command]
) -> None:
    command, (address, _) = new_command("home"), s3
    for day in (1, 2):
        upload(address, f"day=2026-11-0{day}/posts.csv", 10 * day)
    time.sleep(3)
    pattern = address.replace("?", "/day=*/*.csv?")
    found = command("inspect", pattern)
    assert (found["path"], found["count_rows"]) == ("s3://shards/prefix/day=2026-11-01/posts.csv", 4)
    assert next(column["taken_for"] for column in found["columns"] if column["column"] == "day") == "date"

    assert [file["count_loaded"] for file in command("ingest", pattern)["files"]] == [4, 4]
    (again,) = command("ingest", pattern)["files"]
    assert (again["outcome"], again["note"]) == ("unchanged", "2 object(s) were read before and have not changed")
    assert command.rows("select min(posted_at)::date::varchar, count(*) from tweets") == [("2026-11-01", 8)]

    assert command("withdraw", "s3://shards/prefix/day=2026-11-02/posts.csv")["count_tweets"] == 4
    command("inspect", pattern, "--save", "posts")
    (watched,) = command("ingest")["files"]
    assert (watched["path"], watched["count_loaded"]) == ("s3://shards/prefix/day=2026-11-02/posts.csv", 4)
    assert command("ingest")["files"] == []
    status, said = command.fails("ingest", address.replace("s3://shards/prefix?", "s3://nowhere/*.csv?"))
    assert (status, "NO_SUCH_BUCKET" in said, "Traceback" in said) == (1, True, False)
    status, said = command.fails("ingest", address.replace("?", "/*.json?"))
    assert (status, "No object matches" in said) == (2, True)
