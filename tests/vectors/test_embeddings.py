from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import embedrec.vectors.exact_search as module
from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS, exact_keys, unit
from tests.conftest import read_only, slow_nearest, slow_scores, some_embeddings

few = st.sampled_from([0.0, 0.5, -1.0, 2.0])  # exact in float32, and so few that vectors repeat
matrices = st.tuples(st.integers(1, 30), st.integers(1, 3), st.integers(0, 5)).flatmap(
    lambda s: st.tuples(
        hnp.arrays(np.float32, (s[0], s[1]), elements=few), hnp.arrays(np.float32, (s[2], s[1]), elements=few)
    )
)


@pytest.mark.parametrize("metric", METRICS)
@given(matrices, st.data())
def test_search_equals_a_slow_search_with_ties(metric: str, drawn: tuple, data: st.DataObject) -> None:
    vectors, queries = map(read_only, drawn)
    k = data.draw(st.integers(1, len(vectors)))
    results = Embeddings(vectors, Vocab(np.arange(len(vectors))), metric).search(queries, k)  # type: ignore[arg-type]
    assert results.rows.shape == (len(queries), k)
    for q, query in enumerate(queries):
        slow = np.array(slow_scores(vectors, query, metric))
        np.testing.assert_allclose(results.scores[q], slow[results.rows[q]], rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(results.scores[q], np.sort(slow)[::-1][:k], rtol=1e-6, atol=2e-6)
        assert len(set(results.rows[q])) == k
        rounded = metric == "cosine" or (metric == "l2" and (vectors.sum(axis=0) * 64 % len(vectors)).any())
        if not rounded:  # ties are ties
            assert results.rows[q].tolist() == slow_nearest(vectors, query, metric, k)


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_of_queries_do_not_change_results(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = some_embeddings(200, metric=metric, spread=1)
    whole = embeddings.search(embeddings.vectors, 7)
    monkeypatch.setattr(module, "BLOCK_SCORES", 200 * 3)
    parts = embeddings.search(embeddings.vectors, 7)
    assert (whole.rows == parts.rows).all()
    np.testing.assert_allclose(whole.scores, parts.scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@given(matrices)
def test_exact_keys_do_not_depend_on_other_queries_and_rows(metric: str, drawn: tuple) -> None:
    vectors, queries = drawn
    rows = np.tile(np.arange(len(vectors)), (len(queries), 1))
    scores = exact_keys(vectors, queries, rows, metric)  # type: ignore[arg-type]
    assert scores.dtype == np.float64 and (scores == scores.astype(np.float32)).all()
    for q, query in enumerate(queries):
        np.testing.assert_allclose(scores[q], slow_scores(vectors, query, metric), rtol=1e-6, atol=1e-7)
        for row in range(len(vectors)):
            alone = exact_keys(vectors, query[None], np.array([[row]]), metric)  # type: ignore[arg-type]
            assert alone[0, 0] == scores[q, row]


def test_blocks_do_not_change_exact_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = some_embeddings(50, 33, spread=2)
    rows = np.random.default_rng(1).integers(-1, 50, (40, 9))
    whole = exact_keys(embeddings.vectors, embeddings.vectors[:40], rows, "cosine")
    monkeypatch.setattr(module, "GATHERED_NUMBERS", 1)
    assert (exact_keys(embeddings.vectors, embeddings.vectors[:40], rows, "cosine") == whole).all()


def test_an_item_has_cosine_one_with_itself() -> None:
    embeddings = some_embeddings(300, 64, spread=3)
    rows = np.arange(300)[:, None]
    assert (exact_keys(embeddings.vectors, embeddings.vectors, rows, "cosine") == 1).all()
    assert (exact_keys(embeddings.vectors, embeddings.vectors, rows, "l2") == 0).all()


def test_distances_far_from_the_origin_are_exact() -> None:
    near = some_embeddings(100, 16, "l2").vectors
    far = Embeddings(near + np.float32(1000), Vocab(np.arange(100)), "l2")
    for q, row in enumerate(far.search(far.vectors, 5).rows):
        assert row.tolist() == slow_nearest(far.vectors, far.vectors[q], "l2", 5)


@given(hnp.arrays(np.float32, (5, 3), elements=st.floats(-(2.0**60), 2.0**60, width=32)))
def test_unit_normalizes_rows(vectors: np.ndarray) -> None:
    before = vectors.copy()
    scaled = unit(read_only(vectors))
    assert (vectors == before).all() and scaled.dtype == np.float32
    lengths = np.linalg.norm(scaled.astype(np.float64), axis=1)
    zero = (vectors == 0).all(axis=1)
    np.testing.assert_allclose(lengths[~zero], 1, rtol=1e-6)
    assert (scaled[zero] == 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e-10, 1e10, 1e17])
def test_vectors_of_extreme_norms_are_found(metric: str, size: float) -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32) * np.float32(size)
    results = Embeddings(vectors, Vocab(["a", "b", "c"]), metric).search(vectors, 1)  # type: ignore[arg-type]
    if metric == "cosine" or size > 1e-20:  # below, squares vanish and everything ties
        assert results.ids() == [["a"], ["b"], ["c"]]
    assert np.isfinite(results.scores).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_with_nan_or_infinity_are_refused(bad: float) -> None:
    vectors = np.ones((3, 2))
    vectors[1, 1] = bad
    with pytest.raises(DataError, match="1 of 3 vectors contain NaN or infinity, the first is that of 'b'"):
        Embeddings(vectors, Vocab(["a", "b", "c"]))
    with pytest.raises(DataError, match="queries contain NaN, infinity"):
        some_embeddings(d=2).search(vectors, 1)


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_with_too_large_norms_are_refused(metric: str) -> None:
    with pytest.raises(DataError, match="1 of 2 vectors have a norm above 2e18, the first is that of 'b'"):
        Embeddings(np.array([[1, 2], [3e38, 0]]), Vocab(["a", "b"]), metric)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="contain NaN or infinity"):
        Embeddings(np.array([[1, 2], [1e300, 0]]), Vocab(["a", "b"]), metric)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="norm above 2e18"):
        some_embeddings(d=2, metric=metric).search(np.array([[1e30, 0]]), 1)


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3,), (3, 0), (3, 2, 2), ()])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"vectors must have shape \(3, d\)"):
        Embeddings(np.ones(shape), Vocab(["a", "b", "c"]))


