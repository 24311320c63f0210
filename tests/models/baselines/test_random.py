"""Random recommendations: repeatable, uniform, evenly scored."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.models.baselines.random import Random
from tests.conftest import of_lists, tiny_sessions


def numbered_vocab(n: int) -> Vocab:
    return Vocab(np.arange(n))


def test_a_list_depends_on_seed_and_history_only() -> None:
    vocab = numbered_vocab(500)
    histories = of_lists([[1], [2], [1, 2], [2, 1], [1], []], vocab)
    fit = Random().fit(histories, seed=4)
    rows = fit.recommend(histories, 20).rows.tolist()
    assert rows[0] == rows[4]
    assert len(set(map(tuple, rows))) == 5
    assert Random().fit(histories, seed=5).recommend(histories, 20).rows.tolist()[0] != rows[0]
    assert fit.recommend(histories.take(np.array([3])), 20).rows[0].tolist() == rows[3]


def test_all_orders_are_equally_likely() -> None:
    vocab = numbered_vocab(4)
    histories = of_lists([[3] * length for length in range(2000)], vocab)
    model = Random().fit(histories, seed=1)
    counts = Counter(map(tuple, model.recommend(histories, 4, exclude_seen=False).rows.tolist()))
    assert set(counts) == set(permutations(range(4)))
    assert chisquare(list(counts.values())).pvalue > 1e-3
    unseen = model.recommend(histories, 3).rows[1:].tolist()  # all but the empty history hold item 3
    assert set(map(tuple, unseen)) == set(permutations(range(3)))


def test_all_items_are_equally_likely_at_every_place() -> None:
    n = 97
    vocab = numbered_vocab(n)
    histories = of_lists([[i, j] for i in range(n) for j in range(n)], vocab)
    rows = Random().fit(histories, seed=0).recommend(histories, 5, exclude_seen=False).rows
    assert all(len(set(row)) == 5 for row in rows.tolist())
    for place in range(5):
        assert chisquare(np.bincount(rows[:, place], minlength=n)).pvalue > 1e-3


def test_scores_fall_evenly() -> None:
    result = Random().fit(tiny_sessions()).recommend(of_lists(["a"]), 6, exclude_seen=False)
    assert result.scores[0].tolist() == pytest.approx([6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_invalid_seeds() -> None:
    for seed in (np.array([1.0]), np.array([1, 2]), np.array([1], dtype=np.int32)):
        with pytest.raises(DataError, match="random lists need one seed"):
            Random().from_arrays(numbered_vocab(6), {"seed": seed})
