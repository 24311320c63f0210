"""A memory budget for columns of events: they are kept in memory or in unnamed temporary files."""

from __future__ import annotations

import mmap
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from embedrec.errors import DataError, SettingsError

CHUNK_EVENTS = 1 << 20  # events processed at a time, so that temporary arrays stay small
_LEAST = 256 << 20  # bytes; Python, NumPy, Arrow and compiled kernels alone take 200 MB
_AMPLE = 4 << 30  # bytes; with this budget, batches have their full size
_PROGRAM = 96 << 20  # bytes of code and libraries
_ID, _TEXT = 40, 56  # bytes of an id: counts and rows; and of a string object besides its characters
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class MemoryBudget:
    """Where columns of events are stored.

    budget  bytes of memory for the whole process, or None for columns in memory
    folder  folder of the temporary files; they have no names and disappear with the process

    Under a budget, columns are memory-mapped files, whose pages the system may write out and release at any time.
    Some data stay in memory and must fit: the distinct ids of sessions, items and users, with 40 bytes each and, for
    strings, 56 more than their length; and the events of one session. Ids that do not fit are an error, see `hold_ids`.

    Raises SettingsError for a budget below 256 MiB.
    """

    def __init__(self, budget: int | None = None, folder: Path | None = None) -> None:
        if budget is not None and budget < _LEAST:
            raise SettingsError(f"the memory budget must be at least {_LEAST >> 20}M, but is {budget} bytes")
        self.budget = budget
        self.folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.depth = 4 if budget is None else 1  # batches that may wait in a pipeline
        self.share = 1.0 if budget is None else min(1.0, budget / _AMPLE)  # of the usual size of a batch
        self._ids: dict[str, int] = {}  # role → bytes of its distinct ids

    def empty(self, count: int, dtype: Any) -> np.ndarray:
        """An uninitialised array (count,). Raises DataError when the disk is full."""
        size = count * np.dtype(dtype).itemsize
        if self.budget is None or not size:
            return np.empty(count, dtype)
        with TemporaryFile(dir=self.folder) as file:
            with self.writing():
                reserve(file, size)
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)

    def hold_ids(self, role: str, count: int, texts: int | None) -> None:
        """Account for the distinct ids of a role: their number, and the bytes of their texts (None for integers).

        Raises DataError when all ids exceed the budget.
        """
        if self.budget is None:
            return
        self._ids[role] = count * _ID + (0 if texts is None else count * _TEXT + texts)
        used = sum(list(self._ids.values()))  # a list, because other threads add roles at the same time
        available = self.budget - _PROGRAM
        if used > available:
            most = max(list(self._ids), key=lambda name: self._ids[name])
            raise DataError(
                f"the distinct ids and names take {used >> 20:,}M so far ({self._ids[most] >> 20:,}M of them for "
                f"{most}s), but a memory budget of {self.budget >> 20:,}M leaves {available >> 20:,}M for them; raise "
                "the budget or read fewer files"
            )

    def whole(self, times: int) -> int | None:
        """The largest size in bytes of a document that takes `times` its size when decoded; None without a budget."""
        return None if self.budget is None else (self.budget - _PROGRAM) // times

    @contextmanager
    def returning(self) -> Iterator[None]:
        """Under a budget, use the system allocator for Arrow during a block; Arrow's own pool keeps freed memory."""
        if self.budget is None:
            yield
            return
        import pyarrow as pa

        before = pa.default_memory_pool()
        pa.set_memory_pool(pa.system_memory_pool())
        try:
            yield
        finally:
            pa.set_memory_pool(before)

    @contextmanager
    def writing(self, what: str = "columns") -> Iterator[None]:
        """Convert errors while a file is written into a DataError; `what` names the content, in the plural."""
        try:
            yield
        except OSError as e:
            raise DataError(
                f"{what} cannot be written to {self.folder} ({e.strerror}); free some space or use another workspace"
            ) from e

    def full(self, count: int, value: Any, dtype: Any) -> np.ndarray:
        """An array (count,) of one value. Raises DataError when the disk is full."""
        array = self.empty(count, dtype)
        array[:] = value
        return array

    def doubled(self, array: np.ndarray) -> np.ndarray:
        """An array (2·count,) that starts with the values of one (count,). Raises DataError when the disk is full."""
        longer = self.empty(2 * len(array), array.dtype)
        for chunk in chunks(len(array)):
            longer[chunk] = array[chunk]
            if self.budget is not None:
                release_pages(array)
                release_pages(longer)
        return longer

    def select(self, column: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The values of a column (E,) where a mask (E,) is true. Raises DataError when the disk is full."""
        out, at = self.empty(int(np.count_nonzero(mask)), column.dtype), 0
        for chunk in chunks(len(column)):
            part = column[chunk][mask[chunk]]
            out[at : at + len(part)] = part
            at += len(part)
        return out

    def repeat(self, lengths: np.ndarray) -> np.ndarray:
        """Each row as often as `lengths` (n,) says: (E,) int32, ascending. Raises DataError when the disk is full."""
        ends = np.cumsum(lengths)
        out = self.empty(int(ends[-1]) if len(ends) else 0, np.int32)
        for chunk in chunks(len(out)):
            first, last = np.searchsorted(ends, [chunk.start, chunk.stop - 1], side="right")
            inside = np.minimum(ends[first : last + 1], chunk.stop) - np.maximum(
                ends[first : last + 1] - lengths[first : last + 1], chunk.start
            )
            out[chunk] = np.repeat(np.arange(first, last + 1, dtype=np.int32), inside)
        return out

    def reindex(self, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
        """new[rows]: rows (E,) replaced by the values `new` (n,). Raises DataError when the disk is full."""
        if new.dtype == object:  # strings stay in memory
            return new[rows]
        out = self.empty(len(rows), new.dtype)
        for chunk in chunks(len(rows)):
            np.take(new, rows[chunk], out=out[chunk], mode="clip")
        return out


IN_MEMORY = MemoryBudget()


class Column:
    """A column that grows by appending."""

    def __init__(self, dtype: Any, memory: MemoryBudget) -> None:
        self.dtype = np.dtype(dtype)
        self.memory = memory
        self.parts: list[np.ndarray] = []
        # unbuffered, so that nothing remains to be written when the disk is full
        self.file = None if memory.budget is None else TemporaryFile(dir=memory.folder, buffering=0)  # noqa: SIM115

    def __del__(self) -> None:
        if self.file is not None:  # reading has failed
            self.file.close()

    def append(self, part: np.ndarray) -> None:
        """Add values (b,). Raises DataError when the disk is full."""
        part = np.ascontiguousarray(part, dtype=self.dtype)
        if self.file is None:
            self.parts.append(part)
            return
        left = part.view(np.uint8).data
        with self.memory.writing():
            while left:
                left = left[self.file.write(left) :]

    def array(self) -> np.ndarray:
        """All values (E,); the column is empty afterwards."""
        if self.file is None:
            parts, self.parts = self.parts, []
            return np.concatenate(parts) if parts else np.empty(0, self.dtype)
        with self.file as file:
            size = file.tell()
            return np.frombuffer(mmap.mmap(file.fileno(), size) if size else b"", self.dtype)


def reserve(file: IO[bytes], size: int) -> None:
    """Allocate a file's size, so that a full disk is detected now; later it would kill a process that maps the file."""
    if sys.platform != "darwin":  # macOS has no such call
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def spill(folder: Path) -> MemoryBudget:
    """A budget that keeps columns in files, for data that are only copied."""
    return MemoryBudget(_LEAST, folder)


def release_pages(array: np.ndarray) -> None:
    """Release the pages of a file-backed array of `MemoryBudget.empty` from the memory of this process."""
    if isinstance(array.base, memoryview) and isinstance(array.base.obj, mmap.mmap):
        array.base.obj.madvise(mmap.MADV_DONTNEED)


def chunks(count: int) -> Iterator[slice]:
    """Slices that cover a column of `count` values."""
    return (slice(at, min(at + CHUNK_EVENTS, count)) for at in range(0, count, CHUNK_EVENTS))


def count_rows(rows: np.ndarray, n: int) -> np.ndarray:
    """How often each of n rows occurs in `rows` (E,): (n,) int64."""
    counts = np.zeros(n, dtype=np.int64)
    for chunk in chunks(len(rows)):
        low = int(rows[chunk].min())
        part = np.bincount(rows[chunk] - low)
        counts[low : low + len(part)] += part
    return counts


def budget_of(size: str | None, folder: Path) -> MemoryBudget:
    """The budget of a size such as "512M", with spill files in `folder`; `IN_MEMORY` for None. Raises SettingsError."""
    return IN_MEMORY if size is None else MemoryBudget(parse_size(size), folder)


def parse_size(text: str) -> int:
    """Bytes of "512M", "2G", "1.5 GiB" or "1000000"; K, M, G and T are powers of 1024. Raises SettingsError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise SettingsError(f"a memory size is a number with K, M, G or T, such as 512M or 2G, but is {text!r}")
    size = float(match[1]) * _UNITS[match[2].upper()]
    if not size < 2**63:
        raise SettingsError(f"a memory size must be below {2**63 >> 40}T, but is {text!r}")
    return int(size)
