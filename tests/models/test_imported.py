"""Imported item vectors: metrics, session vectors, invalid input."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.imported import Vectors
from embedrec.vectors.embeddings import Metric
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


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_vectors_are_unchanged(metric: Metric) -> None:
    vectors = np.array([[3, 0], [0, 1], [-1, -1]], dtype=np.float32)
    model = Vectors(metric).from_arrays(Vocab(list("abc")), {"items": vectors})
    assert model.embeddings.vectors is vectors and model.embeddings.metric == metric
    assert model.answers is model.searcher is model.embeddings
    assert model.neighbours(np.array([0]), 2).ids() == [["b", "c"]]
    best = {"cosine": ["b", "a"], "dot": ["a", "b"], "l2": ["b", "a"]}[metric]  # b is recent, a is long
    assert model.recommend(of_lists(["ab"], model.vocab), 2, exclude_seen=False).ids() == [best]


@pytest.mark.parametrize("decay", [0.0, 1.5, -1.0, float("nan")])
def test_invalid_decay(decay: float) -> None:
    with pytest.raises(SettingsError) as error:
        Vectors(decay=decay)
    assert str(error.value) == f"decay must lie in (0, 1], but is {decay!r}"


@pytest.mark.parametrize(
    "vectors", [np.ones((2, 2), np.float32), np.ones((3, 2)), np.ones(3, np.float32)], ids=["rows", "type", "shape"]
)
def test_arrays_that_do_not_fit_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(DataError, match="items of a vectors model must"):
        Vectors().from_arrays(Vocab(list("abc")), {"items": vectors})
