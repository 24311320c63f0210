"""Lists stored on disk during an export, so that an interrupted export can resume.

The hidden folder `.FILE.work` next to FILE exists until FILE is complete. It holds a fingerprint of the inputs, and for
each step two arrays, rows (q, k) int32 and scores (q, k) float32, which grow by blocks, with a log of one checksum per
block. Blocks that are truncated, or were never flushed to disk, fail their checksum and are computed again.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from embedrec.data.result_lists import slices
from embedrec.data.topk import TopK
from embedrec.errors import DataError, SettingsError, reason
from embedrec.progress import Report, quiet
from embedrec.storage.atomic import Lock, is_same_file, lock, no_link

_ENTRY = struct.Struct("<II")  # an entry of the log: number of the block, CRC-32 of its rows and scores
_FINGERPRINT, _LOCK = "fingerprint", "lock"


@dataclass(frozen=True)
class StoredLists:
    """q completed lists of k results on disk, read in blocks: memory does not grow with q."""

    folder: Path
    name: str
    q: int
    k: int

    def block(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows (b, k) int32 and scores (b, k) float32 of a slice."""
        shape = (part.stop - part.start, self.k)
        size, offset = shape[0] * self.k * 4, part.start * self.k * 4
        arrays = []
        for name, dtype in (("rows", "<i4"), ("scores", "<f4")):
            with (self.folder / f"{self.name}.{name}").open("rb") as f:
                f.seek(offset)
                arrays.append(np.frombuffer(f.read(size), dtype=dtype).reshape(shape))
        return arrays[0], arrays[1]

    def mapped(self) -> np.ndarray:
        """All rows (q, k) int32, memory-mapped."""
        if not self.q or not self.k:
            return np.empty((self.q, self.k), dtype=np.int32)
        return np.asarray(np.memmap(self.folder / f"{self.name}.rows", "<i4", "r", shape=(self.q, self.k)))


class ResumableExport:
    """The folder of an unfinished export.

    changed  whether lists of an earlier run were deleted because its source or settings differ
    resumed  lists that an earlier run completed, by step
    """

    def __init__(self, folder: Path, changed: bool = False) -> None:
        self.folder = folder
        self.changed = changed
        self.resumed: dict[str, int] = {}

    def lists(
        self, name: str, q: int, k: int, compute: Callable[[Iterable[slice]], Iterator[TopK]], report: Report = quiet
    ) -> StoredLists:
        """The lists of step `name`: those stored by an earlier run, the others from `compute`.

        compute  slices of seeds → their lists (b, k), in the same order
        report   called as report("progress", done=, total=, unit="lists")
        """
        stored = StoredLists(self.folder, name, q, k)
        paths = [self.folder / f"{name}.{part}" for part in ("rows", "scores", "log")]
        with ExitStack() as stack:
            rows, scores, log = (stack.enter_context(_open_read_write(path)) for path in paths)
            start, blocks = _recover(stored, log, rows, scores)
            self.resumed[name] = start
            parts = list(slices(start, q))
            for number, (part, block) in enumerate(zip(parts, compute(parts), strict=True), blocks):
                data = _write(block.rows.astype("<i4"), rows), _write(block.scores.astype("<f4"), scores)
                log.write(_ENTRY.pack(number, _checksum(*data)))
                log.flush()
                report("progress", done=part.stop, total=q, unit="lists")
        return stored


@contextmanager
def open_export(target: Path, fingerprint: str, *, resume: bool) -> Iterator[ResumableExport]:
    """The work folder of a target. It is removed when the block ends or fails, but stays after a kill, Ctrl-C or an
    OSError.

    fingerprint  of everything that determines the lists; lists stored under another one are deleted
    resume       whether to use the lists that an earlier run stored

    Raises SettingsError if another process exports to the same target, and DataError for an OSError.
    """
    folder = target.parent / f".{target.name}.work"
    if folder.is_symlink():  # the files of the folder that it points to would be removed
        raise SettingsError(f"{folder} is a link, but exports store unfinished work there; remove it")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _LOCK, "w", opener=no_link) as file:
        state = lock(file.fileno())
        if state is Lock.UNKNOWN:
            raise DataError(
                f"the file system of {target} does not support locks, which exports need; use another file system"
            )
        if state is Lock.HELD or not is_same_file(file.fileno(), folder / _LOCK):
            raise SettingsError(f"another export to {target} is running; wait for it, or name another file")
        try:
            yield ResumableExport(folder, _reset(folder, fingerprint, resume))
        except OSError as e:  # such as a full disk
            raise DataError(
                f"the export to {target} stopped ({e.strerror or reason(e)}); "
                f"continue it with --resume (the lists so far are in {folder.name})"
            ) from e
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _open_read_write(path: Path) -> IO[bytes]:
    """Open a file to read and write, created empty if missing; links are not followed."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+b")  # noqa: PTH123


def _reset(folder: Path, fingerprint: str, resume: bool) -> bool:
    """Empty the folder unless a run resumes from it; returns whether a different fingerprint prevented a resume."""
    file = folder / _FINGERPRINT
    before = file.read_text(encoding="utf-8") if file.is_file() else None
    if resume and before == fingerprint:
        return False
    file.unlink(missing_ok=True)  # first, so that a kill during the loop leaves no lists with a valid fingerprint
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink()
    file.write_text(fingerprint, encoding="utf-8")
    return resume and before is not None


def _recover(stored: StoredLists, log: IO[bytes], rows: IO[bytes], scores: IO[bytes]) -> tuple[int, int]:
    """The number of intact lists, and of their blocks; the files are truncated after them and ready for appending."""
    done = blocks = 0
    for number, part in enumerate(slices(0, stored.q)):
        size = (part.stop - part.start) * stored.k * 4
        entry = log.read(_ENTRY.size)
        if len(entry) < _ENTRY.size or _ENTRY.unpack(entry) != (number, _checksum(rows.read(size), scores.read(size))):
            break
        done, blocks = part.stop, number + 1
    for file, size in ((log, blocks * _ENTRY.size), (rows, done * stored.k * 4), (scores, done * stored.k * 4)):
        file.seek(size)
        file.truncate()
    return done, blocks


def _write(array: np.ndarray, file: IO[bytes]) -> bytes:
    data = array.tobytes()
    file.write(data)
    file.flush()
    return data


def _checksum(rows: bytes, scores: bytes) -> int:
    return zlib.crc32(scores, zlib.crc32(rows))
