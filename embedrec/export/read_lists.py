"""Read exports: any format of lists, compressed or not, a file or a folder of shards."""

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

from embedrec.errors import DataError, SettingsError, checked_length, decoding
from embedrec.export.file_format import LISTS, Layout, layout_of
from embedrec.export.files import MANIFEST, read_manifest
from embedrec.progress import Report, quiet
from embedrec.storage.atomic import sha256

CHUNK = 1 << 24  # bytes read at a time
_ROWS = 1 << 18  # rows of CSV read at a time
_ESCAPED = re.compile(r"\\([\\tnr])")
_PLAIN = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True, eq=False)
class RankedLists:
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


class IdCodes:
    """Integer codes of ids (as texts), shared by the exports to compare."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._code: dict[str, int] = {}

    def of(self, words: Any) -> np.ndarray:
        """Codes (m,) int64 of an Arrow array of texts."""
        coded = words.dictionary_encode()
        codes = np.fromiter(map(self._code_of, coded.dictionary.to_pylist()), np.int64, count=len(coded.dictionary))
        return codes[coded.indices.to_numpy()]

    def _code_of(self, word: str) -> int:
        code = self._code.setdefault(word, len(self.ids))
        if code == len(self.ids):
            self.ids.append(word)
        return code


class _PercentDecoded(IdCodes):
    """The codes of percent-encoded ids."""

    def __init__(self, codes: IdCodes) -> None:
        self.ids, self._code = codes.ids, codes._code

    def _code_of(self, word: str) -> int:
        return super()._code_of(unquote(word))


Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # seeds (l,), lengths (l,), items (Σ lengths,): codes


def read_lists(
    path: Path,
    codes: IdCodes,
    kind: str | None = None,
    *,
    prefix: str = "similar:",
    encoded: bool = False,
    report: Report = quiet,
) -> RankedLists:
    """The non-empty lists of an export.

    kind     format; by default from the suffix, or from the manifest of a folder of shards
    prefix   of the keys in the Redis protocol
    encoded  whether ids of "text" are percent-encoded
    report   called as report("progress", done=, total=, unit="B"), in bytes of the files

    Raises DataError for files that are missing, damaged, of another format, or contain two lists of an item;
    SettingsError for vectors.
    """
    parts: list[Part] = []
    decoded = _PercentDecoded(codes)
    files = _files(path, kind)
    before, total = 0, sum(file.stat().st_size for file, _ in files)
    for file, layout in files:
        if not layout.holds_lists:
            raise SettingsError(f"{path} contains vectors; compare exports of lists ({', '.join(LISTS)})")
        with _open_unpacked(file, layout) as (stream, position):
            file_codes = decoded if encoded and layout.kind == "text" else codes
            for part in _READ[layout.kind](stream, file_codes, file, prefix):
                parts.append(part)
                report("progress", done=before + position(), total=total, unit="B")
        before += file.stat().st_size
    seeds, lengths, items = (
        np.concatenate([np.zeros(0, np.int64), *column]) for column in (zip(*parts, strict=True) if parts else [()] * 3)
    )
    if len(np.unique(seeds)) < len(seeds):
        twin = int(np.flatnonzero(np.bincount(seeds) > 1)[0])
        raise DataError(f"{path} has two lists of {codes.ids[twin]!r}; export it again")
    non_empty = lengths > 0  # tables cannot represent an empty list, so all formats ignore them
    return RankedLists(seeds[non_empty], np.concatenate([[0], np.cumsum(lengths[non_empty])]), items)


def _files(path: Path, kind: str | None) -> list[tuple[Path, Layout]]:
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"no file {path}; check the path")
        return [(path, layout_of(path.name, kind))]
    manifest = read_manifest(path)
    with decoding(lambda why: DataError(f"{path / MANIFEST} is damaged ({why}); export it again")):
        layout, files = Layout(manifest["layout"], manifest["packing"]), []
        for name, expected in manifest["files"].items():
            file = path / Path(name).name
            if not file.is_file() or sha256(file) != expected["sha256"]:
                raise DataError(f"{file} is missing or damaged (it does not match {MANIFEST}); export it again")
            files.append((file, layout))
        return files


@contextmanager
def _open_unpacked(file: Path, layout: Layout) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The uncompressed stream of a file, and a function that returns the position in the compressed file.

    Raises DataError if the file cannot be read or has another format.
    """
    import pyarrow as pa

    with decoding(
        lambda why: DataError(f"{file} cannot be read as {layout.kind} ({why}); set its format with --format")
    ):
        if layout.packing == "zst":
            with pa.OSFile(str(file)) as packed, pa.CompressedInputStream(packed, "zstd") as stream:
                yield stream, packed.tell
        else:
            with file.open("rb") as plain, gzip.GzipFile(fileobj=plain) if layout.packing == "gz" else plain as stream:
                yield stream, plain.tell  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------ formats


