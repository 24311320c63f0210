"""The dial from specific to popular: how much of an item's norm counts when a model says what comes next.

Norms of learned vectors grow with popularity. Where sessions are short and driven by what everybody looks at, items of
large norm are the better answers; where sessions are long and personal, the cosine, which ignores norms, is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.session_encoders import Encoder
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # what is tried
_ASKED = 1000  # sessions
_K = 20
_BLOCK = 1 << 24  # scores held at a time


def scale_norms(embeddings: Embeddings, share: float) -> Embeddings:
    """The same items to be found by dot product, each of norm |v| ** share.

    share  1 ranks as the dot product does; 0 is the cosine, which needs no other vectors

    Raises SettingsError for a share not in 0 … 1, and for vectors that are compared by distance.
    """
    if not 0 <= share <= 1:
        raise SettingsError(f"popularity must lie between 0 and 1, but is {share!r}")
    if embeddings.metric == "l2":
        raise SettingsError("vectors that are compared by distance have no norm to dial; leave popularity out")
    if not share:
        return embeddings if embeddings.metric == "cosine" else replace(embeddings, metric="cosine")
    vectors = unit(embeddings.vectors) * _norms(embeddings, share)[:, None].astype(np.float32)
    return Embeddings(vectors, embeddings.vocab, "dot")


def best_share(embeddings: Embeddings, encoder: Encoder, sessions: Sessions, *, seed: int) -> float:
    """The share of SHARES with the best recall@20 of the last items of training sessions, ties to the smallest.

    sessions  in the embeddings' vocabulary; a thousand of them are drawn. They were trained on, which favours small
              shares a little: measured on four data sets, the choice was the best held-out one or the step below it
    """
    long = np.flatnonzero(sessions.lengths >= 2)
    asked = np.sort(np.random.default_rng(seed).permutation(long)[:_ASKED])
    if not len(asked):
        return 0.0
    whole = sessions.take(asked)
    histories = sessions.take(asked, whole.lengths - 1)
    targets = whole.items[whole.offsets[1:] - 1]  # (q,)
    queries, items = encoder(histories), unit(embeddings.vectors)
    hits = np.zeros(len(SHARES))
    step = max(1, _BLOCK // len(items))
    for start in range(0, len(asked), step):
        stop = min(start + step, len(asked))
        target = targets[start:stop]
        cosines = queries[start:stop] @ items.T  # (b, n)
        known = histories.items[histories.offsets[start] : histories.offsets[stop]]
        query = np.repeat(np.arange(stop - start), histories.lengths[start:stop])
        other = known != target[query]  # items of the history are no rivals, a repeated target stays
        for number, share in enumerate(SHARES):
            scores = cosines * _norms(embeddings, share).astype(np.float32)
            scores[query[other], known[other]] = -np.inf
            rivals = (scores > scores[np.arange(stop - start), target][:, None]).sum(axis=1)
            hits[number] += (rivals < _K).sum()
    return SHARES[int(hits.argmax())]


def _norms(embeddings: Embeddings, share: float) -> np.ndarray:
    """|v| ** share of each item: (n,) float64; 0 for a zero vector."""
    vectors = embeddings.vectors
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return np.where(norms > 0, np.where(norms > 0, norms, 1) ** share, 0)
