"""A FAISS index from a factory string, trained on a sample and filled in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from embedrec.embeddings import Metric
from embedrec.errors import SettingsError
from embedrec.reporting import Report, quiet

POINTS_PER_CELL = 39  # FAISS warns about k-means with fewer training points a cell
MOST_PER_CELL = 256  # and takes no more than so many
_ENOUGH = 1 << 17  # vectors that any quantiser is trained well on
_ADD = 1 << 16  # vectors added at a time
_METRICS = {"cosine": faiss.METRIC_INNER_PRODUCT, "dot": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}


def made(spec: str, d: int, metric: Metric) -> Any:
    """An empty index; "cosine" is for vectors that have length 1. Raises SettingsError for what FAISS cannot build."""
    try:
        return faiss.index_factory(d, spec, _METRICS[metric])
    except RuntimeError as e:
        raise _refused(spec, f"{d} dimensions", e) from None


def fill(
    index: Any,
    spec: str,
    n: int,
    vectors: Callable[[Any], np.ndarray],
    *,
    per_cell: int = MOST_PER_CELL,
    seed: int = 0,
    report: Report = quiet,
) -> None:
    """Train an index where it needs it, and add n vectors.

    vectors   rows (m,) int64 or a slice → (m, d) float32; no more than a sample of them is held at a time
    per_cell  vectors that a cell's centre is trained on
    report    called as report("progress", done=, total=, unit="vectors")

    Raises SettingsError when FAISS needs more vectors.
    """
    cells = getattr(index, "nlist", 0)
    if cells > n:
        raise SettingsError(f"{spec} needs at least {cells} vectors, but there are {n}; take fewer cells or 'flat'")
    if cells:
        index.cp.seed = (seed + 1) % 2**31
        index.cp.min_points_per_centroid = 1  # what is too few is decided by names and sizes, not by a warning
    try:
        if not index.is_trained:
            enough = max(_ENOUGH, per_cell * cells)
            some = np.random.default_rng(seed).choice(n, enough, replace=False) if enough < n else np.arange(n)
            index.train(vectors(np.sort(some)))
        for start in range(0, n, _ADD):
            stop = min(start + _ADD, n)
            index.add(vectors(slice(start, stop)))
            report("progress", done=stop, total=n, unit="vectors")
    except RuntimeError as e:
        raise _refused(spec, f"{n} vectors of {index.d} dimensions", e) from None


def _refused(spec: str, what: str, error: RuntimeError) -> SettingsError:
    """What FAISS says, without the place in its source that stands before it."""
    return SettingsError(f"FAISS cannot build {spec!r} for {what}: {str(error).strip().rpartition(': ')[2]}")
