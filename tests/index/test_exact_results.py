"""Exact results from candidates."""

from __future__ import annotations

import sys

import faiss
import numpy as np
import pytest

from embedrec.data.topk import sort_by_keys
from embedrec.index import exact_results as scoring
from embedrec.index.exact_results import replace_results, score_keys, search_exact, search_verified
from embedrec.vectors.exact_search import METRICS, exact_keys
from tests.conftest import some_embeddings


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SERIAL_CANDIDATES", 10)
    given = some_embeddings(50, 5)
    rows = np.tile(np.arange(50), (31, 1))
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        result = scoring.rescore(given.vectors, given.vectors[:31], rows, 9, "cosine", given.vocab)
        none = scoring.rescore(given.vectors, given.vectors[:0], rows[:0], 9, "cosine", given.vocab)
    finally:
        faiss.omp_set_num_threads(before)
    expected = given.search(given.vectors[:31], 9)
    assert (result.rows == expected.rows).all() and none.rows.shape == (0, 9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("loaded", [True, False], ids=["kernel", "numpy"])
def test_keys_have_the_same_bits_whether_numba_is_loaded_or_not(
    metric: str, loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = some_embeddings(40, 9, metric, spread=1.0)
    rows = np.random.default_rng(0).integers(-1, 40, (12, 7))
    expected = np.where(rows < 0, -np.inf, exact_keys(given.vectors, given.vectors[:12], rows, given.metric))
    if loaded:
        import numba  # noqa: F401
    else:
        monkeypatch.delitem(sys.modules, "numba", raising=False)
        monkeypatch.setattr(scoring._NumpyBudget, "left", 1000)
    result = score_keys(given.vectors, given.vectors[:12], rows, given.metric)
    assert (result == expected).all() and result.dtype == np.float64
    top = scoring.rescore(given.vectors, given.vectors[:12], rows, 5, given.metric, given.vocab)
    ordered = sort_by_keys(rows, expected, given.vocab).first(5)
    assert (top.rows == ordered.rows).all() and (top.scores == ordered.scores).all()


def test_numpy_scores_the_first_candidates_of_a_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    given = some_embeddings(40, 9, "cosine", spread=1.0)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr(scoring._NumpyBudget, "left", 20)
    monkeypatch.setattr(scoring, "exact_keys", lambda *args: scored.append(args[2].size) or exact_keys(*args))
    rows = np.arange(12).reshape(2, 6)
    first, second = (
        scoring.rescore(given.vectors, given.vectors[:2], rows, 3, given.metric, given.vocab) for _ in range(2)
    )
    assert scored == [12]
    assert (first.rows == second.rows).all() and (first.scores == second.scores).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("subset", [None, np.arange(1, 60, 3)])
def test_a_search_that_misses_results_is_replaced_by_an_exact_one(metric: str, subset: np.ndarray | None) -> None:
    given = some_embeddings(60, 6, metric, spread=0.5)
    queries, valid = given.vectors[:9], np.arange(60) if subset is None else subset
    expected = search_exact(given, queries, 4, subset)
    calls: list[int] = []

    def first_rows(prepared: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The lowest rows for every query, with a score that leaves it open what is missing."""
        calls.append(count)
        rows = np.tile(valid[:count], (len(prepared), 1))
        return rows, np.full(rows.shape, expected.scores.max() + 1, dtype=np.float32)

    results = search_verified(given, queries, 4, subset, queries, first_rows, 6)
    assert calls == [6]
    assert (results.rows == expected.rows).all() and (results.scores == expected.scores).all()
    assert set(results.rows.ravel()) <= set(valid.tolist())


def test_only_uncertain_results_are_replaced() -> None:
    given = some_embeddings(30, 4)
    exact = given.search(given.vectors[:5], 3)
    worse = given.search(-given.vectors[:5], 3)
    assert replace_results(worse, given, given.vectors[:5], np.empty(0, dtype=np.int64), None) is worse
    mixed = replace_results(worse, given, given.vectors[:5], np.array([1, 4]), None)
    for query in range(5):
        expected = exact if query in (1, 4) else worse
        assert (mixed.rows[query] == expected.rows[query]).all()
        assert (mixed.scores[query] == expected.scores[query]).all()


@pytest.mark.parametrize(("queries", "n", "expected"), [(15, 10**9, False), (16, 10**9, True), (16, 10, False)])
def test_a_matrix_product_needs_queries_and_pairs(
    queries: int, n: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    assert scoring.prefers_matmul(queries, n) == expected
    monkeypatch.setitem(sys.modules, "numba", sys)  # the kernels are loaded already
    assert scoring.prefers_matmul(queries, n) == (queries >= 16)
