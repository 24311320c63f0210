"""A FAISS index of embeddings: what FAISS gets of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import faiss
import numpy as np

from embedrec.errors import SettingsError
from embedrec.index.hnsw_build import LEAF, link, linkable, local_order
from embedrec.index.index import Index
from embedrec.index.index_types import factory_string
from embedrec.index.on_disk_ivf import check_streams, fits, most_trained, streamed
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit
from embedrec.vectors.faiss_factory import fill, inner, made, train


def filled(
    embeddings: Embeddings,
    kind: str,
    *,
    cells: np.ndarray | None = None,
    seed: int = 0,
    room: MemoryBudget = IN_MEMORY,
    report: Report = quiet,
) -> Index:
    """An index that holds the embeddings, neither tuned nor measured.

    cells  centres of cells of another index of the same embeddings, which are taken where their number fits
    room   under a budget, an index that does not fit is written to a file in its folder, see `on_disk`

    Raises SettingsError when there is nothing to index, the type is unknown, it needs more vectors, or must fit into
    the budget and does not; DataError when the disk is full.
    """
    n, d = len(embeddings), embeddings.dim
    if not n:
        raise SettingsError("there are no vectors to index; train on sessions that hold items")
    spec = factory_string(kind, n, d)
    index = made(spec, d, embeddings.metric)
    augmented = embeddings.metric == "dot" and isinstance(inner(index), faiss.IndexIVF)
    if augmented:
        spec, index = _with_one_more(factory_string(kind, n, d + 1), d)
    if cells is not None and len(cells) != getattr(inner(index), "nlist", 0):
        cells = None
    longest = largest_norm(embeddings.vectors) if augmented else 0.0
    vectors, rows = stored(embeddings, augmented, longest), None
    most = most_trained(index, room)
    if not fits(index, n, room):
        check_streams(index, spec, n, room)
        train(index, spec, n, vectors, most=most, cells=cells, seed=seed)
        there, file = streamed(index, n, vectors, room, report)
        return Index(embeddings, spec, there, augmented, longest=longest, file=file)
    if linkable(index):
        if n > LEAF:
            rows = local_order(vectors, n, seed)
            vectors = partial(_ordered, vectors, rows)
        train(index, spec, n, vectors, most=most, seed=seed)
        link(index, n, vectors, seed=seed, report=report)
        return Index(embeddings, spec, index, augmented, rows=rows, longest=longest)
    fill(index, spec, n, vectors, most=most, cells=cells, seed=seed, report=report)
    return Index(embeddings, spec, index, augmented, rows=rows, longest=longest)


def _ordered(vectors: Callable[[Any], np.ndarray], rows: np.ndarray, some: Any) -> np.ndarray:
    """Vectors of some of the rows in their order."""
    return vectors(rows[some])


def _with_one_more(spec: str, d: int) -> tuple[str, Any]:
    """An index of d + 1 coordinates; of as many more as it takes where they are cut into equal parts."""
    for width in range(d + 1, 2 * d + 1):
        padded = spec if width == d + 1 else f"Pad{width},{spec}"
        with suppress(SettingsError):
            return padded, made(padded, d + 1, "l2")
    return spec, made(spec, d + 1, "l2")


def stored(embeddings: Embeddings, augmented: bool, longest: float) -> Callable[[Any], np.ndarray]:
    """Rows (m,) or a slice → their vectors as FAISS gets them: (m, d) or, augmented, (m, d + 1).

    longest  what augmented vectors are divided by; none of them is longer
    """
    vectors = embeddings.vectors
    if embeddings.metric == "cosine":
        return lambda rows: unit(vectors[rows])
    if not augmented:
        return lambda rows: vectors[rows]

    def scaled(rows: Any) -> np.ndarray:
        some = vectors[rows]
        squares = np.einsum("ij,ij->i", some, some, dtype=np.float64) / longest**2
        return np.hstack([some / longest, np.sqrt(np.maximum(1 - squares, 0))[:, None]]).astype(np.float32)

    return scaled


def largest_norm(vectors: np.ndarray) -> float:
    """The largest norm of vectors (m, d); 1 where all are 0 or there are none."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return float(np.sqrt(squares.max(initial=0.0))) or 1.0
