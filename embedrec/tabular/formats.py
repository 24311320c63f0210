"""Table file formats as streams of column batches: Parquet and JSON lines; for delimited text see `delimited`.

Row numbers start at 1; the header and blank lines do not count.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from math import ceil
from typing import IO, Any, ClassVar, Protocol, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from embedrec.errors import DataError
from embedrec.storage.remote import RemotePath
from embedrec.tabular import nested_json
from embedrec.tabular.arrow_columns import invalid_utf8, simplify
from embedrec.tabular.background import prefetch
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.parquet_batches import packed_columns, sized_batches, split_batch
from embedrec.tabular.parse_values import number_text
from embedrec.tabular.source_files import Source
from embedrec.tabular.text_decoders import decoding

BLOCK = 32 << 20  # bytes of text decoded at once; ids are coded per batch, so large batches are cheaper
MAX_ROWS = 1 << 18  # rows of a Parquet batch: parsing makes ten temporaries of them
MAX_BYTES = 32 << 20  # bytes of a batch of Parquet or of JSON lines, whose rows may be long
_AHEAD = 16  # prefetched batches of Parquet
_BUFFER = 1 << 18  # bytes of each column read from disk at once
MAX_LINE = 64 << 20  # maximum bytes of a JSON line
_HEAD = 1 << 16  # bytes that distinguish an array from lines
_ARRAY = 256 << 20  # maximum bytes of a JSON array under a memory budget, times the share
MAX_LINES = 1 << 17  # JSON lines of a batch; they are Python objects for a while
_LOOKED_AT = 100  # JSON lines whose keys define the columns


@dataclass(frozen=True)
class Batch:
    """b rows of a source.

    columns  name → Arrow array (b,), for the requested columns
    rows     (b,) the number of each row in the source
    read     the fraction of the source read so far, 0 to 1
    written  whether the source writes numbers as text, so that 3.5 is as valid an id as "3.5"
    """

    source: RowSource
    columns: dict[str, Any]
    rows: Sequence[int] | np.ndarray
    read: float
    written: bool = False


class RowSource(Protocol):
    """Where rows come from; its text names it in messages. `unpacked` is its expected size in bytes, for progress."""

    @property
    def unpacked(self) -> int: ...


S_contra = TypeVar("S_contra", bound=RowSource, contravariant=True)


class Format(Protocol[S_contra]):
    """A table format. `typed` is whether it distinguishes numbers from texts.

    Batches have a size that is fast to read, in rows and bytes, or a `share` of it under a memory budget.
    """

    @property
    def typed(self) -> bool: ...

    def columns(self, source: S_contra) -> list[str]: ...

    def batches(
        self, source: S_contra, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0
    ) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Parquet:
    """Parquet files; columns keep their types."""

    typed: ClassVar[bool] = True

    def columns(self, source: Source) -> list[str]:
        """The columns of the schema."""
        with self._open(source) as file:
            return list(file.schema_arrow.names)

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The rows in order."""
        rows, size = ceil(MAX_ROWS * share), ceil(MAX_BYTES * share)
        with self._open(source, columns) as file:
            total, done = max(file.metadata.num_rows, 1), 0
            for batch in prefetch(sized_batches(file, columns, rows, size), ceil(_AHEAD * share)):
                for part in split_batch(batch, size):
                    arrays = {name: simplify(part.column(name)) for name in columns}
                    numbers = range(done + 1, done + part.num_rows + 1)
                    done += part.num_rows
                    wrong = [mask for mask in map(invalid_utf8, arrays.values()) if mask is not None]
                    read = Batch(source, arrays, numbers, done / total)
                    yield drop_undecodable_rows(read, np.logical_or.reduce(wrong), bad_rows) if wrong else read

    @contextmanager
    def _open(self, source: Source, columns: Sequence[str] = ()) -> Iterator[Any]:
        """The file; those of these columns that are compressed well are read as dictionary codes."""
        import pyarrow.parquet as pq

        with decoding(source, "Parquet"):
            content = _content(source)
            # by default Arrow keeps the whole file in memory until its last batch
            given: dict[str, Any] = {"pre_buffer": False, "buffer_size": _BUFFER}
            with pq.ParquetFile(content, **given) as file:
                packed = packed_columns(file, columns)
                if not packed:
                    yield file
                    return
                metadata = file.metadata
            with pq.ParquetFile(content, **given, metadata=metadata, read_dictionary=packed) as file:
                yield file


def _content(source: Source) -> Any:
    """What pyarrow opens: the path of a plain file, a file at a URL, or the unpacked bytes."""
    if not source.plain:
        return io.BytesIO(source.read())
    return source.path.open_arrow() if isinstance(source.path, RemotePath) else source.path


