"""Data frames as sources of rows: pandas, and everything with an Arrow C stream (polars, DuckDB, pyarrow, a reader)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isnan
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from embedrec.errors import DataError, decoded_or_none, decoding
from embedrec.tabular.arrow_columns import simplify
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.formats import Batch
from embedrec.tabular.parquet_batches import split_batch
from embedrec.tabular.parse_values import number_text

_ROWS = 1 << 18  # rows of a batch
_SLICE = 1 << 20  # rows of a polars frame that become Arrow batches at once
_BYTES = 32 << 20  # bytes of a batch
_CELL = 8  # bytes of a value, about
_FLAGS = {"force": "True", "why": "True"}  # values of options without one
_ARGUMENTS = {"from": "start", "why": "explain"}  # of options whose name differs, as for keywords of Python


@runtime_checkable
class ArrowStream(Protocol):
    """A stream of Arrow batches."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


@runtime_checkable
class ArrowArray(Protocol):
    """An Arrow batch in memory."""

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...


@runtime_checkable
class PandasFrame(Protocol):
    """A pandas.DataFrame, which is recognised without importing pandas."""

    iloc: Any
    columns: Any


@runtime_checkable
class PolarsFrame(Protocol):
    """A polars.DataFrame, which is recognised without importing polars."""

    columns: Any

    def select(self, columns: Any) -> Any: ...

    def iter_slices(self, n_rows: int = ...) -> Iterator[Any]: ...


@dataclass(frozen=True, eq=False)
class FrameSource:
    """A data frame in memory, or a stream of Arrow batches that can be read once.

    frame  a pandas.DataFrame, or an object with `__arrow_c_stream__` or `__arrow_c_array__`
    label  its name in messages

    Raises DataError for anything else.
    """

    frame: Any
    label: str = "the data frame"

    def __post_init__(self) -> None:
        if not (self.pandas or isinstance(self.frame, ArrowStream | ArrowArray)):
            given = type(self.frame)
            lazy = given.__name__ == "LazyFrame"  # of polars
            advice = "call its collect()" if lazy else "make one with pandas.DataFrame(…)"
            raise DataError(
                f"{self.label} must be of pandas, polars, pyarrow or DuckDB, or offer an Arrow stream, but is a "
                f"{given.__module__}.{given.__qualname__}; {advice}"
            )

    def __str__(self) -> str:
        return self.label

    @property
    def pandas(self) -> bool:
        """Whether it is a pandas.DataFrame, whose columns are converted part by part."""
        modules = {cls.__module__.partition(".")[0] for cls in type(self.frame).__mro__}
        return "pandas" in modules and isinstance(self.frame, PandasFrame)

    @property
    def rows(self) -> int:
        """Number of rows; 0 for a stream, and for a query, which would run twice to count them."""
        if self.pandas:
            return len(self.frame)
        return int(getattr(self.frame, "num_rows", 0) or getattr(self.frame, "height", 0))

    @property
    def unpacked(self) -> int:
        """Estimated bytes of the columns of sessions, items and times."""
        return 3 * _CELL * self.rows

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns; of pandas, then of the levels of the index that have names."""
        if self.pandas:
            return [name for name, _ in self._pandas_columns]
        return list(self.frame.columns if self._polars else self._reader.schema.names)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        """The rows as pyarrow.RecordBatch of at most `rows` rows, with (at least) these columns."""
        if self.pandas:
            yield from self._pandas_batches(columns, rows)
            return
        for reader in self._readers(columns):
            for batch in reader:
                yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))

    @property
    def _polars(self) -> bool:
        """Whether it is a polars.DataFrame, which is read in slices: as a whole it copies itself."""
        return isinstance(self.frame, PolarsFrame)

    def _readers(self, columns: Sequence[str]) -> Iterator[Any]:
        if self._polars:
            yield from map(pa.RecordBatchReader.from_stream, self.frame.select(list(columns)).iter_slices(_SLICE))
        else:
            yield self._reader

    @cached_property
    def _reader(self) -> Any:
        if isinstance(self.frame, ArrowStream):
            return pa.RecordBatchReader.from_stream(self.frame)
        return pa.Table.from_batches([pa.record_batch(self.frame)]).to_reader()

    @cached_property
    def _pandas_columns(self) -> list[tuple[str, Any]]:
        """The name of each column and of each named level of the index, and its values as a pandas.Series or Index."""
        frame = self.frame
        columns = [(_name(label), frame.iloc[:, at]) for at, label in enumerate(frame.columns)]
        known = {name for name, _ in columns}
        levels = [(at, _name(label)) for at, label in enumerate(frame.index.names) if label is not None]
        return columns + [(name, frame.index.get_level_values(at)) for at, name in levels if name not in known]

    def _pandas_batches(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        values = dict(self._pandas_columns)
        for start in range(0, self.rows, rows):
            arrays = [_pandas_array(name, values[name][start : start + rows]) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


@dataclass(frozen=True)
class Frames:
    """The format of data frames; columns keep their types, NaN and NA of pandas are missing values."""

    typed: ClassVar[bool] = True

    def columns(self, source: FrameSource) -> list[str]:
        """The columns, see `FrameSource.names`."""
        return source.names

    def batches(
        self, source: FrameSource, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0
    ) -> Iterator[Batch]:
        """The rows in order."""
        done, size = 0, ceil(_BYTES * share)
        with decoding(
            lambda why: DataError(f"{source} contains values that cannot be read as columns ({why}); check it")
        ):
            for batch in source.batches(columns, ceil(_ROWS * share)):
                for part in split_batch(batch.select(list(columns)), size):
                    arrays = {name: simplify(part.column(name)) for name in columns}
                    numbers = range(done + 1, done + part.num_rows + 1)
                    done += part.num_rows
                    yield Batch(source, arrays, numbers, done / source.rows if source.rows else 0.0)


def as_arguments(message: str) -> str:
    """A message with the options of the command line as arguments: "--user -" becomes "user='-'".

    Commands in backticks stay as they are.
    """
    return re.sub(r"`[^`]*`|--([a-z][a-z-]*)( (?:-(?=$|[ ,;])|skip|ms|s|'[^']*'|%\S+))?", _argument, message)


def _argument(option: re.Match[str]) -> str:
    if option[1] is None:
        return option[0]
    value = repr(option[2].strip(" '")) if option[2] else _FLAGS.get(option[1], "…")
    return f"{_ARGUMENTS.get(option[1], option[1].replace('-', '_'))}={value}"


def _name(label: Any) -> str:
    return label if isinstance(label, str) else str(label)


def _pandas_array(name: str, values: Any) -> Any:
    """A part of a pandas Series or Index as an Arrow array; a column of numbers and texts becomes texts.

    Raises DataError for values of other Python types.
    """
    kind = type(values.dtype).__name__
    if kind == "PeriodDtype":
        index = type(values).__name__ == "PeriodIndex"
        values = values.to_timestamp() if index else values.dt.to_timestamp()
    elif kind == "SparseDtype":
        values = values.sparse.to_dense()
    if values.dtype != object:
        array = pa.array(values, from_pandas=True)
    else:
        array = decoded_or_none(lambda: pa.array(values, from_pandas=True))
        if array is None:
            array = pa.array([_text(name, value) for value in values.tolist()], pa.string())
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks)
    return array


def _text(name: str, value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    kind = type(value).__name__
    raise DataError(f"the column {name!r} has values of type {kind}; convert it with df[{name!r}].astype(str)")
