"""Exports read back, in any format of lists, packed or not, a file or a folder of shards."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import numpy as np

from embedrec.errors import DataError, SettingsError
from embedrec.export.file_format import LISTS, Layout, layout_of
from embedrec.export.files import MANIFEST, read_manifest
from embedrec.progress import Report, quiet
from embedrec.runtime.decoding import checked_length, decoding
from embedrec.storage.atomic import sha256

_CHUNK = 1 << 24  # bytes read at a time
_ROWS = 1 << 18  # rows of CSV read at a time
_ESCAPED = re.compile(r"\\([\\tnr])")
_PLAIN = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True, eq=False)
class Ranked:
    """q lists read from an export.

    seeds    (q,) int64 codes of the seeds, each once
    offsets  (q+1,) int64; list i is `items[offsets[i]:offsets[i + 1]]`, best first
    items    (E,) int64 codes of the results
    """

    seeds: np.ndarray
    offsets: np.ndarray
    items: np.ndarray

    def __len__(self) -> int:
        return len(self.seeds)


class Codes:
    """Numbers for ids, as texts, shared by the files that are compared."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._code: dict[str, int] = {}

    def of(self, words: Any) -> np.ndarray:
        """Codes (m,) int64 of an Arrow array of texts."""
        coded = words.dictionary_encode()
        new = np.fromiter(map(self._one, coded.dictionary.to_pylist()), dtype=np.int64, count=len(coded.dictionary))
        return new[coded.indices.to_numpy()]

    def _one(self, word: str) -> int:
        code = self._code.setdefault(word, len(self.ids))
        if code == len(self.ids):
            self.ids.append(word)
        return code


class _Decoded(Codes):
    """The numbers of ids that are written percent-encoded."""

    def __init__(self, codes: Codes) -> None:
        self.ids, self._code = codes.ids, codes._code

    def _one(self, word: str) -> int:
        return super()._one(unquote(word))


Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # seeds (l,), lengths (l,), items (Σ lengths,): codes


def read_lists(
    path: Path,
    codes: Codes,
    kind: str | None = None,
    *,
    prefix: str = "similar:",
    encoded: bool = False,
    report: Report = quiet,
) -> Ranked:
    """The lists of an export that hold results.

    kind    format; by default the suffix tells, or the manifest of a folder of shards
    prefix  that keys in Redis' protocol begin with
    encoded  whether ids of "text" are percent-encoded
    report  "progress" in bytes of the files

    Raises DataError for files that are missing, damaged, of another format, or have a list twice; SettingsError for
    vectors.
    """
    parts: list[Part] = []
    decoded = _Decoded(codes)
    files = _files(path, kind)
    before, total = 0, sum(file.stat().st_size for file, _ in files)
    for file, layout in files:
        if not layout.of_lists:
            raise SettingsError(f"{path} holds vectors; compare exports of lists ({', '.join(LISTS)})")
        with _opened(file, layout) as (stream, place):
            own = decoded if encoded and layout.kind == "text" else codes
            for part in _READ[layout.kind](stream, own, file, prefix):
                parts.append(part)
                report("progress", done=before + place(), total=total, unit="B")
        before += file.stat().st_size
    seeds, lengths, items = (
        np.concatenate([np.zeros(0, np.int64), *column]) for column in (zip(*parts, strict=True) if parts else [()] * 3)
    )
    if len(np.unique(seeds)) < len(seeds):
        twin = int(np.flatnonzero(np.bincount(seeds) > 1)[0])
        raise DataError(f"{path} has two lists of {codes.ids[twin]!r}; it was put together wrongly")
    there = lengths > 0  # tables have no row of a list without results, so that no format may tell of one
    return Ranked(seeds[there], np.concatenate([[0], np.cumsum(lengths[there])]), items)


def _files(path: Path, kind: str | None) -> list[tuple[Path, Layout]]:
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"no file {path}; check the path")
        return [(path, layout_of(path.name, kind))]
    manifest = read_manifest(path)
    with decoding(lambda why: DataError(f"{path / MANIFEST} is damaged ({why}); export it again")):
        layout, found = Layout(manifest["layout"], manifest["packing"]), []
        for name, said in manifest["files"].items():
            file = path / Path(name).name
            if not file.is_file() or sha256(file) != said["sha256"]:
                raise DataError(f"{file} is missing or damaged (it does not fit {MANIFEST}); export it again")
            found.append((file, layout))
        return found


