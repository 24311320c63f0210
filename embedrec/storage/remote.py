"""Files at URLs, read by the file systems of pyarrow: object stores and Hadoop's file system."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import has_magic
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

from embedrec.errors import DataError

SCHEMES = {  # of a URL → of pyarrow
    "s3a": "s3",
    "s3": "s3",
    "gs": "gs",
    "hdfs": "hdfs",
    "viewfs": "viewfs",
    "abfs": "abfs",
    "abfss": "abfss",
}
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?P<rest>.*?)(?P<query>\?[a-z_]+=.*)?", re.I | re.S)
_DENIED = re.compile(
    r"ACCESS_DENIED|AccessDenied|forbidden|unauthori[sz]ed|permission|credential|HTTP status 40[13]", re.I
)
_BUFFER = 1 << 22  # bytes of a request at least
_ANY_DEPTH = "**"


@dataclass(frozen=True)
class RemotePath:
    """A file or a folder at a URL, with the methods of `Path` that readers use.

    scheme     "s3a", as it was given
    authority  bucket or server
    place      the path in it, without slashes at the ends
    query      "?region=eu-west-1" and other options of pyarrow.fs.FileSystem.from_uri, "" for none
    """

    scheme: str
    authority: str
    place: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}/{self.place}{self.query}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.place).name

    @property
    def suffix(self) -> str:
        """The last suffix of the name."""
        return PurePosixPath(self.place).suffix

    @property
    def parent(self) -> RemotePath:
        """The folder."""
        return self._at(self.place.rpartition("/")[0])

    def with_name(self, name: str) -> RemotePath:
        """The path of another name in the same folder."""
        folder, slash, _ = self.place.rpartition("/")
        return self._at(f"{folder}{slash}{name}")

    def resolve(self) -> RemotePath:
        """The path itself."""
        return self

    def absolute(self) -> RemotePath:
        """The path itself."""
        return self

    def relative_to(self, folder: RemotePath) -> PurePosixPath:
        """The path below a folder."""
        return PurePosixPath(self.place).relative_to(folder.place)

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return self._info().type.name != "NotFound"

    def is_file(self) -> bool:
        """Whether it is a file."""
        return bool(self._info().is_file)

    def is_dir(self) -> bool:
        """Whether it is a folder; in an object store, whether it is the beginning of names."""
        return self._info().type.name == "Directory"

    def stat(self) -> SimpleNamespace:
        """`st_size`, in bytes."""
        return SimpleNamespace(st_size=self._info().size or 0)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """The content as a stream that can seek."""
        return io.BufferedReader(self.open_arrow(), _BUFFER)

    def open_arrow(self) -> Any:
        """The content as a file of pyarrow. Raises DataError if it cannot be opened."""
        with self._translating():
            files, base = self._files()
            return files.open_input_file(_joined(base, self.place))

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in the folder."""
        return (path for path, _ in self._below(recursive=False))

    def files_below(self) -> list[RemotePath]:
        """The files in the folder and in all folders below it, without hidden ones."""
        listed = [path for path, is_file in self._below(recursive=True) if is_file]
        return [path for path in listed if not _hidden(path.relative_to(self).parts)]

    def glob(self) -> list[RemotePath]:
        """The files and folders that match the path as a pattern, see `globs.expand_glob`."""
        parts = self.place.split("/")
        fixed = next((n for n, part in enumerate(parts) if has_magic(part)), len(parts))
        folder, pattern = self._at("/".join(parts[:fixed])), tuple(parts[fixed:])
        if not folder.is_dir():
            return []
        listed = folder._below(recursive=len(pattern) > 1 or _ANY_DEPTH in pattern)
        return [path for path, _ in listed if _matches(path.relative_to(folder).parts, pattern)]

    def _at(self, place: str) -> RemotePath:
        return RemotePath(self.scheme, self.authority, place, self.query)

    def _below(self, *, recursive: bool) -> Iterator[tuple[RemotePath, bool]]:
        """The paths in the folder, and whether they are files."""
        from pyarrow import fs

        with self._translating():
            files, base = self._files()
            listed = files.get_file_info(fs.FileSelector(_joined(base, self.place), recursive=recursive))
        for info in listed:
            yield self._at(info.path.removeprefix(base).strip("/")), bool(info.is_file)

    def _info(self) -> Any:
        with self._translating():
            files, base = self._files()
            return files.get_file_info(_joined(base, self.place))

    def _files(self) -> tuple[Any, str]:
        return _file_system(SCHEMES[self.scheme.lower()], self.authority, self.query)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Raises DataError for the errors of pyarrow."""
        try:
            yield
        except Exception as e:  # OSError, ArrowInvalid and more, by file system
            why = str(e).strip().partition("\n")[0].rstrip(". ")
            if _DENIED.search(str(e)):
                raise DataError(f"{self} may not be read ({why}); check its permissions and your credentials") from None
            raise DataError(f"{self} cannot be read ({why}); check the address and the connection") from None


ReadPath = Path | RemotePath  # of a file or folder to read


def input_path(given: str | ReadPath) -> ReadPath:
    """The path of a file or folder to read: of a URL such as s3a://bucket/file, file:///folder, or on this machine.

    Raises DataError for a scheme that cannot be read, and for a password in a URL.
    """
    if isinstance(given, RemotePath):
        return given
    match = _URL.fullmatch(str(given))
    if match is None:
        return Path(given)
    scheme, query = match["scheme"], match["query"] or ""
    if scheme.lower() == "file":
        return Path(unquote(urlsplit(str(given)).path))
    if scheme.lower() not in SCHEMES:
        raise DataError(
            f"{scheme}:// is not a scheme of files that can be read; use one of "
            f"{', '.join(f'{name}://' for name in ('s3a', 'gs', 'hdfs', 'abfss', 'file'))}, or download the file"
        )
    authority, _, place = match["rest"].partition("/")
    if ":" in authority.rpartition("@")[0]:
        raise DataError(
            f"a URL of {scheme}:// has a password, which would be printed and stored; give credentials in the "
            "environment instead, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return RemotePath(scheme, authority, place.strip("/"), query)


@lru_cache(maxsize=16)
def _file_system(scheme: str, authority: str, query: str) -> tuple[Any, str]:
    """The file system of pyarrow, and the path of the authority in it."""
    from pyarrow import fs

    return fs.FileSystem.from_uri(f"{scheme}://{authority}/{query}")


def _joined(base: str, place: str) -> str:
    return f"{base.rstrip('/')}/{place}" if place else base


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether the parts of a path match those of a pattern; `**` are any folders, and hidden names never match."""
    if not pattern:
        return not parts
    if pattern[0] == _ANY_DEPTH and _matches(parts, pattern[1:]):
        return True
    if not parts or _hidden(parts[:1]):
        return False
    if pattern[0] == _ANY_DEPTH:
        return _matches(parts[1:], pattern)
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
