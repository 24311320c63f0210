"""Names of features, and arrays of tables."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.ranking.feature_groups.group import Feature, names_of, pack_name, sparse_table, unpack_names


def test_names() -> None:
    features = (Feature("rank of {part}", "rank"), Feature("length", "events"))
    assert names_of(features, part="vstan") == ("rank of vstan", "length")
    arrays = {f"numbers.{i}.name": pack_name(name) for i, name in enumerate(["prix €", ""])}
    assert unpack_names(arrays, "numbers") == ["prix €", ""]
    assert unpack_names(arrays, "categories") == []


def test_sparse_table() -> None:
    arrays = {
        "t.starts": np.array([0, 1, 3]),
        "t.items": np.array([2, 0, 1], dtype=np.int32),
        "t.values": np.ones(3, dtype=np.float32),
    }
    for rows in (None, 2):
        assert [one.tolist() for one in sparse_table(arrays, "t", 3, rows=rows)] == [[0, 1, 3], [2, 0, 1], [1, 1, 1]]
    with pytest.raises(DataError, match="2 items"):
        sparse_table(arrays, "t", 2)
    with pytest.raises(DataError, match="shape"):
        sparse_table(arrays, "t", 3, rows=4)
    for wrong in ([0, 3, 1], [1, 1, 3], [0, 1, 4], []):
        with pytest.raises(DataError):
            sparse_table({**arrays, "t.starts": np.array(wrong, dtype=np.int64)}, "t", 3)
