from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.evaluation.partial_results import PartialResults, missing
from tests.data import strategies as draw

TABLE = np.arange(20, dtype=np.float64).reshape(10, 2)
TABLE[3, 1] = np.inf


@pytest.fixture
def parts(tmp_path: Path) -> PartialResults:
    """Ten rows, of which 0 … 3 and 6 … 8 are done."""
    parts = PartialResults(tmp_path / "a" / "key", "key", 10, 2)
    parts.save(0, TABLE[0:4])
    parts.save(6, TABLE[6:9])
    return parts


def test_saved_parts_are_loaded(parts: PartialResults) -> None:
    assert sorted(f.name for f in parts.folder.iterdir()) == ["0-4.part", "6-9.part"]
    done, table = PartialResults(parts.folder, "key", 10, 2).load()
    assert np.flatnonzero(done).tolist() == [0, 1, 2, 3, 6, 7, 8]
    assert (table[done] == TABLE[done]).all() and np.isnan(table[~done]).all()
    parts.save(4, TABLE[4:10])  # over existing parts
    done, table = parts.load()
    assert done.all() and (table == TABLE).all()


@pytest.mark.parametrize("size", [0, 7, 32, 40, 95])
def test_truncated_files_are_ignored(parts: PartialResults, size: int) -> None:
    file = parts.folder / "0-4.part"
    assert file.stat().st_size == 96
    file.write_bytes(file.read_bytes()[:size])
    assert np.flatnonzero(parts.load()[0]).tolist() == [6, 7, 8]


def test_other_files_are_ignored(parts: PartialResults) -> None:
    first = (parts.folder / "0-4.part").read_bytes()
    flipped = bytearray(first)
    flipped[50] ^= 1
    (parts.folder / "0-4.part").write_bytes(flipped)
    (parts.folder / "1-5.part").write_bytes(first)  # moved
    (parts.folder / "9-13.part").write_bytes(first)  # beyond the end
    (parts.folder / "5-5.part").write_bytes(first[:32])
    (parts.folder / "notes.txt").write_text("hello")
    (parts.folder / "4-6.part").mkdir()
    assert np.flatnonzero(parts.load()[0]).tolist() == [6, 7, 8]
    (parts.folder / "0-4.part").write_bytes(first)
    assert np.flatnonzero(parts.load()[0]).tolist() == [0, 1, 2, 3, 6, 7, 8]
    for other in (PartialResults(parts.folder, "kez", 10, 2), PartialResults(parts.folder, "key", 10, 4)):
        assert not other.load()[0].any()


@draw.given(st.lists(st.booleans(), max_size=30), st.integers(1, 6))
def test_missing_rows_are_divided_into_blocks(done: list[bool], block: int) -> None:
    mask = np.array(done, dtype=bool)
    blocks = list(missing(mask, block))
    assert all(1 <= b.stop - b.start <= block for b in blocks)
    assert [row for b in blocks for row in range(b.start, b.stop)] == [
        r for r, finished in enumerate(done) if not finished
    ]
