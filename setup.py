"""Puts what is in no package of the checkout into the wheel: SQL, and the definitions of deployments."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA = {"sql": "sentiment/sql", "deployments": "flows/deployments"}


class BuildWithData(build_py):
    """Copies each folder below the package that reads it; an editable install reads the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in DATA.items():
            for path in (path for path in Path(source).rglob("*") if path.is_file()):
                copy = Path(self.build_lib, target, path.relative_to(source))
                copy.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(path), str(copy))


setup(cmdclass={"build_py": BuildWithData})
