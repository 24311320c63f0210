"""Vectors of another training rotated into the space of a reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS, unit
from embedrec.vectors.procrustes import align_embeddings, common_rows, compose, fit_rotation, rotate
from tests.conftest import some_embeddings


def turn(d: int, seed: int = 1) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def rotated(embeddings: Embeddings) -> Embeddings:
    vectors = (embeddings.vectors @ turn(embeddings.dim)).astype(np.float32)
    return Embeddings(vectors, embeddings.vocab, embeddings.metric)


def some(rows: Any, embeddings: Embeddings) -> Embeddings:
    return Embeddings(embeddings.vectors[rows], embeddings.vocab.take(np.asarray(rows)), embeddings.metric)


@pytest.mark.parametrize("metric", METRICS)
def test_a_rotation_is_undone_by_the_common_items(metric: str) -> None:
    """A rotation is undone, by the common items alone; among themselves vectors stay as they are."""
    old = some_embeddings(80, 6, metric, spread=0.4)
    new = rotated(old)
    back, fit = align_embeddings(some(np.arange(40, 80), new), old)
    np.testing.assert_allclose(back.vectors, old.vectors[40:], atol=2e-5)
    assert fit.mean == pytest.approx(1) and fit.low == pytest.approx(1) and fit.common == 40
    assert fit.numbers == {"common": 40, "mean": 1.0, "median": 1.0, "low": 1.0}
    noisy = Embeddings(new.vectors + 0.3 * some_embeddings(80, 6, seed=9).vectors, old.vocab, old.metric)
    aligned, fit = align_embeddings(noisy, old)
    assert 0.8 < fit.low < fit.median < 0.99
    np.testing.assert_allclose(aligned.vectors @ aligned.vectors.T, noisy.vectors @ noisy.vectors.T, atol=1e-3)


def test_vectors_without_a_common_space_are_refused() -> None:
    old = some_embeddings(20, 6)
    with pytest.raises(SettingsError, match="the vectors have 5 dimensions, but the space has 6; train with dim=6"):
        align_embeddings(some_embeddings(20, 5), old)
    with pytest.raises(SettingsError, match="5 common items do not determine a rotation in 6 dimensions; add vectors"):
        align_embeddings(some(np.arange(5), old), old)
    strange = Embeddings(old.vectors, Vocab([f"x{i}" for i in range(20)]))
    with pytest.raises(SettingsError, match="0 common items"):
        align_embeddings(strange, old)


@given(st.integers(0, 1000), st.integers(1, 6), st.sampled_from(METRICS))
def test_no_rotation_brings_the_items_closer(seed: int, rank: int, metric: Any) -> None:
    """Against random rotations and small turns of the fitted one; references of every rank."""
    random = np.random.default_rng(seed)
    vectors, flat = random.normal(size=(30, 6)), random.normal(size=(rank, 6))
    old = Embeddings(random.normal(size=(30, rank)) @ flat, Vocab(np.arange(30)), metric)
    new = Embeddings(old.vectors @ turn(6, seed) + 0.2 * vectors, old.vocab, metric)
    weights = random.integers(0, 9, 30).astype(float)
    a, b = (new.vectors, old.vectors) if metric == "l2" else (unit(new.vectors), unit(old.vectors))
    rotation = fit_rotation(new, old, weights).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(6), atol=1e-9)

    def error(matrix: np.ndarray) -> float:
        return float((weights * ((a @ matrix - b) ** 2).sum(1)).sum())

    least = error(rotation)
    for other in range(5):
        skew = random.normal(size=(6, 6)) * 0.05
        small = np.linalg.qr(np.eye(6) + skew - skew.T)[0]
        for matrix in (turn(6, 7 * other), rotation @ small):
            assert error(matrix) >= least - 1e-6


def test_fewer_items_than_dimensions_suffice_if_they_span_the_reference() -> None:
    """Directions in which the reference has nothing stay nearly where they are."""
    old = some_embeddings(4, 8, spread=0.5)
    more = Embeddings(np.vstack([old.vectors, np.eye(8)]), Vocab([*old.vocab.ids, *map(str, range(8))]))
    back, fit = align_embeddings(rotated(more), old)
    np.testing.assert_allclose(back.vectors[:4], old.vectors, atol=1e-5)
    np.testing.assert_allclose(back.vectors @ back.vectors.T, more.vectors @ more.vectors.T, atol=1e-5)
    assert fit.common == 4 and fit.mean == pytest.approx(1)
    same = fit_rotation(more, old).rotation
    np.testing.assert_allclose(same, np.eye(8), atol=1e-6)  # nothing has to move
    with pytest.raises(SettingsError, match="4 common items do not determine"):
        align_embeddings(old, more)


def test_weights_decide_between_items_that_contradict_each_other() -> None:
    old = some_embeddings(40, 4, spread=0.6)
    vectors = old.vectors.copy()
    vectors[:20] = vectors[:20] @ turn(4, 1)
    vectors[20:] = vectors[20:] @ turn(4, 2)
    weights = np.where(np.arange(40) < 20, 1, 1e9)
    back, _ = align_embeddings(Embeddings(vectors, old.vocab), old, weights)
    np.testing.assert_allclose(back.vectors[20:], old.vectors[20:], atol=1e-4)
    assert np.abs(back.vectors[:20] - old.vectors[:20]).max() > 0.1


def test_items_without_a_vector_do_not_count() -> None:
    old = some_embeddings(20, 3, spread=0.6)
    vectors = rotated(old).vectors.copy()
    vectors[:5] = 0
    fit = fit_rotation(Embeddings(vectors, old.vocab), old)
    assert fit.common == 15 and fit.low == pytest.approx(1)


def test_types_of_ids_may_differ() -> None:
    numbers = Embeddings(np.eye(3), Vocab([5, 6, 7]))
    texts = Embeddings(np.eye(4)[:, :3] + 0.1, Vocab(["7", "x", "5", "6"]))
    rows, others = common_rows(numbers, texts)
    assert rows.tolist() == [2, 0, 1] and others.tolist() == [0, 2, 3]


def test_composed_rotations() -> None:
    first, second = turn(5, 1), turn(5, 2)
    both = compose(first.astype(np.float32), second)
    vectors = some_embeddings(7, 5).vectors
    np.testing.assert_allclose(rotate(vectors, both), rotate(rotate(vectors, first), second), atol=1e-6)
    assert both.dtype == np.float32
    chain = np.eye(5, dtype=np.float32)
    for _ in range(200):
        chain = compose(chain, first)
    np.testing.assert_allclose(chain @ chain.T, np.eye(5), atol=1e-6)