@contextmanager
def _opened(file: Path, layout: Layout) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The unpacked bytes of a file, and what tells how many packed ones were read.

    Raises DataError when they cannot be read, or hold something else.
    """
    import pyarrow as pa

    with decoding(
        lambda why: DataError(f"{file} cannot be read as {layout.kind} ({why}); name its format with --format")
    ):
        if layout.packing == "zst":
            with pa.OSFile(str(file)) as packed, pa.CompressedInputStream(packed, "zstd") as stream:
                yield stream, packed.tell
        else:
            with file.open("rb") as plain, gzip.GzipFile(fileobj=plain) if layout.packing == "gz" else plain as stream:
                yield stream, plain.tell  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------ formats


def _chunks(stream: IO[bytes], file: Path) -> Iterator[bytes]:
    """Whole lines, many at a time. Raises DataError when the last one does not end."""
    left = b""
    while data := stream.read(_CHUNK):
        cut = data.rfind(b"\n") + 1
        if cut:
            yield left + data[:cut]
            left = data[cut:]
        else:
            left += data
    if left:
        raise DataError(f"{file} is cut off: its last line does not end")


def _text(stream: IO[bytes], codes: Codes, file: Path, prefix: str) -> Iterator[Part]:
    for chunk in _chunks(stream, file):
        data = np.frombuffer(chunk, dtype=np.uint8)
        spaces = np.concatenate([[0], np.cumsum(data == ord(" "))[data == ord("\n")]])
        lengths = np.diff(spaces)  # (l,) results a line
        found = codes.of(_words(chunk.replace(b"\n", b" ")[:-1].split(b" ")))
        starts = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
        yield found[starts], lengths, np.delete(found, starts)


def _tsv(stream: IO[bytes], codes: Codes, file: Path, prefix: str) -> Iterator[Part]:
    width, headed = 0, False
    grouped = _Grouped()
    for chunk in _chunks(stream, file):
        if not width:
            names = chunk[: chunk.index(b"\n")].decode(errors="replace").split("\t")
            width, headed = len(names), _is_header(names)
        cells = chunk.replace(b"\n", b"\t")[:-1].split(b"\t")
        if width not in _WIDTHS or len(cells) != width * chunk.count(b"\n"):
            raise _no_table(file)
        cells, headed = cells[width * headed :], False
        if cells:
            result = _result_of(width)
            yield from grouped.add(_unescaped(cells[::width], codes), _unescaped(cells[result::width], codes))
    yield from grouped.rest()


def _csv(stream: IO[bytes], codes: Codes, file: Path, prefix: str) -> Iterator[Part]:
    lines = (line for chunk in _chunks(stream, file) for line in io.StringIO(chunk.decode(), newline=""))
    rows: Iterator[list[str]] = csv.reader(lines, strict=True)
    grouped = _Grouped()
    first = next(rows, None)
    if first is None:
        return
    width, result = len(first), _result_of(len(first))
    rows = rows if _is_header(first) else chain([first], rows)
    while some := list(islice(rows, _ROWS)):
        if width not in _WIDTHS or any(len(row) != width for row in some):
            raise _no_table(file)
        seeds, items = ([row[column] for row in some] for column in (0, result))
        yield from grouped.add(codes.of(_words(seeds)), codes.of(_words(items)))
    yield from grouped.rest()


_WIDTHS = (3, 4, 5, 6)  # columns: item, (rank,) similar, score, (item_name, similar_name)


def _result_of(width: int) -> int:
    """The column of results."""
    return 1 if width == 3 else 2


def _is_header(names: Sequence[str]) -> bool:
    """Whether a line holds the names of columns: a rank and a score are numbers everywhere else."""
    return list(names[1:4:2]) == ["rank", "score"]


def _no_table(file: Path) -> DataError:
    return DataError(f"{file} is no table of item, rank, similar and score; name its format with --format")


def _jsonl(stream: IO[bytes], codes: Codes, file: Path, prefix: str) -> Iterator[Part]:
    import msgspec

    for chunk in _chunks(stream, file):
        seeds: list[str] = []
        items: list[str] = []
        lengths: list[int] = []
        with decoding(lambda why: DataError(f"{file} holds a line that is no list of results ({why})")):
            for line in chunk.splitlines():
                seed, *_, results = msgspec.json.decode(line).values()
                items += [str(result["id"]) for result in results]
                seeds.append(str(seed))
                lengths.append(len(results))
        yield codes.of(_words(seeds)), np.array(lengths, dtype=np.int64), codes.of(_words(items))


def _redis(stream: IO[bytes], codes: Codes, file: Path, prefix: str) -> Iterator[Part]:
    seeds: list[bytes] = []
    items: list[bytes] = []
    lengths: list[int] = []
    key: bytes | None = None
    for command, *words in _commands(stream, file):
        if command == b"DEL" and words:
            key = words[0]
            seeds.append(key.removeprefix(prefix.encode()))
            lengths.append(0)
        elif command == b"RPUSH":
            if words[:1] != [key]:
                raise DataError(f"{file} is no export: it adds to a list that it did not delete before")
            lengths[-1] += len(words) - 1
            items += words[1:]
    yield codes.of(_words(seeds)), np.array(lengths, dtype=np.int64), codes.of(_words(items))


def _commands(stream: IO[bytes], file: Path) -> Iterator[list[bytes]]:
    """Commands of Redis' protocol: *COUNT, and so many times $LENGTH and a text, all ended by CR and LF."""
    data, at = stream.read(), 0
    with decoding(lambda why: DataError(f"{file} is cut off, or no file of Redis' protocol ({why})")):
        while at < len(data):
            count, at = _number(data, at, b"*")
            words = []
            for _ in range(count):
                size, start = _number(data, at, b"$")
                words.append(data[start : start + size])
                at = start + size + 2
                if data[at - 2 : at] != b"\r\n":
                    raise ValueError("a text does not end")
            if not words:
                raise ValueError("a command is empty")
            yield words


