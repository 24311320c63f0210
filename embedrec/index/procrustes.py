"""Rotate the vectors of one training into the space of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit


def align_embeddings(embeddings: Embeddings, onto: Embeddings) -> tuple[Embeddings, float]:
    """The embeddings after the rotation that brings the common items closest to their vectors in `onto`.

    The orthogonal Procrustes problem (Schönemann 1966): R = U·Vᵀ of the singular value decomposition U·S·Vᵀ of Aᵀ·B
    minimises ‖A·R − B‖, with the vectors A and B of common items, scaled to norm 1 for cosine. No score within the
    embeddings changes.

    Returns the embeddings and the quality of the fit: the mean cosine between both vectors of a common item.
    Raises SettingsError if dimensions differ, and for fewer common items than dimensions, which do not determine R.
    """
    d = onto.dim
    if embeddings.dim != d:
        raise SettingsError(f"the index has {d} dimensions, but these vectors have {embeddings.dim}")
    rows = embeddings.vocab.rows_of(onto.vocab.ids)  # (n,) of the items in `onto`
    common = rows >= 0
    if common.sum() < d:
        raise SettingsError(
            f"{int(common.sum())} common items do not determine a rotation in {d} dimensions; add vectors with at "
            f"least {d} common items, or build the index again"
        )
    a, b = embeddings.vectors[rows[common]], onto.vectors[common]
    if onto.metric == "cosine":
        a, b = unit(a), unit(b)
    u, _, v = np.linalg.svd(a.T.astype(np.float64) @ b)
    rotated = (embeddings.vectors @ (u @ v)).astype(np.float32)
    cosines = np.einsum("ij,ij->i", unit(rotated[rows[common]]), unit(b), dtype=np.float64)
    return replace(embeddings, vectors=rotated), float(cosines.mean())
