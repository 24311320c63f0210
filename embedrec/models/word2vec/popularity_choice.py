"""The exponent of norms of a model that continues, chosen again by what its predecessor has not seen.

A full training chooses it each time, and the best one changes with the sessions; see `popularity_scaling`.
"""

from __future__ import annotations

import numpy as np

from embedrec.data.session_changes import SessionChanges
from embedrec.models.popularity_scaling import SHARES, best_share
from embedrec.models.session_encoders import mean_encoder
from embedrec.vectors.embeddings import Embeddings

_LEAST, _MOST = 200, 3000  # cases; with fewer, the exponent stays


def choose_again(items: Embeddings, own: float, decay: float, changes: SessionChanges, *, seed: int) -> float:
    """The exponent of a model or one of those next to it in `SHARES`: the best one for sessions added after its
    training. A choice by few of them is noisy; single steps keep lists from changing back and forth.

    items, own, decay  of the model: its vectors with their full norms, its exponent, its weights of histories
    seed               of the sample of 3,000 events, each predicted from those before it
    """
    sessions = changes.added_sessions.reindex(items.vocab)
    events = np.flatnonzero(sessions.position_of > 0)
    if len(events) < _LEAST or own not in SHARES:
        return own
    chosen = np.sort(np.random.default_rng(seed).permutation(events)[:_MOST])
    cases = sessions.take(sessions.session_of[chosen], sessions.position_of[chosen] + 1)
    at, encoder = SHARES.index(own), mean_encoder(items.vectors, decay)
    return best_share(items, encoder, cases, seed=seed, shares=SHARES[max(at - 1, 0) : at + 2], most=_MOST)
