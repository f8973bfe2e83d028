"""Keeps the compiled kernels of a registered model's code for the next model with the same code.

A registered model has a copy of our model's code (`mlflow_format`). By default numba keeps what it compiles by the path of the
source, so each copy was compiled again, for 3 seconds. Here it is kept by the names of the functions. Numba compares the
digest of the source and the processor before it uses what is kept, and compiles again if they differ.
"""

from __future__ import annotations

from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator


class CopiedCodeLocator(UserProvidedCacheLocator):
    """Finds compiled functions in `NUMBA_CACHE_DIR`, whichever folder their source is in."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """The name of the folder that the source is in, without the path to it."""
        return Path(py_file).parent.name