def _chunks(stream: IO[bytes], file: Path) -> Iterator[bytes]:
    """Chunks of complete lines. Raises DataError if the last line is incomplete."""
    left = b""
    while data := stream.read(CHUNK):
        cut = data.rfind(b"\n") + 1
        if cut:
            yield left + data[:cut]
            left = data[cut:]
        else:
            left += data
    if left:
        raise DataError(f"{file} is truncated: its last line is incomplete; export it again")


def _text(stream: IO[bytes], codes: IdCodes, file: Path, prefix: str) -> Iterator[Part]:
    for chunk in _chunks(stream, file):
        data = np.frombuffer(chunk, dtype=np.uint8)
        spaces = np.concatenate([[0], np.cumsum(data == ord(" "))[data == ord("\n")]])
        lengths = np.diff(spaces)  # (l,) results per line
        words = codes.of(_words(chunk.replace(b"\n", b" ")[:-1].split(b" ")))
        starts = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
        yield words[starts], lengths, np.delete(words, starts)


def _tsv(stream: IO[bytes], codes: IdCodes, file: Path, prefix: str) -> Iterator[Part]:
    width, headed = 0, False
    builder = _ListBuilder()
    for chunk in _chunks(stream, file):
        if not width:
            names = chunk[: chunk.index(b"\n")].decode(errors="replace").split("\t")
            width, headed = len(names), _is_header(names)
        cells = chunk.replace(b"\n", b"\t")[:-1].split(b"\t")
        if width not in _WIDTHS or len(cells) != width * chunk.count(b"\n"):
            raise _not_a_table(file)
        cells, headed = cells[width * headed :], False
        if cells:
            result = _result_column(width)
            yield from builder.add(_unescape(cells[::width], codes), _unescape(cells[result::width], codes))
    yield from builder.last_list()


def _csv(stream: IO[bytes], codes: IdCodes, file: Path, prefix: str) -> Iterator[Part]:
    lines = (line for chunk in _chunks(stream, file) for line in io.StringIO(chunk.decode(), newline=""))
    rows: Iterator[list[str]] = csv.reader(lines, strict=True)
    builder = _ListBuilder()
    first = next(rows, None)
    if first is None:
        return
    width, result = len(first), _result_column(len(first))
    rows = rows if _is_header(first) else chain([first], rows)
    while block := list(islice(rows, _ROWS)):
        if width not in _WIDTHS or any(len(row) != width for row in block):
            raise _not_a_table(file)
        seeds, items = ([row[column] for row in block] for column in (0, result))
        yield from builder.add(codes.of(_words(seeds)), codes.of(_words(items)))
    yield from builder.last_list()


_WIDTHS = (3, 4, 5, 6)  # columns: item, (rank,) similar, score, (item_name, similar_name)


def _result_column(width: int) -> int:
    """The number of the column of results."""
    return 1 if width == 3 else 2


def _is_header(names: Sequence[str]) -> bool:
    """Whether a line holds column names: rank and score are numbers in all other lines."""
    return list(names[1:4:2]) == ["rank", "score"]


def _not_a_table(file: Path) -> DataError:
    return DataError(f"{file} is no table of item, rank, similar and score; set its format with --format")


def _jsonl(stream: IO[bytes], codes: IdCodes, file: Path, prefix: str) -> Iterator[Part]:
    import msgspec

    for chunk in _chunks(stream, file):
        seeds: list[str] = []
        items: list[str] = []
        lengths: list[int] = []
        with decoding(lambda why: DataError(f"{file} has a line that is no list of results ({why}); export it again")):
            for line in chunk.splitlines():
                seed, *_, results = msgspec.json.decode(line).values()
                items += [str(result["id"]) for result in results]
                seeds.append(str(seed))
                lengths.append(len(results))
        yield codes.of(_words(seeds)), np.array(lengths, dtype=np.int64), codes.of(_words(items))


