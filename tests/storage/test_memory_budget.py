"""Room: columns in files are the columns in memory; sizes and full disks are said plainly."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from embedrec.errors import DataError, SettingsError
from embedrec.storage import memory_budget as rooms
from embedrec.storage.memory_budget import (
    IN_MEMORY,
    Column,
    MemoryBudget,
    chunks,
    count_rows,
    parse_size,
    release_pages,
)
from tests.data import strategies as draw

BUDGET = 256 << 20


@pytest.fixture(params=["memory", "files"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryBudget:
    return IN_MEMORY if request.param == "memory" else MemoryBudget(BUDGET, tmp_path)


@draw.given(st.lists(st.lists(st.integers(-9, 9), max_size=5), max_size=5))
def test_a_column_contains_its_parts(memory: MemoryBudget, parts: list[list[int]]) -> None:
    column = Column(np.int32, memory)
    for part in parts:
        column.append(np.array(part, dtype=np.int64))
    whole = column.array()
    assert whole.dtype == np.int32
    assert whole.tolist() == [value for part in parts for value in part]


@draw.given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=20))
def test_counts_of_chunks_equal_those_of_all_rows(memory: MemoryBudget, rows: list[tuple[int, bool]]) -> None:
    column = np.array([row for row, _ in rows], dtype=np.int32)
    mask = np.array([keep for _, keep in rows], dtype=bool)
    new = np.arange(10, 17, dtype=np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "CHUNK_EVENTS", 3)
        assert [i for here in chunks(len(rows)) for i in range(len(rows))[here]] == list(range(len(rows)))
        assert memory.select(column, mask).tolist() == column[mask].tolist()
        assert memory.reindex(column, new).tolist() == new[column].tolist()
        assert count_rows(column, 7).tolist() == np.bincount(column, minlength=7).tolist()
        lengths = np.bincount(column, minlength=7)
        assert memory.repeat(lengths).tolist() == sorted(column.tolist()) == np.repeat(np.arange(7), lengths).tolist()
        assert memory.full(len(rows), 4, np.int64).tolist() == [4] * len(rows)


def test_files_of_columns_have_no_names(tmp_path: Path) -> None:
    memory = MemoryBudget(BUDGET, tmp_path / "new")
    held = [memory.full(1000, 1, np.int64), Column(np.int8, memory)]
    assert len(held) == 2
    assert not list((tmp_path / "new").iterdir())


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError) as refused:
        MemoryBudget(BUDGET, tmp_path).empty(1 << 20, np.int64)
    assert str(refused.value) == (
        f"columns cannot be written to {tmp_path} (No space left on device); free some space or use another workspace"
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("2G", 2 << 30), ("1.5 GiB", 3 << 29), ("300mb", 300 << 20), ("268435456", 1 << 28)],
)
def test_sizes_are_parsed(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1G", "1X", "1e9", "two"])
def test_invalid_sizes_are_refused(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_size(text)
    assert str(refused.value) == (f"a memory size is a number with K, M, G or T, such as 512M or 2G, but is {text!r}")


def test_too_small_a_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^the memory budget must be at least 256M, but is 104857600 bytes$"):
        MemoryBudget(100 << 20, tmp_path)


@draw.given(st.lists(st.integers(-9, 9), max_size=9))
def test_a_doubled_array_begins_with_the_old_one(memory: MemoryBudget, values: list[int]) -> None:
    array = memory.empty(len(values), np.int32)
    array[:] = values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "CHUNK_EVENTS", 4)
        longer = memory.doubled(array)
    assert len(longer) == 2 * len(values)
    assert longer[: len(values)].tolist() == values == array.tolist()


def test_released_arrays_keep_their_values(memory: MemoryBudget) -> None:
    array = memory.full(1 << 16, 7, np.int64)
    release_pages(array)
    assert (array == 7).all()


def test_ids_are_counted_by_role(tmp_path: Path) -> None:
    memory = MemoryBudget(BUDGET, tmp_path)
    memory.hold_ids("session", 1_000_000, None)
    memory.hold_ids("session", 2_000_000, None)  # instead of those before
    memory.hold_ids("item", 100, 10_000_000)
    with pytest.raises(DataError) as refused:
        memory.hold_ids("user", 1_000_000, 20_000_000)
    assert str(refused.value) == (
        "the distinct ids and names take 196M so far (110M of them for users), but a memory budget of 256M leaves 160M "
        "for them; raise the budget or read fewer files"
    )
    IN_MEMORY.hold_ids("user", 1 << 40, 1 << 50)


def test_arrow_returns_memory_under_a_budget(tmp_path: Path) -> None:
    before = pa.default_memory_pool().backend_name
    with IN_MEMORY.returning():
        assert pa.default_memory_pool().backend_name == before
    with MemoryBudget(BUDGET, tmp_path).returning():
        assert pa.default_memory_pool().backend_name == "system"
    assert pa.default_memory_pool().backend_name == before


@pytest.mark.parametrize("text", ["9" * 400, "9" * 20, "8388608T"])
def test_a_size_beyond_all_memory_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="a memory size must be below 8388608T"):
        parse_size(text)
