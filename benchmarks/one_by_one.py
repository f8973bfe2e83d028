"""Runs modules of a package one after the other: all of them, or those that are named on the command line."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence


def run_modules(package: str, modules: Sequence[str], description: str) -> None:
    """Run each module as a program; one that fails ends it.

    Raises:
        subprocess.CalledProcessError: a module failed.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(modules)}; all of them without any")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in modules]:
        parser.error(f"there is no {package}.{unknown[0]} here; there are {', '.join(modules)}")
    for name in names or modules:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"{package}.{name}"], check=True)
