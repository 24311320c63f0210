"""Exact search against a twin that scores every vector in float64, where float32 loses its digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec.vectors.exact_search as module
from embedrec.data import Vocab
from embedrec.data.topk import TopK, sort_by_keys
from embedrec.index import exact_results
from embedrec.index.build import build_index
from embedrec.index.gpu import GpuExactSearch
from embedrec.index.index import Index
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS, exact_keys, exact_search, round_keys
from tests.conftest import read_only

SIZES = [1e-44, 1e-38, 1e-30, 1e-20, 1.0, 1e10, 1e15, 3e17]


def twin(given: Embeddings, queries: np.ndarray, k: int) -> TopK:
    """The k best of all rows, every one scored in float64 and rounded to 24 bits, ties by lower row."""
    rows = np.tile(np.arange(len(given)), (len(queries), 1))
    return sort_by_keys(rows, exact_keys(given.vectors, queries, rows, given.metric), given.vocab).first(k)


def same(results: TopK, expected: TopK) -> bool:
    return bool((results.rows == expected.rows).all() and (results.scores == expected.scores).all())


def hard(name: str, n: int = 400, d: int = 16) -> np.ndarray:
    """Vectors (n, d) float32 at which a product in float32 says too little."""
    rng = np.random.default_rng(3)
    normal, half = rng.normal(size=(n, d)), np.arange(n)[:, None] % 2 == 0
    centres = rng.uniform(0, 8e5, size=(10, d))
    vectors = {
        "metres": lambda: centres[rng.integers(0, 10, n)] + rng.normal(scale=200, size=(n, d)),
        "far": lambda: normal + 1e4,
        "one far corner": lambda: np.where(np.arange(n)[:, None] == 7, 1e17, normal),
        "mixed": lambda: normal * 10.0 ** rng.uniform(-30, 17, size=(n, 1)),
        "mixed columns": lambda: normal * 10.0 ** np.linspace(-20, 15, d),
        "copies": lambda: np.repeat(normal[:20], n // 20, axis=0),
        "nearly parallel": lambda: 1e-5 * normal + 1,
        "half zeros": lambda: np.where(half, 0, normal),
        "opposite": lambda: np.where(half, 1e15, -1e15) * np.eye(d)[0] + normal,
        **{f"size {size:g}": lambda size=size: normal * size for size in SIZES},
    }
    return read_only(vectors[name]().astype(np.float32))


HARD = ["metres", "far", "one far corner", "mixed", "mixed columns", "copies", "nearly parallel", "half zeros"]
HARD += ["opposite", *(f"size {size:g}" for size in SIZES)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", HARD)
def test_every_exact_search_is_exact_for_hard_vectors(name: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 150)
    vectors = hard(name)
    given = Embeddings(vectors, Vocab(np.arange(len(vectors))), metric)  # type: ignore[arg-type]
    queries = vectors[::13]
    expected = twin(given, queries, 20)
    assert same(given.search(queries, 20), expected)
    assert same(GpuExactSearch.of(given, "cpu").search(queries, 20), expected)
    index = build_index(given, "flat")
    assert index.measurements["recall@20"] == 1
    for by_product in (True, False):
        monkeypatch.setattr(exact_results, "prefers_matmul", lambda queries, n, answer=by_product: answer)
        assert same(index.search(queries, 20), expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", HARD)
def test_filtered_search_is_exact_for_hard_vectors(name: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedrec.index.filtered_search.SMALL_COUNT", 10)
    vectors = hard(name)
    given = Embeddings(vectors, Vocab(np.arange(len(vectors))), metric)  # type: ignore[arg-type]
    allowed, queries = np.flatnonzero(np.arange(len(vectors)) % 3), vectors[::40]
    part = Embeddings(vectors[allowed], Vocab(allowed), metric)  # type: ignore[arg-type]
    slow = twin(part, queries, 9)
    expected = TopK(allowed[slow.rows], slow.scores, given.vocab)
    index = build_index(given, "flat")
    for source in (given, GpuExactSearch.of(given, "cpu"), index):
        assert same(source.search(queries, 9, allowed=allowed), expected)
    monkeypatch.setattr(exact_results, "prefers_matmul", lambda queries, n: False)
    assert same(index.search(queries, 9, allowed=allowed), expected)


numbers = st.sampled_from([0.0, 1.0, -1.0, 1.0000001, 3.0, 0.1, -7.7])


@pytest.mark.parametrize("metric", METRICS)
@given(data=st.data())
def test_exact_search_equals_a_slow_search(metric: str, data: st.DataObject) -> None:
    n, d, q = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 9)), data.draw(st.integers(0, 4))
    draw = np.array(data.draw(st.lists(numbers, min_size=(n + q) * d, max_size=(n + q) * d))).reshape(n + q, d)
    exponents = data.draw(st.lists(st.sampled_from([-44, -22, 0, 8, 17]), min_size=n + q, max_size=n + q))
    shift = data.draw(st.sampled_from([0.0, 1e-20, 1e4, 1e6, 1e17]))
    vectors = (draw * 10.0 ** np.array(exponents, dtype=float)[:, None] + shift).astype(np.float32)
    k = data.draw(st.integers(1, n))
    given = Embeddings(vectors[:n], Vocab(np.arange(n)), metric)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ROWS", 7)
        patch.setattr(module, "BLOCK_SCORES", 14)
        patch.setattr(module, "SPARE_CANDIDATES", 1)
        results = exact_search(given.vectors, vectors[n:], k, given.metric, given.vocab)
    assert same(results, twin(given, vectors[n:], k))


def test_certain_results_are_not_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("an answer was in doubt")

    monkeypatch.setattr("embedrec.kernels.rescore.rescan", never)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 32)).astype(np.float32)
    for metric in METRICS:
        given = Embeddings(vectors, Vocab(np.arange(3000)), metric)  # type: ignore[arg-type]
        assert same(given.search(vectors[:50], 20), twin(given, vectors[:50], 20))


def test_keys_are_rounded_to_float32_without_underflow() -> None:
    numbers = np.array([1 + 2.0**-30, -3.3, 0.0, 1e-44 * (1 + 2.0**-30), 2e-90, -np.inf, 1e37])
    keys = round_keys(numbers)
    assert keys[0] == 1 and keys[2] == 0 and keys[5] == -np.inf
    np.testing.assert_allclose(keys[[1, 3, 4, 6]], numbers[[1, 3, 4, 6]], rtol=6e-8)


def test_an_index_of_coordinates_in_metres_has_high_recall() -> None:
    given = Embeddings(hard("metres", 2000, 2), Vocab(np.arange(2000)), "l2")
    index: Index = build_index(given)
    assert index.measurements["recall_low"] >= 0.99
