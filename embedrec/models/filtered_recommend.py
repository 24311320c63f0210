"""Recommendation among allowed items, with any model; and sample queries of vector models."""

from __future__ import annotations

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK, allowed_rows, check_k, keep_rows
from embedrec.models.base import Model
from embedrec.models.vector_model import VectorModel

BLOCK_RESULTS = 1 << 22  # results requested at a time
_MORE = 4  # factor of the next request when too few results are allowed


def sample_query_vectors(model: VectorModel, sessions: Sessions, count: int, *, seed: int = 0) -> np.ndarray:
    """Sample queries (q ≤ count, e) of a model: random sessions, each cut after a random event.

    Sessions without known items give no query.
    """
    rng = np.random.default_rng(seed)
    nonempty = np.flatnonzero(sessions.lengths)
    chosen = np.sort(rng.choice(nonempty, min(count, len(nonempty)), replace=False))
    histories = sessions.take(chosen, rng.integers(1, sessions.lengths[chosen] + 1))
    queries = model.encoder(histories.reindex(model.vocab))
    return queries[queries.any(axis=1)]


def recommend_filtered(
    model: Model, histories: Sessions, k: int, *, exclude_seen: bool = True, allowed: np.ndarray | None = None
) -> TopK:
    """The k best next items of each history, as in `Model.recommend`, among allowed items.

    allowed  (n,) bool or rows (m,); None for all

    Vector models search among allowed items. Other models are queried for longer and longer lists, until k results are
    allowed or the list ends. Raises as `Model.recommend` does, and SettingsError for rows out of range.
    """
    if allowed is None:
        return model.recommend(histories, k, exclude_seen=exclude_seen)
    if isinstance(model, VectorModel):
        return model.recommend(histories, k, exclude_seen=exclude_seen, allowed=allowed)
    n, vocab = len(model.vocab), model.vocab
    check_k(k, n)
    subset = allowed_rows(allowed, n)
    rows, scores = np.full((len(histories), k), -1), np.full((len(histories), k), -np.inf)
    left, reach = np.arange(len(histories)), min(n, k * n // max(1, len(subset)) + k)
    while len(left):
        again = []
        for part in np.array_split(left, -(-len(left) * reach // BLOCK_RESULTS)):
            topk = model.recommend(histories.take(part), reach, exclude_seen=exclude_seen)
            best = keep_rows(topk, subset).first(k)
            rows[part], scores[part] = best.rows, best.scores
            more = (best.rows[:, -1] < 0) & (topk.rows[:, -1] >= 0)
            again.append(part[more])
        left = np.concatenate(again) if reach < n else left[:0]
        reach = min(n, _MORE * reach)
    return TopK(rows, scores, vocab)
