"""Finished parts of a long computation, saved on disk, so that an interrupted run resumes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedrec.storage.atomic import atomic_file

_NAME = re.compile(r"([0-9]{1,18})-([0-9]{1,18})\.part")


@dataclass(frozen=True)
class PartialResults:
    """The parts of one computation: rows of a table (count, width) of float64, a file for every block of rows.

    folder  of the files; files of other computations in it are ignored
    key     identifies the computation by all that its results depend on

    A file is the SHA-256 of key, rows and numbers, followed by the little-endian numbers. It is written atomically.
    """

    folder: Path
    key: str
    count: int
    width: int

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)  # fails before the computation if it cannot be written

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """A mask of the finished rows (count,) bool, and the table (count, width) float64, NaN in the other rows."""
        done, table = np.zeros(self.count, dtype=bool), np.full((self.count, self.width), np.nan)
        for file in sorted(self.folder.iterdir()):
            match = _NAME.fullmatch(file.name)
            start, stop = (0, 0) if match is None else (int(match[1]), int(match[2]))
            if not 0 <= start < stop <= self.count:
                continue
            numbers = self._read(file, start, stop)
            if numbers is not None:
                done[start:stop], table[start:stop] = True, numbers
        return done, table

    def save(self, start: int, numbers: np.ndarray) -> None:
        """Save the rows from `start` on, (b, width) float64."""
        stop, content = start + len(numbers), _bytes(numbers)
        with atomic_file(self.folder / f"{start}-{stop}.part", "wb", follow=False) as file:
            file.write(self._digest(start, stop, content) + content)

    def _read(self, file: Path, start: int, stop: int) -> np.ndarray | None:
        """The rows of a file; None for a damaged file or one of another computation."""
        size = hashlib.sha256().digest_size
        try:
            if not file.is_file() or file.stat().st_size != size + (stop - start) * self.width * 8:
                return None
            content = file.read_bytes()
        except OSError:  # it is computed again
            return None
        if self._digest(start, stop, content[size:]) != content[:size]:
            return None
        return np.frombuffer(content[size:], dtype="<f8").reshape(stop - start, self.width)

    def _digest(self, start: int, stop: int, content: bytes) -> bytes:
        return hashlib.sha256(f"{self.key} {start} {stop} {self.width}\n".encode() + content).digest()


def missing(done: np.ndarray, block: int) -> Iterator[slice]:
    """The unfinished rows of a mask (count,), in blocks of at most `block` rows."""
    left = np.flatnonzero(~done)
    for run in np.split(left, np.flatnonzero(np.diff(left) > 1) + 1) if len(left) else ():
        for at in range(0, len(run), block):
            part = run[at : at + block]
            yield slice(int(part[0]), int(part[-1]) + 1)


def _bytes(numbers: np.ndarray) -> bytes:
    return np.ascontiguousarray(numbers, dtype="<f8").tobytes()
