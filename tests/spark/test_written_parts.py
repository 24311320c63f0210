"""Files of tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.spark.written_parts import open_parts, write_arrays


def test_arrays_of_parts(tmp_path: Path) -> None:
    counts, values = np.array([3, 4], dtype=np.int64), np.array([[1, 2, 3]], dtype=np.float32)
    results = [write_arrays(tmp_path, 0, [counts, values], width=3), write_arrays(tmp_path, 1, [counts[:0]])]
    first, second = open_parts(tmp_path, results)
    assert first.about["width"] == 3 and first.about["size"] == 28 and second.about["size"] == 0
    assert first.array(np.int64, (2,)).tolist() == [3, 4]
    assert first.array(np.float32, (1, 3), 16).tolist() == [[1, 2, 3]]
    assert second.array(np.int64, (0,)).shape == (0,)
    both = first.arrays((np.int64, 2), (np.int32, 0), (np.float32, 3))
    assert [array.tolist() for array in both] == [[3, 4], [], [1, 2, 3]]
    both[0][0] = 9  # kernels are compiled for arrays that can be written
    assert first.array(np.int64, (2,)).tolist() == [3, 4]


def test_attempts_of_a_task_have_files_of_their_own(tmp_path: Path) -> None:
    for value in (1, 2):
        result = write_arrays(tmp_path, 7, [np.array([value])])
    assert open_parts(tmp_path, [result])[0].array(np.int64, (1,)).tolist() == [2]
    assert len(list(tmp_path.iterdir())) == 2


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    results = [write_arrays(tmp_path, number, [np.arange(3, dtype=np.int32)]) for number in range(2)]
    (tmp_path / results[1]["name"]).write_bytes(b"12")
    with pytest.raises(DataError, match=r"of part 1 in .* has 2 bytes instead of 12; run the command again"):
        open_parts(tmp_path, results)
    (tmp_path / results[0]["name"]).unlink()
    with pytest.raises(DataError, match=r"of part 0 in .* is missing; run the command again"):
        open_parts(tmp_path, results)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write a part to .*/none \(No such file or directory\); check its"):
        write_arrays(tmp_path / "none", 0, [np.arange(2)])
