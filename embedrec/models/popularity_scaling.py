"""Popularity exponent: how much of an item's norm counts in next-item scores, from specific (0) to popular (1) items.

Norms of learned vectors grow with popularity. For short sessions of popular items, items of large norm are better
results; for long and personal sessions the cosine, which ignores norms, is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.session_encoders import Encoder
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # candidates
SAMPLED_SESSIONS = 1000  # sessions
_K = 20
BLOCK_SCORES = 1 << 20  # scores at a time, which stay in the cache


def scale_norms(embeddings: Embeddings, share: float) -> Embeddings:
    """The same items for search by dot product, each of norm |v| ** share.

    share  1 ranks like the dot product; 0 is the cosine, which keeps the vectors

    Raises SettingsError for a share not in 0 … 1, and for the metric l2.
    """
    if not 0 <= share <= 1:
        raise SettingsError(f"popularity must lie between 0 and 1, but is {share!r}")
    if embeddings.metric == "l2":
        raise SettingsError("popularity needs cosine or dot product, but the metric is l2; leave popularity out")
    if not share:
        return embeddings if embeddings.metric == "cosine" else replace(embeddings, metric="cosine")
    vectors = unit(embeddings.vectors) * _norms(embeddings, share)[:, None].astype(np.float32)
    return Embeddings(vectors, embeddings.vocab, "dot")


def best_share(
    embeddings: Embeddings,
    encoder: Encoder,
    sessions: Sessions,
    *,
    seed: int,
    shares: Sequence[float] = SHARES,
    most: int = SAMPLED_SESSIONS,
) -> float:
    """The share of some with the best nDCG@20 of the last items of training sessions, ties to the first.

    sessions  in the embeddings' vocabulary; `most` of them are drawn. Training data favours small shares
              slightly: on four data sets, the choice was the best held-out one or the step below it
    """
    long = np.flatnonzero(sessions.lengths >= 2)
    chosen = np.sort(np.random.default_rng(seed).permutation(long)[:most])
    if not len(chosen):
        return 0.0
    whole = sessions.take(chosen)
    histories = sessions.take(chosen, whole.lengths - 1)
    targets = whole.items[whole.offsets[1:] - 1]  # (q,)
    queries, items = encoder(histories), unit(embeddings.vectors)
    norms = [_norms(embeddings, share).astype(np.float32) for share in shares]
    gains = np.zeros(len(shares))
    step = max(1, BLOCK_SCORES // len(items))
    for start in range(0, len(chosen), step):
        stop = min(start + step, len(chosen))
        target = targets[start:stop]
        cosines = queries[start:stop] @ items.T  # (b, n)
        seen_items = histories.items[histories.offsets[start] : histories.offsets[stop]]
        query = np.repeat(np.arange(stop - start), histories.lengths[start:stop])
        other = seen_items != target[query]  # items of the history are excluded, a repeated target is not
        for number, norm in enumerate(norms):
            scores = cosines * norm
            scores[query[other], seen_items[other]] = -np.inf
            higher = (scores > scores[np.arange(stop - start), target][:, None]).sum(axis=1)
            gains[number] += (1 / np.log2(higher[higher < _K] + 2)).sum()
    return shares[int(gains.argmax())]


def _norms(embeddings: Embeddings, share: float) -> np.ndarray:
    """|v| ** share of each item: (n,) float64; 0 for a zero vector."""
    vectors = embeddings.vectors
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return np.where(norms > 0, np.where(norms > 0, norms, 1) ** share, 0)