def _number(data: bytes, at: int, mark: bytes) -> tuple[int, int]:
    """A count or length, and where its line ends."""
    end = data.index(b"\r\n", at)
    if data[at : at + 1] != mark:
        raise ValueError(f"{data[at:end][:20]!r} where {mark!r} and a number are due")
    return checked_length(data[at + 1 : end], len(data) - end), end + 2


def _parquet(stream: IO[bytes], codes: Codes, file: Path, prefix: str) -> Iterator[Part]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(stream)
    names = opened.schema_arrow.names
    if not (4 <= len(names) <= 6 and _is_header(names)):
        raise DataError(f"{file} must have the columns item, rank, similar and score, but has {', '.join(names)}")
    grouped = _Grouped()
    for batch in opened.iter_batches(columns=[names[0], names[2]]):
        seeds, items = (column.cast(pa.string()) for column in batch.columns)
        yield from grouped.add(codes.of(seeds), codes.of(items))
    yield from grouped.rest()


class _Grouped:
    """Lists from rows of a seed and a result, where a list may go on in the next rows."""

    def __init__(self) -> None:
        self.seeds = self.items = np.zeros(0, np.int64)

    def add(self, seeds: np.ndarray, items: np.ndarray) -> Iterator[Part]:
        """All lists but the last."""
        seeds, items = np.concatenate([self.seeds, seeds]), np.concatenate([self.items, items])
        starts = np.flatnonzero(np.diff(seeds, prepend=-1))
        last = int(starts[-1]) if len(starts) else 0
        self.seeds, self.items = seeds[last:], items[last:]
        if last:
            yield seeds[starts[:-1]], np.diff(starts), items[:last]

    def rest(self) -> Iterator[Part]:
        """The last list."""
        if len(self.seeds):
            yield self.seeds[:1], np.array([len(self.items)]), self.items


def _words(words: Sequence[str] | Sequence[bytes]) -> Any:
    import pyarrow as pa

    if words and isinstance(words[0], bytes):
        return pa.array(words, pa.large_binary()).cast(pa.large_string())
    return pa.array(words, pa.large_string())


def _unescaped(cells: list[bytes], codes: Codes) -> np.ndarray:
    coded = _words(cells).dictionary_encode()
    words = [_ESCAPED.sub(lambda m: _PLAIN[m[1]], word) for word in coded.dictionary.to_pylist()]
    found: np.ndarray = codes.of(_words(words))[coded.indices.to_numpy()]
    return found


_READ: dict[str, Callable[[IO[bytes], Codes, Path, str], Iterator[Part]]] = {
    "text": _text,
    "tsv": _tsv,
    "csv": _csv,
    "jsonl": _jsonl,
    "redis": _redis,
    "parquet": _parquet,
}
