"""Lists kept on disk while an export is made, so that one that was killed goes on where it was.

Beside FILE lies the hidden folder `.FILE.work` until FILE is there: what it was made of as a fingerprint, and for
every step two arrays, rows (q, k) int32 and scores (q, k) float32, that grow by blocks, with a log of a checksum a
block. What was cut off, or never reached the disk, does not fit its checksum and is made again.
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

from embedrec.data.topk import TopK
from embedrec.errors import DataError, SettingsError, reason
from embedrec.export.result_lists import slices
from embedrec.progress import Report, quiet
from embedrec.storage.atomic import no_link
from embedrec.storage.file_lock import Lock, lock, still_there

_ENTRY = struct.Struct("<II")  # of the log: number of the block, CRC-32 of its rows and scores
_FINGERPRINT, _LOCK = "fingerprint", "lock"


@dataclass(frozen=True)
class KeptLists:
    """q finished lists of k results on disk, read in blocks: memory does not grow with them."""

    folder: Path
    name: str
    q: int
    k: int

    def block(self, here: slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows (b, k) int32 and scores (b, k) float32 of a slice."""
        shape = (here.stop - here.start, self.k)
        size, at = shape[0] * self.k * 4, here.start * self.k * 4
        found = []
        for part, dtype in (("rows", "<i4"), ("scores", "<f4")):
            with (self.folder / f"{self.name}.{part}").open("rb") as f:
                f.seek(at)
                found.append(np.frombuffer(f.read(size), dtype=dtype).reshape(shape))
        return found[0], found[1]

    def mapped(self) -> np.ndarray:
        """All rows (q, k) int32, of which the system holds in memory what there is room for."""
        if not self.q or not self.k:
            return np.empty((self.q, self.k), dtype=np.int32)
        return np.asarray(np.memmap(self.folder / f"{self.name}.rows", "<i4", "r", shape=(self.q, self.k)))


class ResumableExport:
    """The folder of an unfinished export.

    changed  whether an earlier run kept lists of another source or other settings, which are gone
    resumed  lists that an earlier run had finished, by step
    """

    def __init__(self, folder: Path, changed: bool = False) -> None:
        self.folder = folder
        self.changed = changed
        self.resumed: dict[str, int] = {}

    def lists(
        self, name: str, q: int, k: int, made: Callable[[Iterable[slice]], Iterator[TopK]], report: Report = quiet
    ) -> KeptLists:
        """The lists of step `name`: those kept from an earlier run, and the rest from `made`.

        made    slices of seeds → their lists (b, k), in the same order
        report  called as report("progress", done=, total=, unit="lists")
        """
        kept = KeptLists(self.folder, name, q, k)
        places = [self.folder / f"{name}.{part}" for part in ("rows", "scores", "log")]
        with ExitStack() as stack:
            rows, scores, log = (stack.enter_context(_read_and_written(place)) for place in places)
            start, number = _finished(kept, log, rows, scores)
            self.resumed[name] = start
            left = list(slices(start, q))
            for at, (here, found) in enumerate(zip(left, made(left), strict=True), number):
                parts = _written(found.rows.astype("<i4"), rows), _written(found.scores.astype("<f4"), scores)
                log.write(_ENTRY.pack(at, _checksum(*parts)))
                log.flush()
                report("progress", done=here.stop, total=q, unit="lists")
        return kept


@contextmanager
def working(target: Path, fingerprint: str, *, resume: bool) -> Iterator[ResumableExport]:
    """The work folder of a target; it is removed when the block ends or fails, and stays after a kill or Ctrl-C, and
    where the system said no.

    fingerprint  of all that decides the lists; what was kept for another one is made anew
    resume       whether to go on with what an earlier run has kept

    Raises SettingsError when another process works on the same target, and DataError where the system says no.
    """
    folder = target.parent / f".{target.name}.work"
    if folder.is_symlink():  # its files would be removed, wherever it leads
        raise SettingsError(f"{folder} is a link, but exports keep unfinished work there; remove it")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _LOCK, "w", opener=no_link) as held:
        taken = lock(held.fileno())
        if taken is Lock.UNKNOWN:
            raise DataError(
                f"the file system of {target} has no locks, which tell exports from each other; name a file elsewhere"
            )
        if taken is Lock.HELD or not still_there(held.fileno(), folder / _LOCK):
            raise SettingsError(f"another export to {target} is running; wait for it, or name another file")
        try:
            yield ResumableExport(folder, _changed(folder, fingerprint, resume))
        except OSError as e:  # such as a disk that is full
            raise DataError(
                f"the export to {target} stopped ({e.strerror or reason(e)}); "
                f"what was found is in {folder.name} for --resume"
            ) from e
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _read_and_written(path: Path) -> IO[bytes]:
    """A file of ours to read and write, empty where it is new."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+b")  # noqa: PTH123


def _changed(folder: Path, fingerprint: str, resume: bool) -> bool:
    """Empty the folder unless it is to be used; whether that was against the wish to resume."""
    said = folder / _FINGERPRINT
    before = said.read_text(encoding="utf-8") if said.is_file() else None
    if resume and before == fingerprint:
        return False
    said.unlink(missing_ok=True)  # first, so that a kill here leaves nothing that is taken for finished
    for left in folder.iterdir():
        if left.name != _LOCK:
            left.unlink()
    said.write_text(fingerprint, encoding="utf-8")
    return resume and before is not None


def _finished(kept: KeptLists, log: IO[bytes], rows: IO[bytes], scores: IO[bytes]) -> tuple[int, int]:
    """How many lists, and blocks of them, are whole; the files are cut off behind them, and ready to be written to."""
    done = blocks = 0
    for number, here in enumerate(slices(0, kept.q)):
        size = (here.stop - here.start) * kept.k * 4
        entry = log.read(_ENTRY.size)
        if len(entry) < _ENTRY.size or _ENTRY.unpack(entry) != (number, _checksum(rows.read(size), scores.read(size))):
            break
        done, blocks = here.stop, number + 1
    for file, size in ((log, blocks * _ENTRY.size), (rows, done * kept.k * 4), (scores, done * kept.k * 4)):
        file.seek(size)
        file.truncate()
    return done, blocks


def _written(part: np.ndarray, file: IO[bytes]) -> bytes:
    data = part.tobytes()
    file.write(data)
    file.flush()
    return data


def _checksum(rows: bytes, scores: bytes) -> int:
    return zlib.crc32(scores, zlib.crc32(rows))
