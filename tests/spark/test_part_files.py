"""Files that are joined from parts are those that one machine writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from embedrec.data import parquet_io
from embedrec.data.parquet_io import save_ids
from embedrec.spark.part_files import (
    GrowingArray,
    join_arrays,
    join_columns,
    join_lengths,
    load_part,
    save_columns,
    save_part,
)
from embedrec.storage.artifacts import Draft


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32, bool])
def test_arrays_in_parts(tmp_path: Path, dtype: type) -> None:
    whole = (np.arange(23) % 5).astype(dtype)
    parts = [tmp_path / f"{n}.npy" for n in range(4)]
    for path, part in zip(parts, np.split(whole, [0, 9, 10]), strict=True):
        save_part(path, part)
        assert load_part(path).tolist() == part.tolist()
    out = Draft(tmp_path, {})
    assert join_arrays(out, "joined", dtype, parts) == 23
    out.array("whole", whole)
    assert (tmp_path / "joined.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_an_array_grows(tmp_path: Path) -> None:
    file = GrowingArray(tmp_path / "x.npy", np.int32)
    for size in (0, 3, 1000):
        file.append(np.arange(size))
    assert file.close() == 1003
    assert load_part(tmp_path / "x.npy").tolist() == [*range(3), *range(1000)]


def test_lengths_become_offsets(tmp_path: Path) -> None:
    parts = [tmp_path / f"{n}.npy" for n in range(3)]
    for path, lengths in zip(parts, ([2, 1], [], [4]), strict=True):
        save_part(path, np.array(lengths, dtype=np.int64))
    assert join_lengths(Draft(tmp_path, {}), "offsets", parts) == 3
    assert load_part(tmp_path / "offsets.npy").tolist() == [0, 2, 3, 7]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("count", [0, 1, 4096, 9000])
def test_ids_in_parts(tmp_path: Path, whole: bool, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups do not depend on the parts."""
    monkeypatch.setattr(parquet_io, "GROUP_CHARACTERS", 30_000)
    ids = np.arange(count) if whole else np.array([f"item {n}" for n in range(count)], dtype=object)
    parts = [tmp_path / f"{n}.parquet" for n in range(3)]
    for path, part in zip(parts, np.split(ids, [count // 3, count // 2]), strict=True):
        save_columns(path, id=pa.array(part.tolist(), pa.int64() if whole else pa.string()))
    assert join_columns(Draft(tmp_path, {}), "joined", [("id", whole)], parts) == count
    save_ids(ids, tmp_path / "whole.parquet")
    assert (tmp_path / "joined.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
