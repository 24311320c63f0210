"""A format with columns that are computed from others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.computed_columns import ComputedColumn, ComputedFormat
from embedrec.tabular.formats import Batch
from embedrec.tabular.source_files import Source

SOURCE = Source(Path("t.csv"), None, 10, 10)
COLUMNS = {"a": [1, 2, 3, 4], "b": ["x", "y", None, "z"]}


@dataclass
class Memory:
    """A format of two batches of two rows in memory; `requested` records the requested columns."""

    requested: list[str]
    typed: bool = True

    def columns(self, source: Any) -> list[str]:
        return list(COLUMNS)

    def batches(self, source: Any, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        self.requested[:] = columns
        for start in (0, 2):
            arrays = {name: pa.array(COLUMNS[name][start : start + 2]) for name in columns}
            yield Batch(source, arrays, np.arange(start + 1, start + 3), (start + 2) / 4)


def read(form: ComputedFormat, *columns: str) -> tuple[dict[str, list[Any]], list[int]]:
    """The values of columns, and the numbers of their rows."""
    batches = list(form.batches(SOURCE, list(columns), BadRows()))
    values = {name: [v for batch in batches for v in batch.columns[name].to_pylist()] for name in columns}
    return values, [int(row) for batch in batches for row in batch.rows]


DOUBLE = ComputedColumn(("a",), lambda columns: pc.multiply(columns["a"], 2))
LABEL = ComputedColumn(("a", "b"), lambda columns: pa.array([f"{a}{b}" for a, b in zip(*columns.values())]))  # noqa: B905


def test_computed_columns_follow_those_of_the_file() -> None:
    form = ComputedFormat(Memory([]), {"double": DOUBLE, "b": LABEL})  # type: ignore[arg-type]
    assert form.columns(SOURCE) == ["a", "b", "double"] and form.typed
    assert read(form, "double", "a") == ({"double": [2, 4, 6, 8], "a": [1, 2, 3, 4]}, [1, 2, 3, 4])


def test_a_column_of_the_file_is_replaced() -> None:
    form = ComputedFormat(Memory([]), {"b": LABEL})  # type: ignore[arg-type]
    assert read(form, "b")[0] == {"b": ["1x", "2y", "3None", "4z"]}


def test_only_the_inputs_are_read() -> None:
    requested: list[str] = []
    form = ComputedFormat(Memory(requested), {"double": DOUBLE})  # type: ignore[arg-type]
    read(form, "double")
    assert requested == ["a"]


def test_rows_are_dropped_by_a_condition() -> None:
    requested: list[str] = []
    condition = ComputedColumn(("b",), lambda columns: columns["b"].is_valid().to_numpy(zero_copy_only=False))
    form = ComputedFormat(Memory(requested), {"double": DOUBLE}, condition)  # type: ignore[arg-type]
    assert read(form, "double") == ({"double": [2, 4, 8]}, [1, 2, 4])
    assert requested == ["a", "b"]


@pytest.mark.parametrize("typed", [True, False])
def test_a_format_without_computed_columns_is_unchanged(typed: bool) -> None:
    form = ComputedFormat(Memory([], typed))  # type: ignore[arg-type]
    assert form.typed == typed
    assert read(form, "b") == ({"b": COLUMNS["b"]}, [1, 2, 3, 4])
