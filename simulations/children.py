"""Child processes for simulations, forked from one that has imported what takes seconds, and nothing more."""

from __future__ import annotations

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["simulations.preloaded"])
