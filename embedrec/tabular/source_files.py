"""The files to read, as streams: plain, compressed, or members of archives; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import IO

from embedrec.errors import DataError, did_you_mean
from embedrec.storage.remote import RemotePath, input_path
from embedrec.tabular import tar
from embedrec.tabular.decompress import FACTOR, open_unpacked, packing, without_packing
from embedrec.tabular.decompress import SUFFIXES as PACKED
from embedrec.tabular.globs import expand_glob, files_below
from embedrec.tabular.text_decoders import unpacking

WHOLE = 2 << 30  # maximum bytes of a compressed file that is read as a whole: a few kilobytes may unpack to any size
_PIECE = 1 << 24  # bytes read at once
_ENCRYPTED = 0x1
_ARCHIVES = (".zip", *tar.SUFFIXES)


@dataclass(frozen=True)
class Source:
    """One stream of data: a file, or a member of an archive.

    path      the file, on disk or at a URL
    member    its name in the archive, or None
    size      bytes on disk (compressed)
    unpacked  expected bytes of the content (an estimate if compressed)
    tarred    the member of a .tar archive, plain or compressed
    """

    path: Path | RemotePath
    member: str | None
    size: int
    unpacked: int
    tarred: tar.TarMember | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}:{self.member}"

    @property
    def name(self) -> str:
        """File name without folders and the suffix of its compression, such as ".gz"."""
        return without_packing((self.member or self.path.name).rpartition("/")[2])

    @property
    def suffix(self) -> str:
        """The last suffix of `name`, in lower case: ".json"."""
        return Path(self.name).suffix.lower()

    @property
    def forward_only(self) -> bool:
        """Whether it is in a compressed .tar, where all previous members must be unpacked first."""
        return self.tarred is not None and bool(self.tarred.archive.packing)

    @property
    def plain(self) -> bool:
        """Whether it is a file that is neither compressed nor in an archive."""
        return self.member is None and not packing(self.path.name)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes as a stream. Raises DataError if the file is unreadable or damaged."""
        suffix = packing(self.member or self.path.name)
        with reading(self), self._stored() as stored:
            if suffix:
                with open_unpacked(stored, suffix, self) as stream:
                    yield stream
            else:
                yield stored

    def first_line(self, limit: int) -> bytes:
        """The first line, at most `limit` bytes of it, without a byte order mark. Raises DataError as `open` does."""
        line = self.tarred.first_line if self.tarred else b""
        if not line.endswith(b"\n"):
            with self.open() as stream:
                line = stream.readline(limit)
        return line.removeprefix(b"\xef\xbb\xbf")

    def read(self, most: int | None = None) -> bytes | bytearray:
        """All unpacked bytes, without a byte order mark.

        most  maximum size; None means `WHOLE` for a compressed file, and no limit for a plain one

        Raises DataError, also if the source is larger or empty.
        """
        limit = WHOLE if most is None and not self.plain else most
        with self.open() as stream:
            content: bytes | bytearray = stream.read() if limit is None else _read_at_most(stream, limit + 1)
        if limit is not None and len(content) > limit:
            raise DataError(
                f"{self} contains more than {limit / 2**20:,.0f}M unpacked, the limit for one document"
                f"{'; unpack it' if most is None else ' under this memory budget; increase it'}, or split it"
            )
        content = content.removeprefix(b"\xef\xbb\xbf")
        if not content or content.isspace():
            raise DataError(f"{self} is empty; remove it or get it again")
        return content

    def _stored(self) -> AbstractContextManager[IO[bytes]]:
        if self.tarred is not None:
            return self.tarred.open()
        return self.path.open("rb") if self.member is None else _open_zip_member(self.path, self.member, self)


def _read_at_most(stream: IO[bytes], most: int) -> bytearray:
    """The first `most` bytes of a stream."""
    content = bytearray()
    while piece := stream.read(min(_PIECE, most - len(content))):
        content += piece
    return content


@contextmanager
def _open_zip_member(path: Path | RemotePath, member: str, source: Source) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        with unpacking(source):
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(path.open("rb"))))
            stream = stack.enter_context(archive.open(member))
        yield stack.enter_context(open_unpacked(stream, "", source))


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Turn errors of reading `source` from disk into DataErrors."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile) as e:
        raise DataError(f"{source} is cut off or damaged ({e}); get it again") from e
    except PermissionError:
        raise DataError(f"{source} is not readable; check its permissions") from None
    except (OSError, NotImplementedError) as e:  # the latter from zipfile, for an unknown compression
        raise DataError(f"{source} cannot be read ({e.args[-1] if e.args else e})") from e


def expand(paths: Sequence[str | Path | Source], suffixes: Sequence[str], *, any_file: bool = False) -> list[Source]:
    """The sources of files, folders (with sub-folders) and globs, each once, in natural order; also at URLs, see
    `storage.remote`.

    Natural order reads digits as numbers (slice.0-999 before slice.1000-1999), so the result does not depend on how
    the files are named. Every suffix is also accepted compressed (".gz", ".bz2", ".xz", ".zst") and inside ".zip",
    ".tar" and compressed ".tar"; only members of the last keep the order of the archive, since going back would unpack
    it again.

    paths     sources among them are those of an earlier call, all of which are returned as they are
    suffixes  of data files, such as ".json"
    any_file  accept any suffix of a file that is named directly

    Raises DataError for a missing, empty, unreadable or unsuitable file, an encrypted or damaged archive, a folder or
    glob without data files, and a duplicate file.
    """
    known = [given for given in paths if isinstance(given, Source)]
    if known:
        return known
    inside = (*suffixes, *(f"{s}{packed}" for packed in PACKED for s in suffixes))
    files: list[Path | RemotePath] = []
    for given in paths:
        files += _files(input_path(str(given)), (*inside, *_ARCHIVES), any_file)
    files.sort(key=lambda path: natural(str(path)))
    seen: set[Path | RemotePath] = set()
    for path in files:
        if path.resolve() in seen:
            raise DataError(f"{path} is given twice; give every file once")
        seen.add(path.resolve())
    return [source for path in files for source in _sources(path, inside)]


