"""Room for the columns of events: in memory, or in files without a name under a budget of memory."""

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

_CHUNK = 1 << 20  # events handled at once where a step goes through a whole column: temporaries stay small
_LEAST = 256 << 20  # bytes; Python, NumPy, Arrow and compiled kernels alone take 200 MB
_AMPLE = 4 << 30  # bytes; from here on batches are read in full size
_PROGRAM = 96 << 20  # bytes; what is loaded when all is read
_ID, _TEXT = 40, 56  # bytes for each id: counts and places; and the object of a text beside its own bytes
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class MemoryBudget:
    """Where columns of events are put.

    budget  bytes of memory for the whole process, or None for columns in memory
    folder  where the files of columns lie under a budget; they have no names there and vanish with the process

    Under a budget, columns are memory-mapped files: the system may write them out and take their memory at any
    time. What cannot be split stays in memory and must fit: the distinct ids of sessions, items and users, with 40
    bytes each and 56 more than its length for each that is a text, and the events of one session. Ids that do not fit
    are an error, see `hold_ids`.

    Raises SettingsError for a budget that is too small to work in.
    """

    def __init__(self, budget: int | None = None, folder: Path | None = None) -> None:
        if budget is not None and budget < _LEAST:
            raise SettingsError(f"the memory must be at least {_LEAST >> 20}M, but is {budget} bytes")
        self.budget = budget
        self.folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.depth = 4 if budget is None else 1  # batches that may wait while others are worked on
        self.share = 1.0 if budget is None else min(1.0, budget / _AMPLE)  # of the usual size of a batch
        self._ids: dict[str, int] = {}  # what is held of each role, in bytes

    def empty(self, count: int, dtype: Any) -> np.ndarray:
        """An array (count,) to be written. Raises DataError when the disk is full."""
        size = count * np.dtype(dtype).itemsize
        if self.budget is None or not size:
            return np.empty(count, dtype)
        with TemporaryFile(dir=self.folder) as file:
            with self.writing():
                reserve(file, size)
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)

    def hold_ids(self, role: str, count: int, texts: int | None) -> None:
        """So many distinct ids of a role are held, whose texts take so many bytes; None for whole numbers.

        Raises DataError when all that is held takes more than the budget leaves for it.
        """
        if self.budget is None:
            return
        self._ids[role] = count * _ID + (0 if texts is None else count * _TEXT + texts)
        taken = sum(list(self._ids.values()))  # a list, as other threads hold other roles meanwhile
        left = self.budget - _PROGRAM
        if taken > left:
            most = max(list(self._ids), key=lambda name: self._ids[name])
            raise DataError(
                f"the distinct ids and names take {taken >> 20:,}M so far ({self._ids[most] >> 20:,}M of them for "
                f"{most}s), but a memory of {self.budget >> 20:,}M leaves {left >> 20:,}M for them; give more memory, "
                "or read fewer files"
            )

    def whole(self, times: int) -> int | None:
        """How many bytes a document may have that takes so many times as much memory when it is decoded, or None."""
        return None if self.budget is None else (self.budget - _PROGRAM) // times

    @contextmanager
    def returning(self) -> Iterator[None]:
        """Under a budget, memory of Arrow that is free goes back to the system at once; Arrow's own pool keeps it."""
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
        """Turn what goes wrong while a file is written into one sentence; `what` is put into files, in the plural."""
        try:
            yield
        except OSError as e:
            raise DataError(
                f"{what} cannot be put into {self.folder} ({e.strerror}); free some space, or use another workspace"
            ) from e

    def full(self, count: int, value: Any, dtype: Any) -> np.ndarray:
        """An array (count,) of one value. Raises DataError when the disk is full."""
        array = self.empty(count, dtype)
        array[:] = value
        return array

    def doubled(self, array: np.ndarray) -> np.ndarray:
        """An array (2·count,) that begins with the values of one (count,). Raises DataError when the disk is full."""
        longer = self.empty(2 * len(array), array.dtype)
        for here in chunks(len(array)):
            longer[here] = array[here]
            if self.budget is not None:
                resting(array)
                resting(longer)
        return longer

    def kept(self, column: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The values of a column (E,) where a mask (E,) is true. Raises DataError when the disk is full."""
        out, at = self.empty(int(np.count_nonzero(mask)), column.dtype), 0
        for here in chunks(len(column)):
            part = column[here][mask[here]]
            out[at : at + len(part)] = part
            at += len(part)
        return out

    def reindex(self, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
        """new[rows]: rows (E,) by other numbers, or ids, `new` (n,). Raises DataError when the disk is full."""
        if new.dtype == object:  # which is in memory, and no file can hold it
            return new[rows]
        out = self.empty(len(rows), new.dtype)
        for here in chunks(len(rows)):
            np.take(new, rows[here], out=out[here], mode="clip")
        return out


IN_MEMORY = MemoryBudget()


class Column:
    """A column that grows by parts."""

    def __init__(self, dtype: Any, room: MemoryBudget) -> None:
        self.dtype = np.dtype(dtype)
        self.room = room
        self.parts: list[np.ndarray] = []
        # nothing is buffered, so that nothing is left to be written when the disk is full
        self.file = None if room.budget is None else TemporaryFile(dir=room.folder, buffering=0)  # noqa: SIM115

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
        with self.room.writing():
            while left:
                left = left[self.file.write(left) :]

    def array(self) -> np.ndarray:
        """All values (E,), once: the column is empty afterwards."""
        if self.file is None:
            parts, self.parts = self.parts, []
            return np.concatenate(parts) if parts else np.empty(0, self.dtype)
        with self.file as file:
            size = file.tell()
            return np.frombuffer(mmap.mmap(file.fileno(), size) if size else b"", self.dtype)


def reserve(file: IO[bytes], size: int) -> None:
    """Give a file its whole size, so that a full disk is found now; later it would kill a process that maps it."""
    if sys.platform != "darwin":  # which has no such call
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def spill(folder: Path) -> MemoryBudget:
    """Room in files for what is only passed on, however much memory there is."""
    return MemoryBudget(_LEAST, folder)


def resting(array: np.ndarray) -> None:
    """Take the pages of a whole array of `MemoryBudget.empty` that lies in a file out of the memory of this process."""
    if isinstance(array.base, memoryview) and isinstance(array.base.obj, mmap.mmap):
        array.base.obj.madvise(mmap.MADV_DONTNEED)


def chunks(count: int) -> Iterator[slice]:
    """Slices that go through a column of `count` values in parts."""
    return (slice(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK))


def counted(rows: np.ndarray, n: int) -> np.ndarray:
    """How often each of n rows stands in `rows` (E,): (n,) int64."""
    counts = np.zeros(n, dtype=np.int64)
    for here in chunks(len(rows)):
        low = int(rows[here].min())
        found = np.bincount(rows[here] - low)
        counts[low : low + len(found)] += found
    return counts


def budget_of(size: str | None, folder: Path) -> MemoryBudget:
    """The budget of a size such as "512M", with spill files in `folder`; `IN_MEMORY` for None. Raises SettingsError."""
    return IN_MEMORY if size is None else MemoryBudget(parse_size(size), folder)


def parse_size(text: str) -> int:
    """Bytes of "512M", "2G", "1.5 GiB" or "1000000"; K, M, G and T are powers of 1024. Raises SettingsError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise SettingsError(f"a size of memory is a number with K, M, G or T, such as 512M or 2G, but is {text!r}")
    size = float(match[1]) * _UNITS[match[2].upper()]
    if not size < 2**63:
        raise SettingsError(f"a size of memory must be below {2**63 >> 40}T, but is {text!r}")
    return int(size)
