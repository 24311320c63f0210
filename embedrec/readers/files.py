"""Which files to read, and how to open them: plain, `.gz`, or members of `.zip`, never unpacked to disk."""

from __future__ import annotations

import glob
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from embedrec.errors import DataError, did_you_mean

_GZ_FACTOR = 6  # JSON and CSV logs pack about so well
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Source:
    """One stream of data: a file, or a member of a zip archive.

    path      the file on disk
    member    its name in the archive, or None
    size      bytes on disk (packed)
    unpacked  bytes to expect when it is read (an estimate for .gz)
    """

    path: Path
    member: str | None
    size: int
    unpacked: int

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}:{self.member}"

    @property
    def name(self) -> str:
        """File name without folders and without ".gz"."""
        return (self.member or self.path.name).rpartition("/")[2].removesuffix(".gz")

    @property
    def suffix(self) -> str:
        """The last suffix of `name`, in lower case: ".json"."""
        return Path(self.name).suffix.lower()

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes as a stream. Raises DataError when the file cannot be read or is damaged."""
        packed = (self.member or self.path.name).lower().endswith(".gz")
        with reading(self):
            if self.member is None:
                with gzip.open(self.path) if packed else self.path.open("rb") as stream:
                    yield stream  # type: ignore[misc]
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as member:
                    if packed:
                        with gzip.open(member) as stream:
                            yield stream  # type: ignore[misc]
                    else:
                        yield member

    def read(self) -> bytes:
        """All unpacked bytes, without a byte order mark. Raises DataError, also when there are none."""
        with self.open() as stream:
            content = stream.read().removeprefix(b"\xef\xbb\xbf")
        if not content.strip():
            raise DataError(f"{self} is empty; remove it or get it again")
        return content


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Turn what goes wrong while `source` is read from disk into one sentence."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as e:
        raise DataError(f"{source} is cut off or damaged ({e}); get it again") from e
    except PermissionError:
        raise DataError(f"{source} may not be read; check its permissions") from None
    except (OSError, NotImplementedError) as e:
        raise DataError(f"{source} cannot be read ({e.args[-1] if e.args else e})") from e


def expand(paths: Sequence[str | Path], suffixes: Sequence[str], *, any_file: bool = False) -> list[Source]:
    """The sources that files, folders (with their sub-folders) and globs name, each once, in natural order.

    Natural order reads digits as numbers (slice.0-999 before slice.1000-1999), so that the same set of files
    gives the same result however it was named. Every suffix is also found with ".gz" and inside ".zip".

    suffixes  what data files end with, such as ".json"
    any_file  take a file that is named itself whatever it ends with

    Raises DataError for a missing, empty, unreadable or unfitting file, an encrypted or damaged archive, a
    folder or glob without data files, and for a file that is named twice.
    """
    wanted = (*suffixes, *(f"{s}.gz" for s in suffixes), ".zip")
    found: list[Path] = []
    for given in paths:
        found += _files(Path(given), wanted, any_file)
    found.sort(key=lambda path: natural(str(path)))
    seen: set[Path] = set()
    for path in found:
        if path.resolve() in seen:
            raise DataError(f"{path} is given twice; give every file once")
        seen.add(path.resolve())
    return [source for path in found for source in _sources(path, wanted)]


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key that reads digits as numbers: "a9" before "a10"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", text)]


def _files(given: Path, wanted: Sequence[str], any_file: bool) -> list[Path]:
    looked_for = ", ".join(wanted)
    if given.is_dir():
        with reading(given):
            inside = [p for p in given.rglob("*") if _fits(p.relative_to(given).as_posix(), wanted) and p.is_file()]
        if not inside:
            raise DataError(f"the folder {given} holds no data files; looked for {looked_for}")
        return inside
    if given.exists():
        if not any_file and not given.name.lower().endswith(tuple(wanted)):
            raise DataError(f"{given} is no data file of this layout; files end with {looked_for}")
        return [given]
    if glob.has_magic(str(given)):
        matches = [Path(p) for p in glob.glob(str(given), recursive=True)]  # noqa: PTH207 (absolute patterns too)
        inside = [p for p in matches if p.is_file() and (any_file or _fits(p.name, wanted))]
        folders = [p for p in matches if p.is_dir()]
        for folder in folders:
            inside += _files(folder, wanted, any_file) if "**" not in str(given) else []
        if not inside:
            raise DataError(f"no data file fits {given}; looked for {looked_for}")
        return inside
    siblings = [p.name for p in given.parent.iterdir()] if given.parent.is_dir() else []
    raise DataError(f"there is no file or folder {given}{did_you_mean(given.name, siblings) or '; check the path'}")


def _fits(name: str, wanted: Sequence[str]) -> bool:
    """Whether a name ends as wanted and no part of it is hidden (".git", "._slice.json", "__MACOSX")."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return not hidden and name.lower().endswith(tuple(wanted))


def _sources(path: Path, wanted: Sequence[str]) -> list[Source]:
    with reading(path):
        size = path.stat().st_size
        if not size:
            raise DataError(f"{path} is empty; remove it or get it again")
        if path.suffix.lower() != ".zip":
            return [Source(path, None, size, size * (_GZ_FACTOR if path.suffix.lower() == ".gz" else 1))]
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and _fits(m.filename, wanted[:-1])]
    if not members:
        raise DataError(f"{path} holds no data files; looked for {', '.join(wanted[:-1])}")
    for member in members:
        if member.flag_bits & _ENCRYPTED:
            raise DataError(f"{path}:{member.filename} is encrypted; unpack the archive with its password first")
        if not member.file_size:
            raise DataError(f"{path}:{member.filename} is empty; remove it or get it again")
    members.sort(key=lambda m: natural(m.filename))
    return [Source(path, m.filename, m.compress_size, m.file_size) for m in members]
