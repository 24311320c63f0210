"""An order of vectors in which those that lie near each other follow each other.

A search through a graph goes from neighbour to neighbour. Where these are neighbours in memory too, it waits less:
measured on 159,819 × 64 vectors of tracks, batches take a fifth less time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LEAF = 256  # vectors that are not parted any more
_SAMPLE = 512  # of which the direction is found that parts them
_ROUNDS = 2  # of the power iteration
_BLOCK = 1 << 16  # vectors looked at at a time
_RANGE = (1e-8, 1e8)


def local_order(vectors: Callable[[np.ndarray], np.ndarray], n: int, seed: int = 0) -> np.ndarray:
    """All n rows, (n,) int64, ordered by the leaves of a tree that halves along principal axes (McNames 2001).

    vectors  rows (m,) int64 → (m, d) float32
    """
    rng, order = np.random.default_rng(seed), np.arange(n)
    parts = [slice(0, n)]
    while parts:
        part = parts.pop()
        rows = order[part]
        if len(rows) <= LEAF:
            continue
        axis = _axis(vectors(rows if len(rows) <= _SAMPLE else rng.choice(rows, _SAMPLE, replace=False)))
        blocks = range(0, len(rows), _BLOCK)
        along = np.concatenate([vectors(rows[start : start + _BLOCK]) @ axis for start in blocks])
        half = len(rows) // 2
        order[part] = rows[np.argpartition(along, half)]
        middle = part.start + half
        parts += [slice(middle, part.stop), slice(part.start, middle)]
    return order


def _axis(some: np.ndarray) -> np.ndarray:
    """About the direction (d,) in which vectors (m, d) differ most; zero where they do not differ."""
    apart = some - some.mean(axis=0)
    size = float(np.abs(apart).max(initial=0.0))
    if size and not _RANGE[0] < size < _RANGE[1]:  # squares of squares would vanish or overflow
        apart = apart / np.float32(size)
    axis: np.ndarray = apart[np.argmax(np.einsum("ij,ij->i", apart, apart))]
    for _ in range(_ROUNDS):
        axis = axis @ apart.T @ apart
        axis /= np.linalg.norm(axis) or 1.0
    return axis
