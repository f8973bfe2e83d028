"""Ends the parts of `sentiment up` when `up` itself is killed.

`flows.server.supervisor` starts it as `python -m flows.server.reaper`.

A process that is killed with -9 cannot end its children. Linux can signal them at the parent's death, but not the
grandchildren, such as MLflow's web server. So this small process reads from a pipe
whose only writing end is `up`'s: a line names the process groups that run now, and the end of the pipe means that
`up` is gone. It costs 10 MB and imports nothing beyond the standard library.
"""

from __future__ import annotations

import os
import signal
import sys
import time

SECONDS_TO_END = 5.0


def main() -> None:
    """Read process groups until the pipe ends, then end those that the last line named."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    groups: list[int] = []
    for line in sys.stdin:
        groups = [int(group) for group in line.split()]
    for group in groups:
        signal_group(group, signal.SIGTERM)
    give_up_at = time.monotonic() + SECONDS_TO_END
    while time.monotonic() < give_up_at and any(signal_group(group, 0) for group in groups):
        time.sleep(0.1)
    for group in groups:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False if there is none any more."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
