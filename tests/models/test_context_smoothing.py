"""Contexts and smoothed vectors, in numbers that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.models.context_smoothing import Contexts, add_contexts, mean_contexts, smooth
from tests.conftest import of_lists, read_only

VECTORS = read_only(np.array([[2, 0], [0, 3], [-1, 0]], dtype=np.float32))  # of a, b and c


def test_the_context_of_an_item_is_the_mean_over_its_mentions_of_the_mean_unit_vector_beside_them() -> None:
    sessions = of_lists(["abc", "ab", "c"])
    contexts = mean_contexts(sessions, VECTORS, 0)
    np.testing.assert_allclose(contexts.mean, [[-0.25, 0.75], [0.5, 0], [0.5, 0.5]])
    assert contexts.mean.dtype == np.float32
    assert contexts.counts.tolist() == [2, 2, 1]
    near = mean_contexts(sessions, VECTORS, 1)
    np.testing.assert_allclose(near.mean, [[0, 1], [0.5, 0], [0, 1]])


def test_contexts_reach_at_most_two_mentions() -> None:
    sessions = of_lists(["abbc"])
    for window in (0, 2, 3, 25):
        contexts = mean_contexts(sessions, VECTORS, window)
        np.testing.assert_allclose(contexts.mean[0], [0, 1])
        np.testing.assert_allclose(contexts.mean[2], [0, 1])


def test_contexts_of_two_sets_of_sessions_are_those_of_all_sessions() -> None:
    first, second = of_lists(["abc", "ab"]), of_lists(["cba", "c", "ca"]).reindex(of_lists(["abc"]).vocab)
    both = of_lists(["abc", "ab", "cba", "c", "ca"])
    total = add_contexts(mean_contexts(first, VECTORS, 0), mean_contexts(second, VECTORS, 0))
    expected = mean_contexts(both, VECTORS, 0)
    np.testing.assert_allclose(total.mean, expected.mean, atol=1e-6)
    assert total.counts.tolist() == expected.counts.tolist()


def test_new_items_have_their_own_contexts_and_absent_ones_the_old() -> None:
    old = Contexts(np.array([[1, 0], [0, 1]], dtype=np.float32), np.array([3, 1]))
    new = Contexts(np.array([[0, 0], [1, 0], [0, -1]], dtype=np.float32), np.array([0, 1, 2]))
    total = add_contexts(old, new)
    assert total.mean.tolist() == [[1, 0], [0.5, 0.5], [0, -1]]
    assert total.counts.tolist() == [3, 2, 2]
    assert new.counts.tolist() == [0, 1, 2]


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.0])
def test_smoothed_vectors_have_norms_by_mentions(weight: float) -> None:
    contexts = Contexts(np.array([[0, 0.5], [0, 0.25], [0, 0]], dtype=np.float32), np.array([1024, 1, 0]))
    result = smooth(VECTORS, contexts, weight)
    first = np.array([1, weight]) / np.hypot(1, weight)
    np.testing.assert_allclose(result, [first, [0, 0.5], [-0.5, 0]], atol=1e-6)
    assert result.dtype == np.float32


def test_a_vector_and_context_of_zeros_stay_zero() -> None:
    contexts = Contexts(np.zeros((1, 2), dtype=np.float32), np.array([0]))
    assert smooth(np.zeros((1, 2), dtype=np.float32), contexts, 1.0).tolist() == [[0, 0]]