def _redis(stream: IO[bytes], codes: IdCodes, file: Path, prefix: str) -> Iterator[Part]:
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
                raise DataError(f"{file} is no export: an RPUSH does not follow the DEL of its key; export it again")
            lengths[-1] += len(words) - 1
            items += words[1:]
    yield codes.of(_words(seeds)), np.array(lengths, dtype=np.int64), codes.of(_words(items))


def _commands(stream: IO[bytes], file: Path) -> Iterator[list[bytes]]:
    """Commands of the Redis protocol: *COUNT, then COUNT times $LENGTH and a text, all terminated by CR LF."""
    data, at = stream.read(), 0
    with decoding(lambda why: DataError(f"{file} is truncated or not in the Redis protocol ({why}); export it again")):
        while at < len(data):
            count, at = _number(data, at, b"*")
            words = []
            for _ in range(count):
                size, start = _number(data, at, b"$")
                words.append(data[start : start + size])
                at = start + size + 2
                if data[at - 2 : at] != b"\r\n":
                    raise ValueError("a text is not terminated")
            if not words:
                raise ValueError("a command is empty")
            yield words


def _number(data: bytes, at: int, mark: bytes) -> tuple[int, int]:
    """A count or length, and the position after its line."""
    end = data.index(b"\r\n", at)
    if data[at : at + 1] != mark:
        raise ValueError(f"expected {mark!r} and a number, not {data[at:end][:20]!r}")
    return checked_length(data[at + 1 : end], len(data) - end), end + 2


def _parquet(stream: IO[bytes], codes: IdCodes, file: Path, prefix: str) -> Iterator[Part]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(stream)
    names = opened.schema_arrow.names
    if not (4 <= len(names) <= 6 and _is_header(names)):
        raise DataError(f"{file} must have the columns item, rank, similar and score; it has {', '.join(names)}")
    builder = _ListBuilder()
    for batch in opened.iter_batches(columns=[names[0], names[2]]):
        seeds, items = (column.cast(pa.string()) for column in batch.columns)
        yield from builder.add(codes.of(seeds), codes.of(items))
    yield from builder.last_list()


class _ListBuilder:
    """Lists from rows of a seed and a result; the last list of a block may continue in the next one."""

    def __init__(self) -> None:
        self.seeds = self.items = np.zeros(0, np.int64)

    def add(self, seeds: np.ndarray, items: np.ndarray) -> Iterator[Part]:
        """All complete lists: those before the last one."""
        seeds, items = np.concatenate([self.seeds, seeds]), np.concatenate([self.items, items])
        starts = np.flatnonzero(np.diff(seeds, prepend=-1))
        last = int(starts[-1]) if len(starts) else 0
        self.seeds, self.items = seeds[last:], items[last:]
        if last:
            yield seeds[starts[:-1]], np.diff(starts), items[:last]

    def last_list(self) -> Iterator[Part]:
        """The last list."""
        if len(self.seeds):
            yield self.seeds[:1], np.array([len(self.items)]), self.items


def _words(words: Sequence[str] | Sequence[bytes]) -> Any:
    import pyarrow as pa

    if words and isinstance(words[0], bytes):
        return pa.array(words, pa.large_binary()).cast(pa.large_string())
    return pa.array(words, pa.large_string())


def _unescape(cells: list[bytes], codes: IdCodes) -> np.ndarray:
    coded = _words(cells).dictionary_encode()
    words = [_ESCAPED.sub(lambda m: _PLAIN[m[1]], word) for word in coded.dictionary.to_pylist()]
    unescaped: np.ndarray = codes.of(_words(words))[coded.indices.to_numpy()]
    return unescaped


_READ: dict[str, Callable[[IO[bytes], IdCodes, Path, str], Iterator[Part]]] = {
    "text": _text,
    "tsv": _tsv,
    "csv": _csv,
    "jsonl": _jsonl,
    "redis": _redis,
    "parquet": _parquet,
}
