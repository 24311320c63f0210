"""Coverage, Gini, diversity, popularity and novelty of lists against slow references."""

from __future__ import annotations

from itertools import combinations
from math import isnan, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec.evaluation.beyond_accuracy as module
from embedrec.evaluation.beyond_accuracy import aggregate_metrics, gini, list_metrics
from tests.conftest import of_lists, read_only, tiny_sessions

KS = (1, 2, 4)
TRAIN = tiny_sessions()
N = len(TRAIN.vocab)
SETS = [{s for s in range(len(TRAIN)) if item in TRAIN[s]} for item in range(N)]
COUNTS = [TRAIN.items.tolist().count(item) for item in range(N)]

one_list = st.lists(st.integers(0, N - 1), max_size=4, unique=True)


def pad_lists(lists: list[list[int]]) -> np.ndarray:
    return read_only(np.array([[*own, *[-1] * (4 - len(own))] for own in lists], dtype=np.int32).reshape(-1, 4))


def slow_gini(counts: list[int]) -> float:
    """Half the mean difference of all pairs, over the mean."""
    if not sum(counts):
        return 0
    n = len(counts)
    return sum(abs(a - b) for a in counts for b in counts) / (2 * n * n) / (sum(counts) / n)


@given(st.lists(one_list, max_size=6))
def test_metrics_of_all_lists_equal_a_slow_reference(lists: list[list[int]]) -> None:
    result = aggregate_metrics(pad_lists(lists), TRAIN, KS, seed=0)
    assert set(result) == {f"{name}@{k}" for name in ("coverage", "gini", "diversity") for k in KS} - {"diversity@1"}
    for k in KS:
        shown = [i for own in lists for i in own[:k]]
        assert result[f"coverage@{k}"] == pytest.approx(len(set(shown)) / N)
        assert result[f"gini@{k}"] == pytest.approx(slow_gini([shown.count(i) for i in range(N)]), abs=1e-12)
        if k > 1:
            unlike = [
                np.mean([1 - len(SETS[a] & SETS[b]) / (len(SETS[a]) * len(SETS[b])) ** 0.5 for a, b in pairs])
                for pairs in (list(combinations(own[:k], 2)) for own in lists)
                if pairs
            ]
            expected = float(np.mean(unlike)) if unlike else float("nan")
            assert result[f"diversity@{k}"] == pytest.approx(expected, abs=1e-6, nan_ok=True)


@given(st.lists(one_list, max_size=6))
def test_metrics_of_each_list_equal_a_slow_reference(lists: list[list[int]]) -> None:
    result = list_metrics(pad_lists(lists), TRAIN, KS)
    assert set(result) == {f"{name}@{k}" for name in ("popularity", "novelty") for k in KS}
    for k in KS:
        for q, own in enumerate(lists):
            shown = own[:k]
            if not shown:
                assert isnan(result[f"popularity@{k}"][q]) and isnan(result[f"novelty@{k}"][q])
                continue
            share = sum(COUNTS[i] / max(COUNTS) for i in shown) / len(shown)
            assert result[f"popularity@{k}"][q] == pytest.approx(share)
            surprise = sum(-log2(COUNTS[i] / sum(COUNTS)) for i in shown) / len(shown)
            assert result[f"novelty@{k}"][q] == pytest.approx(surprise)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([3, 3, 3, 3], 0), ([0, 0, 0, 8], 3 / 4), ([0, 1], 1 / 2), ([5], 0), ([0, 0], 0), ([1, 3], 1 / 4)],
)
def test_gini_by_hand(counts: list[int], expected: float) -> None:
    assert gini(np.array(counts)) == pytest.approx(expected)


def test_items_of_the_same_sessions_are_not_diverse() -> None:
    """a and b always together, c never with them; repetitions in a session count once."""
    train = of_lists(["aabb", "ab", "c"])
    rows = train.vocab.rows(["a", "b", "c"]).tolist()
    for own, expected in (([rows[0], rows[1]], 0), ([rows[0], rows[2]], 1), (rows, 2 / 3)):
        lists = np.array([[*own, *[-1] * (3 - len(own))]])
        assert aggregate_metrics(lists, train, (3,), seed=0)["diversity@3"] == pytest.approx(expected, abs=1e-6)


def test_diversity_uses_a_seeded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLED_LISTS", 5)
    rng = np.random.default_rng(0)
    lists = np.stack([rng.permutation(N)[:4] for _ in range(50)])
    lists[::2, 1:] = -1  # without a pair
    drawn = [aggregate_metrics(lists, TRAIN, (4,), seed=seed)["diversity@4"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    monkeypatch.setattr(module, "BLOCK_ITEMS", 10)  # two lists at a time
    assert aggregate_metrics(lists, TRAIN, (4,), seed=1)["diversity@4"] == pytest.approx(drawn[0])
    monkeypatch.setattr(module, "SAMPLED_LISTS", 25)
    every = [aggregate_metrics(lists, TRAIN, (4,), seed=seed)["diversity@4"] for seed in (1, 2)]
    assert every[0] == pytest.approx(every[1])
