"""The map: principal components against a singular value decomposition, and UMAP if it is installed."""

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
def test_components_are_those_of_the_decomposition(metric: str) -> None:
    embeddings = some_embeddings(50, 6, metric, spread=0.5)
    rows = np.arange(10, 50)
    content, way = project_to_plane(embeddings, rows, "pca")
    vectors = embeddings.vectors[rows] if metric == "dot" else unit(embeddings.vectors[rows])
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    want = left[:, :2] * values[:2]
    want -= (want.max(axis=0) + want.min(axis=0)) / 2
    want /= np.abs(want).max()
    assert way == "principal components"
    for axis in range(2):
        assert min(np.abs(content[:, axis] - s * want[:, axis]).max() for s in (1, -1)) < 1e-5
    assert np.abs(content).max() == 1


@pytest.mark.parametrize(("n", "d"), [(1, 4), (5, 1), (2, 2)])
def test_small_ones_have_a_place(n: int, d: int) -> None:
    content, _ = project_to_plane(some_embeddings(n, d), np.arange(n), "pca")
    assert content.shape == (n, 2) and np.isfinite(content).all() and np.abs(content).max() <= 1


def test_umap_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_umap_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedrec.html_report.item_map.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(SettingsError, match=r"the map with umap needs the package umap; .*'embedrec\[umap\]'"):
        project_to_plane(some_embeddings(40, 4), np.arange(40), "umap")
    assert project_to_plane(some_embeddings(40, 4), np.arange(40))[1] == "principal components"
