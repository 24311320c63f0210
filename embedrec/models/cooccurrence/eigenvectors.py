"""The leading eigenvectors of a sparse symmetric matrix, by subspace iteration (Halko, Martinsson & Tropp 2011)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from embedrec.models.pair_counts import Pairs
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget

BLOCK_VALUES = 1 << 20  # values at a time in double precision
_SPARE = 20  # extra dimensions of the iteration


class Start(NamedTuple):
    """Vectors from which an iteration starts.

    vectors  (m, d) float32
    rows     (n,) int64: the vector of each item of the matrix, −1 for none
    """

    vectors: np.ndarray
    rows: np.ndarray


def leading_eigenvectors(
    pairs: Pairs,
    dim: int,
    iterations: int,
    *,
    seed: int,
    threads: int,
    start: Start | None = None,
    memory: MemoryBudget = IN_MEMORY,
    report: Report = quiet,
) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues, descending, and their eigenvectors: (d,) float64 and (n, d) float32, d = min(dim, n).

    start  eigenvectors of a similar matrix, which need fewer iterations than random directions

    By subspace iteration and the Rayleigh–Ritz method. Eigenvalues that are not positive become 0, and so do their
    vectors. Items without pairs have zero vectors.
    """
    n = len(pairs.starts)
    size = min(n, dim + _SPARE)
    basis, product = (memory.empty(n * size, np.float32).reshape(n, size) for _ in range(2))
    np.random.default_rng(seed).standard_normal(dtype=np.float32, out=basis)
    if start is not None and size < n:  # all directions are in the basis otherwise
        _fill_columns(basis, start)
    shift = 0.0
    for done in range(iterations + 1):
        _orthonormalise(basis)
        _multiply(pairs, basis, product, threads)
        report("progress", done=done + 1, total=iterations + 1, unit="products")
        small = _inner(basis, product)
        values, rotation = np.linalg.eigh((small + small.T) / 2)
        shift = max(shift, -float(values[0]))  # so that large negative eigenvalues are not selected
        if done < iterations:
            basis *= np.float32(shift)
            basis += product
    values, rotation = values[::-1][:dim], rotation[:, ::-1][:, :dim]
    positive = values > 1e-6 * abs(values).max()
    values = np.where(positive, values, 0)
    # M·v/λ instead of v: exactly 0 for items without pairs, and one more iteration
    scale = np.where(positive, 1 / np.where(positive, values, 1), 0) * _signs(product, rotation, seed)
    vectors = memory.empty(n * len(values), np.float32).reshape(n, -1)
    np.matmul(product, (rotation * scale).astype(np.float32), out=vectors)
    return values, vectors


def _signs(product: np.ndarray, rotation: np.ndarray, seed: int) -> np.ndarray:
    """Signs (d,) of the columns of product · rotation, (n, k) · (k, d), that make their products with a random
    direction positive: else rounding errors would decide on the signs of eigenvectors."""
    direction = np.random.default_rng(seed).standard_normal(len(product))
    return np.where((direction @ product) @ rotation < 0, -1.0, 1.0)


def _fill_columns(basis: np.ndarray, start: Start) -> None:
    """Write vectors, but for zeros, to the first columns of a basis (n, k); items without a vector are 0 there."""
    columns = np.flatnonzero(start.vectors.any(axis=0))[: basis.shape[1]]
    first = 0
    for block in blocks(basis):
        rows = start.rows[first : first + len(block)]
        block[:, : len(columns)] = np.where(rows[:, None] >= 0, start.vectors[rows][:, columns], 0)
        first += len(block)


def _multiply(pairs: Pairs, x: np.ndarray, out: np.ndarray, threads: int) -> None:
    """out = M · x, (n, k) float32 both. Threads share the columns, so results do not depend on their number."""
    from embedrec.kernels.sparse_matmul import WIDTH, add_product

    def columns(first: int) -> None:
        width = min(WIDTH, x.shape[1] - first)
        block, product = (np.zeros((len(x), WIDTH), dtype=np.float32) for _ in range(2))
        block[:, :width] = x[:, first : first + width]
        add_product(pairs.starts, pairs.ends, pairs.rows, pairs.values, block, product)
        out[:, first : first + width] = product[:, :width]

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(columns, range(0, x.shape[1], WIDTH)):
            pass


def _orthonormalise(basis: np.ndarray) -> None:
    """Replace columns (n, k) float32 by an orthonormal basis of their span; dependent columns become zero.

    Uses the eigenvectors of their Gram matrix: on busy cores, much faster than a QR decomposition, whose threads
    synchronise at every column.
    """
    values, rotation = np.linalg.eigh(_inner(basis, basis))
    independent = values > 1e-12 * values[-1]
    scaled = (rotation * np.where(independent, 1 / np.sqrt(np.where(independent, values, 1)), 0)).astype(np.float32)
    for block in blocks(basis):
        block[:] = block @ scaled


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """aᵀ·b of two arrays (n, k) in double precision."""
    products = np.zeros((a.shape[1], b.shape[1]))
    for left, right in zip(blocks(a), blocks(b), strict=True):
        products += left.T.astype(np.float64) @ right.astype(np.float64)
    return products


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Views of some rows of an array (n, k) at a time."""
    step = max(1, BLOCK_VALUES // array.shape[1])
    return (array[start : start + step] for start in range(0, len(array), step))