@dataclass(frozen=True)
class JsonLines:
    """One JSON object per line, or an array of objects; a column that mixes numbers and texts becomes texts.

    lists  whether values may be lists or booleans
    """

    lists: bool = False
    typed: ClassVar[bool] = True

    def columns(self, source: Source) -> list[str]:
        """The keys of the first hundred objects and of their nested objects, see `nested_json`."""
        with source.open() as stream:
            rows = [_json(line) for line in islice(_rows(stream, source, 1.0), _LOOKED_AT)]
        if not any(isinstance(row, dict) for row in rows):
            raise DataError(f"{source} contains no JSON objects, one per line; check the file")
        objects = [row for row in rows if isinstance(row, dict)]
        keys = dict.fromkeys(chain.from_iterable(objects))
        inside = () if self.lists else chain.from_iterable(map(nested_json.paths, objects))
        return list(keys | dict.fromkeys(inside))

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The rows in order. A missing key is null; a line that is not a JSON object is a bad row."""
        with source.open() as stream:
            counted = CountingStream(stream)
            numbered = enumerate(_rows(counted, source, share), 1)
            nested = not self.lists and any("." in name for name in columns)
            each = nested_json.list_of(columns) if nested else ""
            while lines := _take_lines(numbered, ceil(MAX_LINES * share), ceil(MAX_BYTES * share)):
                rows, numbers = [], []
                for number, line in lines:
                    row = _json(line)
                    parts = nested_json.flatten(row, columns, each) if nested and isinstance(row, dict) else [row]
                    if parts is None:
                        bad_rows.add(source, f"row {number}", f"{each} must be a list of objects")
                        continue
                    for part in parts:
                        problem = _json_problem(part, columns, dict if self.lists else list | dict | bool)
                        if problem:
                            bad_rows.add(source, f"row {number}", problem)
                        else:
                            rows.append(part)
                            numbers.append(number)
                arrays = {name: column_of([row.get(name) for row in rows]) for name in columns}
                yield Batch(source, arrays, numbers, min(counted.bytes / source.unpacked, 1), written=True)


class CountingStream:
    """A stream that counts the bytes read from it."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        content = self.stream.read(size)
        self.bytes += len(content)
        return content

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """No effect: the owner of the stream closes it."""


@dataclass(frozen=True)
class _NotJson:
    """A line that is not JSON."""

    message: str


def drop_undecodable_rows(batch: Batch, wrong: np.ndarray, bad_rows: BadRows) -> Batch:
    """The batch without the rows (b,) with invalid UTF-8, which are bad rows."""
    if not wrong.any():
        return batch
    for row in np.flatnonzero(wrong).tolist():
        bad_rows.add(batch.source, f"row {batch.rows[row]}", "the row is not UTF-8 text", "; convert it first")
    good = np.flatnonzero(~wrong)
    columns = {name: column.take(pa.array(good)) for name, column in batch.columns.items()}
    return replace(batch, columns=columns, rows=np.asarray(batch.rows)[good])


def _take_lines(
    lines: Iterator[tuple[int, bytes | memoryview]], most: int, size: int
) -> list[tuple[int, bytes | memoryview]]:
    """The next lines with their numbers: at most `most` lines, until they have `size` bytes."""
    taken = []
    for numbered in lines:
        taken.append(numbered)
        size -= len(numbered[1])
        if len(taken) == most or size <= 0:
            break
    return taken


def _lines(stream: Any, source: Source, share: float) -> Iterator[bytes]:
    """Lines that are not blank, without byte order mark. Raises DataError for a line that is too long."""
    size, most = ceil(BLOCK * share), ceil(MAX_LINE * share)
    rest = stream.read(size).removeprefix(b"\xef\xbb\xbf")
    while rest:
        block = stream.read(size)
        *whole, rest = rest.split(b"\n") if block else [*rest.split(b"\n"), b""]
        if len(rest) > most:
            raise DataError(
                f"{source} has a line of more than {most / 2**20:,.0f}M, the limit"
                f"{'' if share == 1 else ' under this memory budget; increase it'}; check that it contains one JSON "
                "object per line"
            )
        yield from (line for line in whole if line.strip())
        rest += block


def _rows(stream: Any, source: Source, share: float) -> Iterator[bytes | memoryview]:
    """The JSON of each row: the elements of an array of objects, which is read as a whole, else the lines."""
    array = _array(source, share)
    return _lines(stream, source, share) if array is None else iter(array)


def _array(source: Source, share: float) -> list[memoryview] | None:
    """The elements of a source that is one JSON array with objects, else None."""
    with source.open() as stream:
        if not stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
            return None
    content = source.read(None if share >= 1 else ceil(_ARRAY * share))
    try:
        elements = [memoryview(element) for element in msgspec.json.decode(content, type=list[msgspec.Raw])]
    except msgspec.DecodeError:  # lines that are lists; each is a bad row
        return None
    return elements if any(element[0] == ord("{") for element in elements) else None


def _json(line: bytes | memoryview) -> Any:
    try:
        return msgspec.json.decode(line)
    except Exception as e:  # see `decoding`, which is slower per line
        return _NotJson(str(e))


def _json_problem(row: Any, columns: Sequence[str], nested_types: Any) -> str:
    if isinstance(row, _NotJson):
        return f"the line is not valid JSON ({row.message})"
    if not isinstance(row, dict):
        return "the line must be a JSON object"
    nested = [name for name in columns if isinstance(row.get(name), nested_types)]
    return f"{nested[0]} must be a text or a number" if nested else ""


def column_of(values: list[Any]) -> Any:
    """Python values as an Arrow array, as texts if numbers and texts are mixed."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        texts = [v if v is None or isinstance(v, str) else number_text(v) for v in values]
        return pa.array(texts, pa.string())
