"""How a history becomes a query vector."""

from __future__ import annotations

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.embeddings import Metric, unit
from embedrec.models.base import Encoder


def mean_encoder(vectors: np.ndarray, decay: float = 1.0, metric: Metric = "cosine") -> Encoder:
    """A history's vector is the weighted mean of its items' unit vectors; of the vectors as they are for "l2".

    vectors  (n, d) item vectors
    decay    weight of an item relative to the one after it, in (0, 1]: 1 is the plain mean, small values listen
             to the last items only. An empty history is the zero vector.
    """
    items = vectors if metric == "l2" else unit(vectors)  # (n, d)

    def encode(histories: Sessions) -> np.ndarray:
        import scipy.sparse as sp

        lengths = histories.lengths
        ends = np.repeat(histories.offsets[1:], lengths)
        age = ends - 1 - np.arange(len(histories.items))  # (E,) 0 for the last item
        weights = np.power(np.float64(decay), age).astype(np.float32)
        shape = (len(histories), len(items))
        sums = sp.csr_matrix((weights, histories.items.copy(), histories.offsets.copy()), shape)
        totals = np.asarray(sums.sum(axis=1)).reshape(-1, 1)  # (S, 1)
        return ((sums @ items) / np.where(totals > 0, totals, 1)).astype(np.float32)

    return encode
