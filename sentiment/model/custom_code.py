"""Copies of a user's source code: found, copied next to a model's weights, and imported from there.

A registered model must give the same probabilities however its user's package is edited later, and load where that package
is not installed. So the package is copied as source, and the copy is imported under a name of its own: versions trained
with different states of one package are loaded side by side (the gate does so), and nothing is added to `sys.path`. Within
the copy, `import my_package...` finds the copy. Importing runs the code, as any import does; nothing is unpickled.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import importlib.util
import itertools
import shutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ModelError

MOST_BYTES = 20 << 20
_numbers = itertools.count(1)


def find_files(module: str) -> dict[str, Path]:
    """The files of the top-level package, or module, that `module` is in: paths below the copy's folder, and where they are.

    Looked for in the current folder first, as `python -m` does, and then wherever Python finds modules. Imports nothing.

    Raises:
        ModelError: it is not there, has no source, or is too large to be copied with every version.
    """
    root = module.partition(".")[0]
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(root, [str(Path.cwd())]) or importlib.util.find_spec(root)
    if spec is None:
        raise ModelError(
            f"There is no module {root!r} in {Path.cwd()} or on Python's path. Run the command in the folder that holds "
            "it, or name that folder in PYTHONPATH."
        )
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        paths = sorted(path for path in folder.rglob("*") if _travels(path, folder))
        files = {f"{root}/{path.relative_to(folder).as_posix()}": path for path in paths}
    elif spec.origin and spec.origin.endswith(".py") and root not in sys.stdlib_module_names:
        files = {f"{root}.py": Path(spec.origin)}
    else:
        raise ModelError(
            f"{root!r} is no module with Python source of your own ({spec.origin}); expected a .py file or a folder."
        )
    if (size := sum(path.stat().st_size for path in files.values())) > MOST_BYTES:
        raise ModelError(
            f"The package {root!r} has {size >> 20} MiB in {len(files):,} files; up to {MOST_BYTES >> 20} MiB are copied next "
            "to the weights of every version. Put the model in a small package of its own that imports what it needs."
        )
    return files


def _travels(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts)


def digest_of_files(files: Mapping[str, Path]) -> str:
    """SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{hashlib.sha256(files[name].read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def copy_files(files: Mapping[str, Path], folder: Path) -> None:
    """Copy what `find_files` found."""
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def imported_packages(folder: Path) -> set[str]:
    """Top-level names that the copied modules import, besides their own and the standard library's."""
    nodes = [node for path in folder.rglob("*.py") for node in ast.walk(ast.parse(path.read_bytes()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    own = {path.name.removesuffix(".py") for path in folder.iterdir()}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - own


def import_factory(name: str, folder: Path) -> Any:
    """What `my_package.my_module:attribute` names, from the copy in `folder`.

    Raises:
        ModelError: it cannot be imported, or there is no such attribute.
    """
    module_name, _, attribute = name.partition(":")
    root, _, rest = module_name.partition(".")
    finder = _CopyFinder(f"_sentiment_custom_{next(_numbers)}_{root}", root, folder)
    sys.meta_path.insert(0, finder)
    try:
        module = importlib.import_module(".".join(part for part in (finder.alias, rest) if part))
    except ModuleNotFoundError as error:
        raise ModelError(_missing(name, finder, error)) from error
    except (Exception, SystemExit) as error:
        raise ModelError(f"The module of {name} cannot be imported: it {raised(error, folder)}.") from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        found = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        names = ", ".join(sorted(found)) or "nothing that can be called"
        raise ModelError(
            f"The module {module_name} has no {attribute!r}; found {names}. Name what builds the model."
        ) from error


def _missing(name: str, finder: _CopyFinder, error: ModuleNotFoundError) -> str:
    missing = error.name or str(error)
    if missing.startswith(finder.alias):
        own = finder.root + missing.removeprefix(finder.alias)
        return f"There is no module {own!r}, which {name} needs; expected it in the package {finder.root!r}."
    return (
        f"The model {name} needs the module {missing!r}, which is not installed in this environment. Install what provides "
        "it, or use a version that does not need it."
    )


def raised(error: BaseException, folder: Path) -> str:
    """An error of a user's code in words, with the last line of that code that it went through."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(folder))]
    where = f" (line {lines[-1].lineno} of {Path(lines[-1].filename).relative_to(folder)})" if lines else ""
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(str(folder)):
        where = f" (line {error.lineno} of {Path(error.filename).relative_to(folder)})"
    words = " ".join(str(getattr(error, "msg", "") or error).split())
    return f"raised {type(error).__name__}{where}{': ' if words else ''}{words.rstrip('.')[:300]}"


class _CopyFinder(MetaPathFinder):
    """Finds the modules of one copy, under an alias in place of the package's own name."""

    def __init__(self, alias: str, root: str, folder: Path) -> None:
        self.alias, self.root, self.folder = alias, root, folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.alias and not fullname.startswith(f"{self.alias}."):
            return None
        place = self.folder.joinpath(self.root, *fullname.split(".")[1:])
        for file, within in ((place / "__init__.py", [str(place)]), (place.with_name(f"{place.name}.py"), None)):
            if file.is_file():
                loader = _CopyLoader(fullname, str(file), self)
                return importlib.util.spec_from_file_location(
                    fullname, file, loader=loader, submodule_search_locations=within
                )
        if not place.is_dir():
            return None
        namespace = ModuleSpec(fullname, None, is_package=True)
        namespace.submodule_search_locations = [str(place)]
        return namespace

    def import_module(self, name: str, *arguments: Any, **options: Any) -> ModuleType:
        """`__import__` in which the package's own name means the copy."""
        level = options.get("level", arguments[3] if len(arguments) > 3 else 0)
        if level == 0 and (name == self.root or name.startswith(f"{self.root}.")):
            name = self.alias + name.removeprefix(self.root)
        return builtins.__import__(name, *arguments, **options)


class _CopyLoader(SourceFileLoader):
    """Runs a module of a copy; writes no bytecode, since that would change the folder whose digest is registered."""

    def __init__(self, fullname: str, path: str, finder: _CopyFinder) -> None:
        super().__init__(fullname, path)
        self.finder = finder

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        return

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": self.finder.import_module}
        super().exec_module(module)
