"""Project vectors to a plane: principal components, or UMAP if it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import numpy as np

from embedrec.errors import need_package
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

Method = Literal["auto", "pca", "umap"]


def project_to_plane(
    embeddings: Embeddings, rows: np.ndarray, method: Method = "auto", *, seed: int = 0
) -> tuple[np.ndarray, str]:
    """Positions (m, 2) float64 between −1 and 1 of the items in these rows (m,), and the name of the method used.

    method  "pca", "umap", or "auto": UMAP (McInnes, Healy & Melville 2018) if it is installed

    Raises SettingsError for "umap" if it is not installed.
    """
    if method == "umap":
        need_package("umap", "the map with umap")
    vectors = embeddings.vectors[rows]
    vectors = (unit(vectors) if embeddings.metric == "cosine" else np.asarray(vectors)).astype(np.float64)
    if (method == "umap" or (method == "auto" and find_spec("umap") is not None)) and len(rows) > _UMAP_NEIGHBOURS:
        positions, name = _umap(vectors, seed), "UMAP"
    else:
        positions, name = _components(vectors), "principal components"
    positions = positions - (positions.max(axis=0) + positions.min(axis=0)) / 2
    return positions / max(float(np.abs(positions).max()), 1e-12), name


_UMAP_NEIGHBOURS = 15  # the default of UMAP, which needs more items than that


def _components(vectors: np.ndarray) -> np.ndarray:
    """The first two principal components (m, 2), each with the sign that makes its largest loading positive."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    components = np.zeros((vectors.shape[1], 2))
    largest = axes[:, ::-1][:, :2]  # by eigenvalue, descending
    components[:, : largest.shape[1]] = largest
    components *= np.sign(components[np.abs(components).argmax(axis=0), [0, 1]] + (components == 0).all(axis=0))
    return centred @ components


def _umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    from umap import UMAP

    positions: np.ndarray = UMAP(metric="euclidean", random_state=seed % 2**32, n_jobs=1).fit_transform(vectors)
    return positions.astype(np.float64)
