"""Compressed files: .gz, .bz2, .xz and .zst as streams of their content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import IO, Any

from embedrec.storage.remote import RemotePath
from embedrec.tabular.text_decoders import unpacking

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
FACTOR = 6  # typical compression ratio of JSON and CSV logs
_BUFFER = 1 << 18


def packing(name: str) -> str:
    """The suffix of a compressed file in lower case, "" for a plain one."""
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def without_packing(name: str) -> str:
    """A name without the suffix of its compression, in any case."""
    return name[: len(name) - len(packing(name))]


def open_unpacked(stored: IO[bytes] | Path | RemotePath, suffix: str, source: object) -> IO[bytes]:
    """The content of a compressed stream or file. Its errors are DataErrors that name the source.

    suffix  of the compression, "" for a plain one
    """
    return io.BufferedReader(_Unpacked(stored, suffix, source), _BUFFER)


class _Unpacked(io.RawIOBase):
    """Reads forward; a seek backwards starts again at the beginning."""

    def __init__(self, stored: IO[bytes] | Path | RemotePath, suffix: str, source: object) -> None:
        self.stored = stored.open("rb") if isinstance(stored, Path | RemotePath) else stored
        self.suffix = suffix
        self.source = source
        self.position = 0
        self.stream = self._opened()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        with unpacking(self.source):
            content = self.stream.read(len(buffer))
        buffer[: len(content)] = content
        self.position += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + (self.position if whence == io.SEEK_CUR else 0)
        if target < self.position:
            self.stored.seek(0)
            self.stream, self.position = self._opened(), 0
        while self.position < target and (step := min(target - self.position, _BUFFER)):
            if not self.readinto(memoryview(bytearray(step))):
                break
        return self.position

    def close(self) -> None:
        if not self.closed:
            self.stored.close()
        super().close()

    def _opened(self) -> Any:
        if not self.suffix:
            return self.stored
        if self.suffix == ".gz":
            return gzip.GzipFile(fileobj=self.stored)
        if self.suffix == ".bz2":
            return bz2.BZ2File(self.stored)
        if self.suffix == ".xz":
            return lzma.LZMAFile(self.stored)
        import pyarrow as pa

        # Arrow closes its stream; ours stays open
        return pa.CompressedInputStream(pa.PythonFile(_Open(self.stored), mode="r"), "zstd")


class _Open:
    """A stream for Arrow, which would close the original."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def read(self, size: int) -> bytes:
        return self.stream.read(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """No effect: the owner of the stream closes it."""
