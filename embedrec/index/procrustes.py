"""Vectors of one training turned into the space of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit


def align_embeddings(embeddings: Embeddings, onto: Embeddings) -> tuple[Embeddings, float]:
    """Embeddings after the rotation that brings the items that both have nearest to their vectors in `onto`.

    The orthogonal Procrustes problem (Schönemann 1966): R = U·Vᵀ of the singular value decomposition U·S·Vᵀ of Aᵀ·B
    minimises ‖A·R − B‖, with the vectors A and B of common items, at length 1 where they are compared by cosine. It
    changes no score within the embeddings.

    Returns the embeddings, and how well they fit: the mean cosine between both vectors of a common item.
    Raises SettingsError where dimensions differ, and with fewer common items than dimensions, which leave it open.
    """
    d = onto.dim
    if embeddings.dim != d:
        raise SettingsError(f"the index has {d} dimensions, but these vectors have {embeddings.dim}")
    rows = embeddings.vocab.rows_of(onto.vocab.ids)  # (n,) of the items in `onto`
    both = rows >= 0
    if both.sum() < d:
        raise SettingsError(
            f"{int(both.sum())} common items do not say how to turn vectors of {d} dimensions; take at least {d}, or "
            "build the index again"
        )
    a, b = embeddings.vectors[rows[both]], onto.vectors[both]
    if onto.metric == "cosine":
        a, b = unit(a), unit(b)
    u, _, v = np.linalg.svd(a.T.astype(np.float64) @ b)
    turned = (embeddings.vectors @ (u @ v)).astype(np.float32)
    cosines = np.einsum("ij,ij->i", unit(turned[rows[both]]), unit(b), dtype=np.float64)
    return replace(embeddings, vectors=turned), float(cosines.mean())