def test_unknown_metrics_are_refused() -> None:
    with pytest.raises(SettingsError, match="metric must be one of cosine, dot, l2, but is 'manhattan'"):
        Embeddings(np.ones((1, 1)), Vocab(["a"]), "manhattan")  # type: ignore[arg-type]


def test_wrong_k_and_queries_are_refused(embeddings: Embeddings) -> None:
    for k in (0, -1, 61):
        with pytest.raises(SettingsError, match=f"k must be between 1 and 60, the number of items, but is {k}"):
            embeddings.search(embeddings.vectors, k)
    for shape in ((1, 7), (8,), (1, 1, 8)):
        with pytest.raises(SettingsError, match=r"queries must have shape \(q, 8\)"):
            embeddings.search(np.ones(shape), 1)


def test_empty_embeddings_have_no_results() -> None:
    empty = Embeddings(np.empty((0, 3)), Vocab([]))
    assert (len(empty), empty.dim) == (0, 3)
    with pytest.raises(SettingsError, match="k must be between 1 and 0, the number of items"):
        empty.search(np.ones((1, 3)), 1)
    assert len(some_embeddings().search(np.empty((0, 8)), 3)) == 0


def test_other_types_become_float32() -> None:
    for dtype in (np.float64, np.float16, np.int64):
        made = Embeddings(np.ones((2, 3), dtype=dtype), Vocab(["a", "b"]))
        assert made.vectors.dtype == np.float32
        assert made.search(np.ones((1, 3), dtype=dtype), 2).ids() == [["a", "b"]]
