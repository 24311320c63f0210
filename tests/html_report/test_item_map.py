"""The map: principal components equal a singular value decomposition, and UMAP is used if installed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.html_report.item_map import project_to_plane
from embedrec.vectors.exact_search import unit
from tests.conftest import some_embeddings


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_components_equal_a_singular_value_decomposition(metric: str) -> None:
    embeddings = some_embeddings(50, 6, metric, spread=0.5)
    rows = np.arange(10, 50)
    content, method = project_to_plane(embeddings, rows, "pca")
    vectors = embeddings.vectors[rows] if metric == "dot" else unit(embeddings.vectors[rows])
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    expected -= (expected.max(axis=0) + expected.min(axis=0)) / 2
    expected /= np.abs(expected).max()
    assert method == "principal components"
    for axis in range(2):
        assert min(np.abs(content[:, axis] - s * expected[:, axis]).max() for s in (1, -1)) < 1e-5
    assert np.abs(content).max() == 1


@pytest.mark.parametrize(("n", "d"), [(1, 4), (5, 1), (2, 2)])
def test_small_catalogues_have_finite_coordinates(n: int, d: int) -> None:
    content, _ = project_to_plane(some_embeddings(n, d), np.arange(n), "pca")
    assert content.shape == (n, 2) and np.isfinite(content).all() and np.abs(content).max() <= 1


def test_umap_is_used_if_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    class UMAP:
        def __init__(self, **given: Any) -> None:
            assert given == {"metric": "euclidean", "random_state": 3, "n_jobs": 1}

        def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
            return vectors[:, :2].astype(np.float32)

    module = ModuleType("umap")
    module.UMAP = UMAP  # type: ignore[attr-defined]
    module.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "umap", module)
    embeddings = some_embeddings(40, 4)
    assert project_to_plane(embeddings, np.arange(40), seed=2**32 + 3)[1] == "UMAP"  # its seeds have 32 bits
    assert project_to_plane(embeddings, np.arange(40), "pca")[1] == "principal components"
    assert project_to_plane(embeddings, np.arange(8), seed=3)[1] == "principal components"  # too few


def test_missing_umap_is_an_error_if_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedrec.html_report.item_map.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(SettingsError, match=r"the map with umap needs the package umap; .*'embedrec\[umap\]'"):
        project_to_plane(some_embeddings(40, 4), np.arange(40), "umap")
    assert project_to_plane(some_embeddings(40, 4), np.arange(40))[1] == "principal components"
