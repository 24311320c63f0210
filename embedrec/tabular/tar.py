"""Members of .tar archives, plain or compressed, as streams; nothing is unpacked to disk.

A compressed archive can only be read forward. Its members share one stream, so reading them in the order of the archive
unpacks it once. The first line of each is stored when the members are listed.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from embedrec.errors import DataError
from embedrec.storage.remote import RemotePath
from embedrec.tabular import decompress
from embedrec.tabular.text_decoders import unpacking

_PACKED = {".tgz": ".gz", ".tbz2": ".bz2", ".tbz": ".bz2", ".txz": ".xz", ".tzst": ".zst"}  # by one suffix
SUFFIXES = (".tar", *(f".tar{packed}" for packed in decompress.SUFFIXES), *_PACKED)
_FIRST_LINE = 1 << 16  # bytes; a longer line is read again on demand


@dataclass(frozen=True)
class TarMember:
    """A plain file in a tar archive.

    name        its name in the archive, without "./"
    size        its bytes
    offset      where they start in the (unpacked) archive
    first_line  unpacked, with its line break; without one if it is longer than 64 KiB
    """

    archive: Tar
    name: str
    size: int
    offset: int
    first_line: bytes

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes as a stream. Raises EOFError if the archive ends before the member."""
        with self.archive.at(self.offset) as stream, io.BufferedReader(_Part(stream, self.size)) as part:
            yield part


class Tar:
    """An archive on disk or at a URL. Another process opens its own stream of it.

    packing  the suffix of the compression, "" for a plain .tar
    """

    def __init__(self, path: Path | RemotePath) -> None:
        self.path = path
        self.packing = _PACKED.get(path.suffix.lower()) or decompress.packing(path.name)
        self._idle: list[IO[bytes]] = []  # the compressed stream, at the end of the last member

    def __reduce__(self) -> tuple[Any, ...]:
        return Tar, (self.path,)

    def members(self, fits: Callable[[str], bool]) -> list[TarMember]:
        """The plain files with a fitting name, in the order of the archive.

        Raises DataError for a damaged archive, a name outside of the archive, and a sparse file.
        """
        files = []
        with (
            unpacking(self.path),
            decompress.open_unpacked(self.path, self.packing, self.path) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r:", errorlevel=2) as archive,
        ):
            for entry in archive:
                if not entry.isfile():
                    continue
                if entry.name.startswith("/") or ".." in PurePosixPath(entry.name).parts:
                    raise DataError(
                        f"{self.path} names the file {entry.name[:80]!r} outside of itself; get the archive elsewhere"
                    )
                if entry.size < 0 or entry.offset_data < 0:
                    raise tarfile.ReadError("a file of a negative size")
                name = entry.name.removeprefix("./")
                if not fits(name):
                    continue
                if entry.issparse():
                    raise DataError(f"{self.path}:{name} is stored as a sparse file; pack the archive again without")
                content = archive.extractfile(entry)
                assert content is not None  # of a plain file
                line = _first_line(content, name) if self.packing else b""
                files.append(TarMember(self, name, entry.size, entry.offset_data, line))
        return files

    @contextmanager
    def at(self, offset: int) -> Iterator[IO[bytes]]:
        """The unpacked archive from an offset."""
        stream: Any
        if not self.packing:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                yield stream
            return
        stream = self._idle.pop() if self._idle else decompress.open_unpacked(self.path, self.packing, self.path)
        try:
            stream.seek(offset)  # backwards: from the beginning again
            yield stream
        except BaseException:
            stream.close()
            raise
        if self._idle:
            stream.close()
        else:
            self._idle.append(stream)


class _Part(io.RawIOBase):
    """The next `size` bytes of a stream, which is not closed."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream = stream
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self.stream.read(min(len(buffer), self.left))
        if not content and self.left and len(buffer):
            raise EOFError("the archive ends inside this file")
        self.left -= len(content)
        buffer[: len(content)] = content
        return len(content)


def _first_line(content: IO[bytes], name: str) -> bytes:
    with decompress.open_unpacked(content, decompress.packing(name), name) as unpacked:
        return unpacked.readline(_FIRST_LINE)
