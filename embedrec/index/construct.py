"""Fill a FAISS index with embeddings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import faiss
import numpy as np

from embedrec.errors import SettingsError
from embedrec.index.build_settings import Encode
from embedrec.index.hnsw_build import LEAF, is_graph, link_vectors, local_order
from embedrec.index.index import Index
from embedrec.index.index_types import factory_string
from embedrec.index.on_disk_ivf import (
    build_on_disk,
    can_stream,
    check_on_disk,
    fits_in_memory,
    max_training_vectors,
)
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit
from embedrec.vectors.faiss_factory import create_index, fill, train
from embedrec.vectors.faiss_structure import innermost


def construct_index(
    embeddings: Embeddings,
    kind: str,
    *,
    centroids: np.ndarray | None = None,
    seed: int = 0,
    memory: MemoryBudget = IN_MEMORY,
    report: Report = quiet,
    encode: Encode | None = None,
) -> Index:
    """An index of the embeddings, neither tuned nor measured.

    centroids  (c, d) of an IVF index of the same embeddings; used if the number of cells is the same
    memory     under a budget, an index that does not fit is written to a file in its folder, see `on_disk_ivf`
    encode     see `BuildSettings`

    Raises SettingsError without vectors, for an unknown type or one that needs more vectors, and for one that does not
    fit into the budget; DataError if the disk is full.
    """
    n, d = len(embeddings), embeddings.dim
    if not n:
        raise SettingsError("there are no vectors to index; train on sessions with items")
    spec = factory_string(kind, n, d)
    index = create_index(spec, d, embeddings.metric)
    augmented = embeddings.metric == "dot" and isinstance(innermost(index), faiss.IndexIVF)
    if augmented:
        spec, index = _augmented_index(factory_string(kind, n, d + 1), d)
    if centroids is not None and len(centroids) != getattr(innermost(index), "nlist", 0):
        centroids = None
    max_norm = largest_norm(embeddings.vectors) if augmented else 0.0
    vectors, rows = stored_vectors(embeddings, augmented, max_norm), None
    max_training = max_training_vectors(index, memory)
    if encode is not None or not fits_in_memory(index, n, memory):
        if encode is not None and not can_stream(index):
            raise SettingsError(f"{spec} is built by one machine; choose ivf, ivf-sq8 or ivfpq, or leave --engine out")
        check_on_disk(index, spec, n, memory)
        train(index, spec, n, vectors, max_training=max_training, centroids=centroids, seed=seed)
        encoder = None if encode is None else encode(index, augmented, max_norm)
        mapped, file = build_on_disk(index, n, vectors, memory, report, encoder)
        return Index(embeddings, spec, mapped, augmented, max_norm=max_norm, file=file)
    if not is_graph(index):
        train(index, spec, n, vectors, max_training=max_training, centroids=centroids, seed=seed)
        fill(index, spec, n, vectors, report)
        return Index(embeddings, spec, index, augmented, max_norm=max_norm)
    if n > LEAF:
        rows = local_order(vectors, n, seed)
        vectors = partial(_reordered, vectors, rows)
    train(index, spec, n, vectors, max_training=max_training, seed=seed)
    link_vectors(index, n, vectors, seed=seed, report=report)
    return Index(embeddings, spec, index, augmented, rows=rows, max_norm=max_norm)


def _reordered(vectors: Callable[[Any], np.ndarray], order: np.ndarray, subset: Any) -> np.ndarray:
    return vectors(order[subset])


def _augmented_index(spec: str, d: int) -> tuple[str, Any]:
    """An index of d + 1 dimensions, padded further where product quantisation needs a multiple."""
    for width in range(d + 1, 2 * d + 1):
        padded = spec if width == d + 1 else f"Pad{width},{spec}"
        with suppress(SettingsError):
            return padded, create_index(padded, d + 1, "l2")
    return spec, create_index(spec, d + 1, "l2")


def stored_vectors(embeddings: Embeddings, augmented: bool, max_norm: float) -> Callable[[Any], np.ndarray]:
    """A function of rows (m,) or a slice that returns their vectors as FAISS stores them: (m, d), or (m, d + 1) if
    augmented.

    max_norm  the divisor of augmented vectors, at least the largest norm
    """
    vectors = embeddings.vectors
    if embeddings.metric == "cosine":
        return lambda rows: unit(vectors[rows])
    if not augmented:
        return lambda rows: vectors[rows]

    def augment(rows: Any) -> np.ndarray:
        raw = vectors[rows]
        squares = np.einsum("ij,ij->i", raw, raw, dtype=np.float64) / max_norm**2
        return np.hstack([raw / max_norm, np.sqrt(np.maximum(1 - squares, 0))[:, None]]).astype(np.float32)

    return augment


def largest_norm(vectors: np.ndarray) -> float:
    """The largest norm of vectors (m, d); 1 if all are 0 or there are none."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return float(np.sqrt(squares.max(initial=0.0))) or 1.0
