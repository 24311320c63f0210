"""Parquet batches that are bounded in rows and bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.tabular.parquet_batches import packed_columns, sized_batches, split_batch


def write_parquet(folder: Path, columns: dict[str, Any], **options: Any) -> pq.ParquetFile:
    pq.write_table(pa.table(columns), folder / "t.parquet", **options)
    return pq.ParquetFile(folder / "t.parquet")


def test_columns_stored_in_few_bytes_are_found(tmp_path: Path) -> None:
    """Columns of text that store few bytes per row; others are decoded at once."""
    n = 30_000
    columns = {
        "same": ["a" * 1000] * n,
        "number": list(range(n)),
        "different": [f"{row:0100}" for row in range(n)],
        "unread": ["a"] * n,
    }
    file = write_parquet(tmp_path, columns, compression="none")
    assert packed_columns(file, ["same", "number", "different"]) == ["same"]


@pytest.mark.parametrize(("rows", "size"), [(1000, 1 << 30), (1000, 2000), (7, 1 << 30)])
def test_batches_contain_all_rows_in_order(tmp_path: Path, rows: int, size: int) -> None:
    values = [f"{row % 97}" * (row % 13) for row in range(5000)]
    file = write_parquet(tmp_path, {"text": values, "other": [1] * 5000}, row_group_size=1300)
    batches = list(sized_batches(file, ["text"], rows, size))
    assert [value for batch in batches for value in batch.column("text").to_pylist()] == values
    assert max(batch.num_rows for batch in batches) <= rows
    assert all(batch.schema.names == ["text"] for batch in batches)


def test_batches_become_shorter_when_rows_become_longer(tmp_path: Path) -> None:
    values = ["a"] * 2000 + ["b" * 1000] * 2000
    batches = list(sized_batches(write_parquet(tmp_path, {"text": values}), ["text"], 1000, 50_000))
    assert max(batch.num_rows for batch in batches) > 200
    assert [batch.num_rows for batch in batches if batch.column("text")[0].as_py() != "a"][-1] <= 50
    assert sum(batch.num_rows for batch in batches) == 4000


def test_a_batch_is_split_by_its_decoded_size() -> None:
    texts = pa.array(["x" * 100, "y" * 1000, None, "x" * 100] * 5).dictionary_encode()
    batch = pa.record_batch({"text": texts, "number": pa.array(range(20))})
    parts = list(split_batch(batch, 1500))
    assert len(parts) > 1 and [n for part in parts for n in part.column("number").to_pylist()] == list(range(20))
    for part in parts:
        decoded = part.column("text").to_pylist()
        assert sum(len(text or "") for text in decoded) <= 1500 + 1000  # the last row may exceed the size
    assert [part.num_rows for part in split_batch(batch, 1 << 20)] == [20]


def test_an_empty_batch_is_one_part() -> None:
    batch = pa.record_batch({"text": pa.array([], pa.string()).dictionary_encode()})
    assert [part.num_rows for part in split_batch(batch, 10)] == [0]
