"""The stored sessions of session kNN."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.models.session_knn.variants import SKNN
from tests.models.session_knn.past_sessions import LETTERS, sessions_of
from tests.models.session_knn.slow_knn import Past


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("offsets", [1, 2, 4], "offsets of sessions must ascend from 0"),
        ("offsets", [0, 5, 4], "offsets of sessions must ascend from 0"),
        ("items", [0, 1, 6, 1], "items of sessions must be rows of 6 items, but some are out of range"),
        ("items", [0, 1, -7, 1], "items of sessions must be rows of 6 items, but some are out of range"),
        ("numbers", [1, 1], "2 sessions must have the numbers 0 … 1, each once"),
        ("times", [5, 4], "sessions must be sorted by times, but are not"),
        ("times", [5, 6, 7], "times of 2 sessions must be int64"),
    ],
)
def test_arrays_that_are_no_sessions(name: str, array: list[int], message: str) -> None:
    arrays = dict(SKNN().fit(sessions_of([Past(list("ab"), [1, 2]), Past(list("bc"), [3, 4])])).arrays)
    arrays[name] = np.array(array, dtype=arrays[name].dtype)
    with pytest.raises(DataError, match=message):
        SKNN().from_arrays(LETTERS, arrays)
