"""Rotate the vectors of one training into the space of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from embedrec.data.vocab import unify_ids
from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

_BLOCK = 1 << 16  # vectors at a time in double precision
_NULL = 1e-10  # singular values below this share of the largest one determine no direction
_OUTSIDE = 1e-5  # a vector is in a subspace if no more than this share of its squared norm is outside
_LOW = 10  # percentile of the cosines that is reported


@dataclass(frozen=True, eq=False)
class AlignmentFit:
    """A rotation of vectors into the space of others, and how near it brings the common items.

    rotation            (d, d) float64, orthogonal; a vector v becomes v @ rotation. It may contain a reflection
    common              number of common items whose vectors are not zero
    mean, median, low   mean, median and 10th percentile of the cosine between both vectors of a common item
    """

    rotation: np.ndarray
    common: int
    mean: float
    median: float
    low: float

    @property
    def numbers(self) -> Mapping[str, float]:
        """The quality of the fit, for a manifest."""
        cosines = {"mean": self.mean, "median": self.median, "low": self.low}
        return {"common": self.common, **{name: round(value, 4) for name, value in cosines.items()}}


def fit_rotation(vectors: Embeddings, reference: Embeddings, weights: np.ndarray | None = None) -> AlignmentFit:
    """The rotation that brings the common items closest to their vectors in `reference`.

    weights  (n,) of the items of `vectors`, such as their counts; None gives equal weights

    The orthogonal Procrustes problem (Schönemann 1966): R = U·Vᵀ of the singular value decomposition U·S·Vᵀ of Aᵀ·W·B
    minimises Σ w·|a·R − b|², with the vectors A and B of common items, which are scaled to norm 1 unless the metric of
    `reference` is "l2". In directions that no common item determines, R is the rotation nearest to the identity.

    Raises SettingsError if dimensions differ, and for fewer common items than dimensions, unless all vectors of
    `reference` lie in the span of those of the common items.
    """
    d = reference.dim
    if vectors.dim != d:
        raise SettingsError(f"the vectors have {vectors.dim} dimensions, but the space has {d}; train with dim={d}")
    own, other = common_rows(vectors, reference)
    a, b = vectors.vectors[own], reference.vectors[other]
    used = a.any(axis=1) & b.any(axis=1)
    w = np.ones(len(own)) if weights is None else weights[own].astype(np.float64)
    used &= w > 0
    a, b, w = a[used], b[used], w[used]
    if reference.metric != "l2":
        a, b = unit(a), unit(b)
    left, values, right = np.linalg.svd(_product(a, b, w))
    rank = int((values > _NULL * values[0]).sum()) if values[0] > 0 else 0
    if len(a) < d and not _spanned(reference.vectors, right[:rank]):
        raise SettingsError(
            f"{len(a)} common items do not determine a rotation in {d} dimensions; add vectors with at "
            f"least {d} common items, or start a new space"
        )
    rotation = left[:, :rank] @ right[:rank]
    if rank < d:
        rotation += _nearest_identity(left[:, rank:], right[rank:])
    cosines = np.einsum("ij,ij->i", unit(rotate(a, rotation)), unit(b), dtype=np.float64)
    if not len(cosines):
        return AlignmentFit(rotation, 0, 0.0, 0.0, 0.0)
    low, median = np.percentile(cosines, [_LOW, 50])
    return AlignmentFit(rotation, len(a), float(cosines.mean()), float(median), float(low))


def align_embeddings(
    vectors: Embeddings, reference: Embeddings, weights: np.ndarray | None = None
) -> tuple[Embeddings, AlignmentFit]:
    """The vectors after the rotation of `fit_rotation`, which changes no score among them; and that rotation."""
    fit = fit_rotation(vectors, reference, weights)
    return replace(vectors, vectors=rotate(vectors.vectors, fit.rotation)), fit


def common_rows(vectors: Embeddings, reference: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the common items in both, (m,) and (m,), in the order of `reference`. Types of ids may differ."""
    ids = unify_ids(vectors.vocab.ids, reference.vocab.ids)[1]
    rows = vectors.vocab.rows_of(ids)
    return rows[rows >= 0], np.flatnonzero(rows >= 0)


def rotate(vectors: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """vectors (…, d) @ rotation (d, d), float32."""
    return np.asarray(vectors @ rotation.astype(np.float32), dtype=np.float32)


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The rotation (d, d) float32 that has the effect of two in turn.

    It is the orthogonal matrix nearest to their product, so that a chain of float32 rotations remains one.
    """
    u, _, v = np.linalg.svd(first.astype(np.float64) @ second)
    return np.asarray(u @ v, dtype=np.float32)


def _product(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Aᵀ·W·B of arrays (m, d), (d, d) float64."""
    result = np.zeros((a.shape[1], b.shape[1]))
    for start in range(0, len(a), _BLOCK):
        rows = slice(start, start + _BLOCK)
        result += (a[rows].astype(np.float64) * weights[rows, None]).T @ b[rows]
    return result


def _spanned(vectors: np.ndarray, axes: np.ndarray) -> bool:
    """Whether all vectors (n, d) lie in the span of orthonormal axes (r, d)."""
    inside = rotate(vectors, axes.T) if len(axes) else np.zeros((len(vectors), 0), dtype=np.float32)
    squares = [np.einsum("ij,ij->i", part, part, dtype=np.float64) for part in (vectors, inside)]
    return bool((squares[0] - squares[1] <= _OUTSIDE * squares[0]).all())


def _nearest_identity(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The map (d, d) of the span of columns (d, k) onto that of rows (k, d) that is nearest to the identity."""
    u, _, v = np.linalg.svd((right @ left).T)
    return np.asarray(left @ (u @ v) @ right)
