"""What comes next among some of the items only, from any model; and what models of vectors are asked."""

from __future__ import annotations

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK, among, check_k, some_rows
from embedrec.models.base import Model
from embedrec.models.vector_model import VectorModel

_BLOCK = 1 << 22  # results asked for at a time
_MORE = 4  # times as many are asked for where too few of them were allowed


def some_queries(model: VectorModel, sessions: Sessions, count: int, *, seed: int = 0) -> np.ndarray:
    """Queries (q ≤ count, e) as a model is asked them: of sessions drawn at random, each cut after one of its events.

    Those of which the model knows nothing are left out.
    """
    rng = np.random.default_rng(seed)
    there = np.flatnonzero(sessions.lengths)
    chosen = np.sort(rng.choice(there, min(count, len(there)), replace=False))
    histories = sessions.take(chosen, rng.integers(1, sessions.lengths[chosen] + 1))
    queries = model.encoder(histories.reindex(model.vocab))
    return queries[queries.any(axis=1)]


def recommended(
    model: Model, histories: Sessions, k: int, *, exclude_seen: bool = True, allowed: np.ndarray | None = None
) -> TopK:
    """The k best next items of each history, as `Model.recommend` finds them, among those that are allowed.

    allowed  (n,) bool or rows (m,); all where it is None

    Models of vectors search among them. Others are asked for more and more, until k of them are allowed or there are no
    more. Raises as `Model.recommend` does, and SettingsError for rows that are not there.
    """
    if allowed is None:
        return model.recommend(histories, k, exclude_seen=exclude_seen)
    if isinstance(model, VectorModel):
        return model.recommend(histories, k, exclude_seen=exclude_seen, allowed=allowed)
    n, vocab = len(model.vocab), model.vocab
    check_k(k, n)
    some = some_rows(allowed, n)
    rows, scores = np.full((len(histories), k), -1), np.full((len(histories), k), -np.inf)
    left, reach = np.arange(len(histories)), min(n, k * n // max(1, len(some)) + k)
    while len(left):
        again = []
        for part in np.array_split(left, -(-len(left) * reach // _BLOCK)):
            found = model.recommend(histories.take(part), reach, exclude_seen=exclude_seen)
            best = among(found, some).first(k)
            rows[part], scores[part] = best.rows, best.scores
            more = (best.rows[:, -1] < 0) & (found.rows[:, -1] >= 0)
            again.append(part[more])
        left = np.concatenate(again) if reach < n else left[:0]
        reach = min(n, _MORE * reach)
    return TopK(rows, scores, vocab)