def find_beside(source: Source, sources: Sequence[Source], name: str) -> Source | None:
    """The file of that name, plain or compressed, in the folder of a source; None if there is none.

    sources  where to search for members of the same archive
    """
    if source.member is not None:
        folder = source.member.rpartition("/")[0]
        inside = [s for s in sources if s.path == source.path and s.name == name and s.member is not None]
        return next((s for s in inside if str(s.member).rpartition("/")[0] == folder), None)
    for path in (source.path.with_name(f"{name}{packed}") for packed in ("", *PACKED)):
        if path.is_file():
            return expand([str(path)], (), any_file=True)[0]
    return None


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key that reads digits as numbers: "a9" before "a10"."""
    parts = re.split(r"([0-9]+)", text)
    return [(len(n := part.lstrip("0")), n) if part.isdecimal() else (-1, part) for part in parts]


def _files(given: Path | RemotePath, wanted: Sequence[str], any_file: bool) -> list[Path | RemotePath]:
    looked_for = _format_suffixes(wanted)
    if given.is_dir():
        with reading(given):
            inside = [path for path, name in _below(given) if _fits(name, wanted)]
        if not inside:
            raise DataError(f"the folder {given} contains no data files; looked for {looked_for}")
        return inside
    if given.exists():
        if not any_file and not given.name.lower().endswith(tuple(wanted)):
            raise DataError(f"{given} is not a data file of this layout; names must end with {looked_for}")
        return [given]
    if has_magic(str(given) if isinstance(given, Path) else given.place):
        matches: Sequence[Path | RemotePath] = expand_glob(str(given)) if isinstance(given, Path) else given.glob()
        inside = [p for p in matches if p.is_file() and (any_file or _fits(p.name, wanted))]
        folders = [p for p in matches if p.is_dir()]
        for folder in folders:
            inside += _files(folder, wanted, any_file) if "**" not in str(given) else []
        if not inside:
            raise DataError(f"no data file matches {given}; looked for {looked_for}")
        return inside
    siblings = [p.name for p in given.parent.iterdir()] if given.parent.is_dir() else []
    raise DataError(f"there is no file or folder {given}{did_you_mean(given.name, siblings) or '; check the path'}")


def _below(folder: Path | RemotePath) -> list[tuple[Path | RemotePath, str]]:
    """The files in a folder and in all folders below it, with their names relative to it."""
    if isinstance(folder, RemotePath):
        return [(path, path.relative_to(folder).as_posix()) for path in folder.files_below()]
    return [(path, path.relative_to(folder).as_posix()) for path in files_below(folder)]


def _format_suffixes(wanted: Sequence[str]) -> str:
    """Suffixes for a message, with compressed variants summarized."""
    return f"{', '.join(s for s in wanted if not packing(s) or s in _ARCHIVES)}, also in {', '.join(PACKED)}"


def _fits(name: str, wanted: Sequence[str]) -> bool:
    """Whether a name has a wanted suffix and no hidden part (".git", "._slice.json", "__MACOSX")."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/") if part != ".")
    return not hidden and name.lower().endswith(tuple(wanted))


def _sources(path: Path | RemotePath, inside: Sequence[str]) -> list[Source]:
    """The file itself, or the members of an archive with a suffix of `inside`."""
    name = path.name.lower()
    with reading(path):
        size = path.stat().st_size
        if not size:
            raise DataError(f"{path} is empty; remove it or get it again")
        if name.endswith(".zip"):
            members = _members_of_zip(path, inside)
        elif name.endswith(tar.SUFFIXES):
            members = _members_of_tar(path, inside)
        else:
            return [Source(path, None, size, size * (FACTOR if packing(name) else 1))]
    if not members:
        raise DataError(f"{path} contains no data files; looked for {_format_suffixes(inside)}")
    empty = next((source for source in members if not source.unpacked), None)
    if empty is not None:
        raise DataError(f"{empty} is empty; remove it or get it again")
    return members


def _members_of_zip(path: Path | RemotePath, inside: Sequence[str]) -> list[Source]:
    with unpacking(path), path.open("rb") as stored, zipfile.ZipFile(stored) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and _fits(m.filename, inside)]
    for member in members:
        if member.flag_bits & _ENCRYPTED:
            raise DataError(f"{path}:{member.filename} is encrypted; unpack the archive with its password first")
    members.sort(key=lambda m: natural(m.filename))
    return [Source(path, m.filename, m.compress_size, m.file_size) for m in members]


def _members_of_tar(path: Path | RemotePath, inside: Sequence[str]) -> list[Source]:
    archive = tar.Tar(path)
    members = archive.members(lambda name: _fits(name, inside))
    if not archive.packing:
        members.sort(key=lambda m: natural(m.name))
    factors = [FACTOR if packing(m.name) else 1 for m in members]
    return [Source(path, m.name, m.size, m.size * factor, tarred=m) for m, factor in zip(members, factors, strict=True)]
