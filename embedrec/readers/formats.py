"""File formats of tables, as streams of column batches: delimited text, Parquet, JSON lines.

Rows are counted from 1, without header and blank lines.
"""

from __future__ import annotations

import codecs
import csv
import io
from bisect import insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from math import ceil
from typing import IO, Any, ClassVar, Literal, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.errors import DataError
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.behind import ahead
from embedrec.readers.files import Source

_BLOCK = 32 << 20  # bytes of text decoded at once; ids are coded once a batch, so large ones are cheaper
_ROWS = 1 << 18  # rows of Parquet at once: parsing makes ten temporaries of them
_AHEAD = 16  # batches of Parquet decoded before they are asked for
_BUFFER = 1 << 18  # bytes of each column read from disk at once
_LINES = 1 << 17  # JSON lines at once, which are Python objects for a while
_NO_ROWS = ("Empty CSV", "cannot infer number of columns", "Could not skip initial")  # Arrow on a header alone
_LOOKED_AT = 100  # JSON lines whose keys are the columns


@dataclass(frozen=True)
class Batch:
    """b rows of a source.

    columns  name → Arrow array (b,), of the columns that were asked for
    rows     (b,) the number of each row in the source
    read     the share of the source that has been read with it, 0 to 1
    """

    source: Source
    columns: dict[str, Any]
    rows: Sequence[int] | np.ndarray
    read: float


class Format(Protocol):
    """What every format of tables can do. `typed` says whether numbers and texts are told apart.

    Batches are of a size that is fast to read, or of a `share` of it where memory is short.
    """

    @property
    def typed(self) -> bool: ...

    def columns(self, source: Source) -> list[str]: ...

    def batches(
        self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0
    ) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Delimited:
    """Delimited text. All columns come as strings without spaces around them, null where empty.

    delimiter  one character, or the same one twice ("::"); "" finds it in the header
    quoted     whether "…" may hold delimiters and line breaks
    names      the columns, where the file has no header
    encoding   of the text
    """

    typed: ClassVar[bool] = False
    delimiter: str = ""
    quoted: bool = True
    names: tuple[str, ...] | None = None
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    def columns(self, source: Source) -> list[str]:
        """The columns of the header, or `names`."""
        if self.names is not None:
            return list(self.names)
        line = self._header(source)
        delimiter = self._delimiter(line)
        if not self.quoted:
            return [name.strip() for name in line.split(delimiter)]
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The rows in order; rows with too few or too many values are bad rows."""
        from pyarrow import csv as arrow

        delimiter = self.delimiter or self._delimiter(self._header(source))
        names = self.columns(source)
        uneven = _Uneven(source, bad_rows, self.names is None, len(delimiter))
        with source.open() as stream, _arrow_errors(source, "delimited text", uneven):
            counted = _Counted(stream)
            reader = arrow.open_csv(
                pa.PythonFile(counted, mode="r"),
                # one thread: only then are uneven rows numbered
                arrow.ReadOptions(
                    use_threads=False,
                    encoding=self.encoding,
                    block_size=ceil(_BLOCK * share),
                    column_names=names if len(delimiter) == 1 else _spaced(names),
                    skip_rows=0 if self.names is not None else 1,
                ),
                arrow.ParseOptions(
                    delimiter=delimiter[0],
                    quote_char='"' if self.quoted else False,
                    newlines_in_values=self.quoted,
                    invalid_row_handler=uneven,
                ),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    include_columns=list(columns),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
            done = 0
            for batch in reader:
                trimmed = {
                    name: pc.ascii_trim_whitespace(column) for name, column in zip(columns, batch.columns, strict=True)
                }
                rows = uneven.numbers(done, batch.num_rows)
                yield Batch(source, trimmed, rows, min(counted.bytes / source.unpacked, 1))
                done += batch.num_rows

    def decoding(self, source: Source) -> Delimited:
        """The same format in the encoding of a source: UTF-8, or Latin-1 where it is not valid UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        with source.open() as stream:
            try:
                while block := stream.read(_BLOCK):
                    decoder.decode(block)
            except UnicodeDecodeError:
                return replace(self, encoding="latin-1")
        return self

    def _header(self, source: Source) -> str:
        try:
            return source.first_line(_BLOCK).decode(self.encoding).rstrip("\r\n")
        except UnicodeDecodeError as e:
            raise DataError(f"{source} is not UTF-8 text; convert it first") from e

    def _delimiter(self, header: str) -> str:
        return self.delimiter or max(",;\t|", key=header.count)


