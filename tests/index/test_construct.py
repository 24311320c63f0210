"""FAISS indexes filled with embeddings: augmented vectors, padding, progress."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.index.build import build_index
from embedrec.index.construct import construct_index, largest_norm, stored_vectors
from embedrec.index.index_types import INDEXES
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings


def test_only_cells_of_dot_products_have_augmented_vectors() -> None:
    augmented = {(t, m): build_index(some_embeddings(50, metric=m), t).augmented for t in INDEXES for m in METRICS}
    cells = {"ivf", "ivf-sq8", "ivfpq", "opq", "fastscan"}
    assert {key for key, value in augmented.items() if value} == {(t, "dot") for t in cells}
    assert build_index(some_embeddings(50, metric="dot"), "PCA4,IVF2,Flat").augmented
    assert not build_index(some_embeddings(50, metric="dot"), "HNSW16").augmented


def test_augmented_vectors_are_padded_to_equal_parts_of_product_quantizers() -> None:
    assert build_index(some_embeddings(700, 8, "dot"), "IVF4,PQ4x4np").spec == "Pad12,IVF4,PQ4x4np"
    assert build_index(some_embeddings(700, 8, "l2"), "IVF4,PQ4x4np").spec == "IVF4,PQ4x4np"


def test_progress_is_reported() -> None:
    reports: list[tuple[str, int, int]] = []
    build_index(some_embeddings(70), "flat", report=lambda event, **n: reports.append((event, n["done"], n["total"])))
    assert reports == [("progress", 70, 70)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [slice(3, 9), np.array([8, 0, 8])], ids=["slice", "rows"])
def test_stored_vectors_are_normalized_for_cosine_and_augmented_for_dot(metric: str, rows: slice | np.ndarray) -> None:
    given = some_embeddings(20, 5, metric, spread=0.5)
    vectors = given.vectors[rows].astype(np.float64)
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors
    np.testing.assert_allclose(stored_vectors(given, False, 0.0)(rows), expected, rtol=1e-6)
    if metric == "dot":
        longest = largest_norm(given.vectors)
        augmented = stored_vectors(given, True, longest)(rows)
        np.testing.assert_allclose(augmented[:, :-1], vectors / longest, rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(augmented, axis=1), 1, rtol=1e-6)
        assert augmented.dtype == np.float32


@pytest.mark.parametrize(
    ("vectors", "norm"), [([[3, 4], [0, 1]], 5.0), ([[0, 0]], 1.0), ([], 1.0), ([[1e30, 0]], 1e30)]
)
def test_the_largest_norm_is_that_of_the_longest_vector(vectors: list[list[float]], norm: float) -> None:
    assert largest_norm(np.array(vectors, dtype=np.float32).reshape(-1, 2)) == pytest.approx(norm)


def test_given_centroids_are_used_if_their_number_fits() -> None:
    given = some_embeddings(400, 4)
    centroids = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0].astype(np.float32)
    index = construct_index(given, "IVF4,Flat", centroids=centroids)
    np.testing.assert_array_equal(index.faiss.quantizer.reconstruct_n(0, 4), centroids)
    other = construct_index(given, "IVF5,Flat", centroids=centroids)
    assert other.faiss.quantizer.ntotal == 5


def test_no_vectors_are_refused() -> None:
    with pytest.raises(SettingsError) as error:
        construct_index(some_embeddings(0), "flat")
    assert str(error.value) == "there are no vectors to index; train on sessions with items"
