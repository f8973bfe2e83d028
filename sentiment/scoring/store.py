"""Files that a run and its workers share: a folder, or object storage such as `s3://bucket/prefix`.

Each file is written atomically, under a name derived from its content, so writing it twice does no harm. An
address of S3 takes its options as pyarrow does, e.g. `s3://bucket/prefix?endpoint_override=localhost:9000&scheme=http`; keys
come from the environment (`AWS_ACCESS_KEY_ID`) or the machine's role. A store that cannot be reached is retried.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from pyarrow import fs

from sentiment.model.atomic import put_in_place
from sentiment.object_store import SECONDS_OF_PATIENCE, StoreError, first_line, is_address, open_address, patiently

T = TypeVar("T")


class ShardStore:
    """Named files below an address."""

    def __init__(self, address: str, patience: float = SECONDS_OF_PATIENCE) -> None:
        """Open a store; nothing is read or written yet.

        Args:
            address: a path, or an address that pyarrow knows, such as `s3://bucket/prefix`.
            patience: seconds to wait for a store that cannot be reached.

        Raises:
            StoreError: the address cannot be understood.
        """
        self.address = address
        self.patience = patience
        self.is_local = not is_address(address)
        try:
            if self.is_local:
                self.filesystem, self.root = fs.LocalFileSystem(), str(Path(address).absolute())
            else:
                self.filesystem, self.root = open_address(address)
        except ValueError as error:
            raise StoreError(
                f"Shards cannot be kept at {address}: {first_line(error)}. Expected a folder that all workers see, or an "
                "address such as s3://bucket/prefix in SENTIMENT_SHARDS."
            ) from error

    @property
    def compression(self) -> Literal["uncompressed", "zstd"]:
        """Of Parquet files: none on this machine, where packing costs more than the disk does."""
        return "uncompressed" if self.is_local else "zstd"

    def read(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            FileNotFoundError: there is no such file.
            StoreError: the store cannot be reached or refuses.
        """

        def read() -> bytes:
            with self.filesystem.open_input_file(f"{self.root}/{name}") as file:
                return bytes(file.readall())

        return self._patiently(read)

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically, replacing one of the same name."""
        path = f"{self.root}/{name}"

        def write() -> None:
            if not self.is_local:
                # An object becomes visible when its upload ends.
                with self.filesystem.open_output_stream(path) as file:
                    file.write(content)
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
            try:
                draft.write_bytes(content)
                put_in_place(draft, target)
            finally:
                draft.unlink(missing_ok=True)

        self._patiently(write)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        found = self._patiently(lambda: self.filesystem.get_file_info(f"{self.root}/{name}"))
        return bool(found.type == fs.FileType.File)

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, drafts included."""
        selector = fs.FileSelector(f"{self.root}/{folder}", allow_not_found=True, recursive=True)
        found = self._patiently(lambda: self.filesystem.get_file_info(selector))
        return sorted(info.path[len(self.root) + 1 :] for info in found if info.type == fs.FileType.File)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self._patiently(lambda: self.filesystem.delete_file(f"{self.root}/{name}"))
        except FileNotFoundError:
            return

    def _patiently(self, operation: Callable[[], T]) -> T:
        return patiently(operation, self.patience, self._refused)

    def _refused(self, error: Exception) -> StoreError:
        if "No space left" in str(error):
            return StoreError(
                f"The disk that holds {self.address} is full. What was finished is kept: free some space and run it again."
            )
        return StoreError(
            f"The shards at {self.address} cannot be read or written: {first_line(error)}. Check the address, the keys "
            "and the rights of SENTIMENT_SHARDS; what was finished is kept, so run it again."
        )


@contextmanager
def reported_missing(what: str) -> Iterator[None]:
    """Turn a missing file into a sentence.

    Raises:
        StoreError: something that was in the store is gone.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{what} is not in the store any more. Run it again, and it is rewritten.") from error