class _Uneven:
    """Collects rows of the wrong number of values while Arrow parses."""

    def __init__(self, source: Source, bad_rows: BadRows, has_header: bool, step: int) -> None:
        self.source = source
        self.bad_rows = bad_rows
        self.error: DataError | None = None
        self.before = 1 if has_header else 0
        self.step = step  # 2: between two delimiters stands an empty value
        self.left_out: list[int] = []  # row numbers, ascending

    def __call__(self, row: Any) -> str:
        number = row.number - self.before
        given, expected = (-(-count // self.step) for count in (row.actual_columns, row.expected_columns))
        detail = f", but has {given} where there are {expected} columns"
        try:
            self.bad_rows.add(self.source, f"row {number}", "the row must have a value for every column", detail)
        except DataError as e:  # raised when Arrow has given up
            self.error = e
            return "error"
        insort(self.left_out, number)
        return "skip"

    def numbers(self, done: int, count: int) -> np.ndarray:
        """Numbers of the next `count` rows after `done` even ones."""
        even = np.arange(done + 1, done + count + 1)  # (count,) numbers if all rows were even
        left_out = np.array(self.left_out, dtype=np.int64)
        before = left_out - 1 - np.arange(len(left_out))  # even rows before each that was left out
        return even + np.searchsorted(before, even)


@dataclass(frozen=True)
class Parquet:
    """Parquet files; columns come in the types they have."""

    typed: ClassVar[bool] = True

    def columns(self, source: Source) -> list[str]:
        """The columns of the schema."""
        with self._open(source) as file:
            return list(file.schema_arrow.names)

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The rows in order."""
        with self._open(source) as file:
            total, done = max(file.metadata.num_rows, 1), 0
            # one thread: to share each small batch out among several takes longer than to decode it
            decoded = file.iter_batches(batch_size=ceil(_ROWS * share), columns=list(columns), use_threads=False)
            for batch in ahead(decoded, ceil(_AHEAD * share)):
                found = {name: _plain(batch.column(name)) for name in columns}
                numbers = range(done + 1, done + batch.num_rows + 1)
                done += batch.num_rows
                yield Batch(source, found, numbers, done / total)

    @contextmanager
    def _open(self, source: Source) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with _arrow_errors(source, "Parquet"):
            plain = source.member is None and not source.path.name.endswith(".gz")
            content = source.path if plain else io.BytesIO(source.read())
            # by default Arrow holds the whole file in memory until its last batch
            with pq.ParquetFile(content, pre_buffer=False, buffer_size=_BUFFER) as file:
                yield file


@dataclass(frozen=True)
class JsonLines:
    """One JSON object a line; a column that mixes numbers and texts comes as texts.

    lists  whether a value may be a list or a boolean
    """

    lists: bool = False
    typed: ClassVar[bool] = True

    def columns(self, source: Source) -> list[str]:
        """The keys of the first hundred objects."""
        with source.open() as stream:
            rows = [_json(line) for line in islice(_lines(stream), _LOOKED_AT)]
        if not any(isinstance(row, dict) for row in rows):
            raise DataError(f"{source} holds no JSON objects, one a line; check the file")
        return list(dict.fromkeys(chain.from_iterable(row for row in rows if isinstance(row, dict))))

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The rows in order; a missing key is null, and a line that is no JSON object is a bad row."""
        with source.open() as stream:
            counted = _Counted(stream)
            numbered = enumerate(_lines(counted), 1)
            while lines := list(islice(numbered, ceil(_LINES * share))):
                rows, numbers = [], []
                for number, line in lines:
                    row = _json(line)
                    problem = _json_problem(row, columns, dict if self.lists else list | dict | bool)
                    if problem:
                        bad_rows.add(source, f"row {number}", problem)
                    else:
                        rows.append(row)
                        numbers.append(number)
                found = {name: column_of([row.get(name) for row in rows]) for name in columns}
                yield Batch(source, found, numbers, min(counted.bytes / source.unpacked, 1))


class _Counted:
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
        """Nothing: whoever opened the stream closes it."""


@dataclass(frozen=True)
class _NotJson:
    """What stands for a line that is no JSON."""

    message: str


@contextmanager
def _arrow_errors(source: Source, kind: str, uneven: _Uneven | None = None) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as e:
        if uneven and uneven.error:
            raise uneven.error from None
        if any(sign in str(e) for sign in _NO_ROWS):
            return
        if "UTF8" in str(e):
            raise DataError(f"{source} is not UTF-8 text; convert it first") from e
        raise DataError(f"{source} cannot be read as {kind} ({str(e).splitlines()[0]}); get it again") from e


def _spaced(names: Sequence[str]) -> list[str]:
    """Names of the columns with the empty ones between two delimiters."""
    return [name for n, given in enumerate(names) for name in (f"\0{n}", given)][1:]


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _lines(stream: Any) -> Iterator[bytes]:
    """Lines that are not blank, without byte order mark."""
    rest = stream.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
    while rest:
        block = stream.read(_BLOCK)
        *whole, rest = rest.split(b"\n") if block else [*rest.split(b"\n"), b""]
        yield from (line for line in whole if line.strip())
        rest += block


def _json(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        return _NotJson(str(e))


def _json_problem(row: Any, columns: Sequence[str], nested_types: Any) -> str:
    if isinstance(row, _NotJson):
        return f"the line is not valid JSON ({row.message})"
    if not isinstance(row, dict):
        return "the line must be a JSON object"
    nested = [name for name in columns if isinstance(row.get(name), nested_types)]
    return f"{nested[0]} must be a text or a number" if nested else ""


def column_of(values: list[Any]) -> Any:
    """Python values as an Arrow array, as texts where numbers and texts are mixed."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        texts = [v if v is None or isinstance(v, str) else msgspec.json.encode(v).decode() for v in values]
        return pa.array(texts, pa.string())
