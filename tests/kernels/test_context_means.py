"""Means over contexts, against sums over every pair of mentions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.context_means import add_context_means
from tests.conftest import read_only

N, D = 5, 3
lists = st.lists(st.lists(st.integers(0, N - 1), max_size=9), max_size=5)


@given(lists, st.integers(0, 10), st.integers(0, 99))
def test_sums_equal_those_over_all_pairs(sessions: list[list[int]], window: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(N, D)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum([len(session) for session in sessions])]).astype(np.int64)
    items = np.array([item for session in sessions for item in session], dtype=np.int32)
    sums, counts = np.ones((N, D)), np.ones(N, dtype=np.int64)
    add_context_means(read_only(offsets), read_only(items), read_only(vectors), window, sums, counts)
    expected, expected_counts = np.ones((N, D)), np.ones(N, dtype=np.int64)
    for session in sessions:
        for at, item in enumerate(session):
            reach = window or len(session)
            beside = [session[i] for i in range(len(session)) if i != at and abs(i - at) <= reach]
            if beside:
                expected[item] += vectors[beside].astype(np.float64).mean(axis=0)
                expected_counts[item] += 1
    np.testing.assert_allclose(sums, expected, atol=1e-9)
    assert counts.tolist() == expected_counts.tolist()
