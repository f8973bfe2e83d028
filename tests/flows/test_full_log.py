"""A log on a full disk: the sentence that says so is not buried in stack traces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_log_that_cannot_be_written_prints_no_stack_trace() -> None:
    script = (
        "import logging, flows\n"
        "log = logging.getLogger('a log')\n"
        "log.addHandler(logging.FileHandler('/dev/full'))\n"
        "log.error('what happened')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
