"""Vectors on a plane: principal components, or UMAP where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import numpy as np

from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

Method = Literal["auto", "pca", "umap"]


def on_a_plane(
    embeddings: Embeddings, rows: np.ndarray, way: Method = "auto", *, seed: int = 0
) -> tuple[np.ndarray, str]:
    """Places (m, 2) float64 between −1 and 1 of the items in these rows (m,), and the way they were found.

    way  "pca", "umap", or "auto": UMAP (McInnes, Healy & Melville 2018) where it is installed

    Raises SettingsError where UMAP is asked for and not installed.
    """
    if way == "umap" and find_spec("umap") is None:
        raise SettingsError("UMAP is not installed; run `pip install umap-learn`, or take pca")
    vectors = embeddings.vectors[rows]
    vectors = (unit(vectors) if embeddings.metric == "cosine" else np.asarray(vectors)).astype(np.float64)
    if (way == "umap" or (way == "auto" and find_spec("umap") is not None)) and len(rows) > _FEW:
        places, name = _umap(vectors, seed), "UMAP"
    else:
        places, name = _components(vectors), "principal components"
    places = places - (places.max(axis=0) + places.min(axis=0)) / 2
    return places / max(float(np.abs(places).max()), 1e-12), name


_FEW = 15  # UMAP has so many neighbours


def _components(vectors: np.ndarray) -> np.ndarray:
    """The first two principal components (m, 2), each with the sign that makes its largest part positive."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    two = np.zeros((vectors.shape[1], 2))
    found = axes[:, ::-1][:, :2]  # the largest first
    two[:, : found.shape[1]] = found
    two *= np.sign(two[np.abs(two).argmax(axis=0), [0, 1]] + (two == 0).all(axis=0))
    return centred @ two


def _umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    from umap import UMAP

    places: np.ndarray = UMAP(metric="euclidean", random_state=seed % 2**32, n_jobs=1).fit_transform(vectors)
    return places.astype(np.float64)
