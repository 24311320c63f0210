"""Imported item vectors."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import SettingsError
from embedrec.models.imported import Vectors
from tests.conftest import of_lists


def test_recent_items_weigh_more_in_the_mean() -> None:
    vectors = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 4]], dtype=np.float32)
    sessions = of_lists(["ab", "abc", "aab", ""], Vocab(list("abc")))
    cosine = Vectors(metric="cosine", decay=0.5).from_arrays(Vocab(list("abc")), {"items": vectors})
    expected = [[1 / 3, 2 / 3, 0], [1 / 7, 2 / 7, 4 / 7], [3 / 7, 4 / 7, 0], [0, 0, 0]]
    np.testing.assert_allclose(cosine.encode(sessions).vectors, expected, rtol=1e-6)
    l2 = Vectors(metric="l2", decay=0.5).from_arrays(Vocab(list("abc")), {"items": vectors})
    expected = [[1 / 3, 4 / 3, 0], [1 / 7, 4 / 7, 16 / 7], [3 / 7, 8 / 7, 0], [0, 0, 0]]
    np.testing.assert_allclose(l2.encode(sessions).vectors, expected, rtol=1e-6)
    for decay in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(SettingsError, match=r"decay must lie in \(0, 1\]"):
            Vectors(decay=decay)
