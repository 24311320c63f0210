"""Data frames as sources: types of pandas, Arrow streams, and errors."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from embedrec.errors import DataError
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.frames import Frames, FrameSource, as_arguments


def columns_of(frame: Any, *names: str) -> dict[str, list[Any]]:
    """The values of all batches, column by column."""
    source = FrameSource(frame)
    batches = list(Frames().batches(source, names or source.names, BadRows()))
    return {name: [v for b in batches for v in b.columns[name].to_pylist()] for name in batches[0].columns}


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([1, 2], [1, 2]),
        ([1.0, np.nan], [1.0, None]),
        (["a", None], ["a", None]),
        (pd.array([1, pd.NA], dtype="Int64"), [1, None]),
        (pd.array(["a", pd.NA], dtype="string[python]"), ["a", None]),
        (pd.Categorical(["b", "a", None]), ["b", "a", None]),
        (pd.Categorical([3, 1]), [3, 1]),
        (pd.arrays.SparseArray([0, 7]), [0, 7]),
        (pd.Series(["a", 1, 2.0, 2.5, None, np.nan], dtype=object), ["a", "1", "2", "2.5", None, None]),
        (pd.Series([2**70, 1], dtype=object), [str(2**70), "1"]),
        (pd.Series([Decimal("1"), Decimal("2")]), [Decimal("1"), Decimal("2")]),
        (pd.Series([date(2024, 5, 1)]), [date(2024, 5, 1)]),
        (pd.period_range("2024-05", periods=1, freq="M"), [datetime(2024, 5, 1)]),
        (pd.to_datetime(["2024-05-01T12:00:00+02:00"]), [datetime(2024, 5, 1, 10, tzinfo=UTC)]),
        (pd.to_datetime(["2024-05-01", None]), [datetime(2024, 5, 1), None]),
    ],
)
def test_types_of_pandas_are_read(values: Any, read: list[Any]) -> None:
    assert columns_of(pd.DataFrame({"c": values}))["c"] == read


def test_named_levels_of_an_index_are_columns() -> None:
    frame = pd.DataFrame(
        {"item": ["a", "b"]}, index=pd.MultiIndex.from_tuples([(1, 5), (2, 6)], names=["session", None])
    )
    assert columns_of(frame) == {"item": ["a", "b"], "session": [1, 2]}
    same = pd.DataFrame({"item": ["a"]}, index=pd.Index(["z"], name="item"))
    assert columns_of(same) == {"item": ["a"]}
    assert columns_of(pd.DataFrame({0: [4], "x": [5]})) == {"0": [4], "x": [5]}


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame,
        lambda rows: pl.DataFrame(rows).with_columns(pl.col("item").cast(pl.Categorical)),
        pa.table,
        lambda rows: pa.table(rows).to_reader(max_chunksize=1),
        pa.RecordBatch.from_pydict,
        lambda rows: duckdb.from_arrow(pa.table(rows)),
        pd.DataFrame,
        lambda rows: pd.DataFrame(rows).convert_dtypes(dtype_backend="pyarrow"),
    ],
)
def test_frames_of_every_library_are_equal(make: Any) -> None:
    rows = {"session": [1, 1, 2], "item": ["a", "b", "a"]}
    assert columns_of(make(rows)) == rows
    assert columns_of(make(rows), "item") == {"item": rows["item"]}


def test_a_long_frame_is_read_in_batches() -> None:
    count = (1 << 18) + 5
    batches = list(Frames().batches(FrameSource(pa.table({"c": np.arange(count)})), ["c"], BadRows()))
    assert [len(b.rows) for b in batches] == [1 << 18, 5]
    assert (batches[1].rows[0], batches[1].read) == ((1 << 18) + 1, 1.0)
    small_batches = list(Frames().batches(FrameSource(pd.DataFrame({"c": np.arange(100)})), ["c"], BadRows(), 2**-14))
    assert [len(b.rows) for b in small_batches] == [16] * 6 + [4]


def test_a_polars_frame_is_never_copied_as_a_whole() -> None:
    """Its `__arrow_c_stream__` merges all chunks into one batch; only slices are exported."""
    count = (1 << 20) + 7
    parts = [pl.DataFrame({"c": np.arange(i, count, 3), "d": 0.5}) for i in range(3)]
    frame = pl.concat(parts, rechunk=False)
    lengths, values = [], []
    for batch in Frames().batches(FrameSource(frame), ["c"], BadRows()):
        lengths.append(len(batch.rows))
        values.append(batch.columns["c"].to_numpy())
    assert sum(lengths) == count and max(lengths) <= 1 << 18
    assert np.concatenate(values).tolist() == frame["c"].to_list()
    exported: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        stream = pl.DataFrame.__arrow_c_stream__
        patch.setattr(pl.DataFrame, "__arrow_c_stream__", lambda f, s=None: exported.append(f.height) or stream(f, s))
        list(Frames().batches(FrameSource(frame), ["c"], BadRows()))
    assert exported == [1 << 20, 7]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"a": [1]}, "builtins.dict; make one with pandas.DataFrame(…)"),
        (pl.LazyFrame({"a": [1]}), "polars.lazyframe.frame.LazyFrame; call its collect()"),
    ],
)
def test_other_objects_are_refused(frame: Any, message: str) -> None:
    with pytest.raises(DataError) as e:
        FrameSource(frame)
    kinds = "the data frame must be of pandas, polars, pyarrow or DuckDB, or offer an Arrow stream"
    assert str(e.value) == f"{kinds}, but is a {message}"


def test_unsupported_objects_in_columns_are_refused() -> None:
    frame = pd.DataFrame({"c": pd.Series(["a", UUID(int=1), True], dtype=object)})
    with pytest.raises(
        DataError, match=r"the column 'c' has values of type UUID; convert it with df\['c'\]\.astype\(str\)"
    ):
        columns_of(frame)
    with pytest.raises(DataError, match="the data frame contains values that cannot be read as columns"):
        columns_of(pd.DataFrame({"c": np.array([1j])}))


def test_options_in_messages_become_arguments() -> None:
    message = "name one of a, b with --session or --user; --user - joins them; use --time-unit s, or --time-format %Y"
    assert as_arguments(message) == (
        "name one of a, b with session=… or user=…; user='-' joins them; use time_unit='s', or time_format='%Y'"
    )
    assert as_arguments("use --time-format '%d.%m %H:%M', or --time - here") == (
        "use time_format='%d.%m %H:%M', or time='-' here"
    )
    assert (
        as_arguments("use --on-bad-row skip to leave such rows out") == "use on_bad_row='skip' to leave such rows out"
    )
    assert as_arguments("nothing is written without --force") == "nothing is written without force=True"


def test_commands_in_messages_are_kept() -> None:
    message = "leave --from out, or build one with `embedrec build-index --of answers`"
    assert as_arguments(message) == "leave start=… out, or build one with `embedrec build-index --of answers`"
