from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from embedrec.kernels.session_knn import best
from tests.data import strategies as draw


@draw.given(st.lists(st.sampled_from([0.0, 0.5, 0.5 + 1e-15, 0.7, 1.0]), max_size=12), st.integers(1, 13))
def test_the_best_ascend(keys: list[float], k: int) -> None:
    """The k best, ties by later session, where they stand: sums over them are made in the same order for every k."""
    session = np.random.default_rng(len(keys)).permutation(len(keys)).astype(np.int32)
    chosen = np.empty(min(k, len(keys)) + 1, dtype=np.int64)
    count = best(np.array(keys), session, k, chosen)
    order = sorted(range(len(keys)), key=lambda i: (-round(keys[i], 9), -session[i]))
    assert chosen[:count].tolist() == sorted(order[:k])
