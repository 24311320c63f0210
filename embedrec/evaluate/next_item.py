"""Next item: how often, and how high, does a model rank the item that really came next?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.splits import NextItem
from embedrec.errors import DataError
from embedrec.models.base import Model

_BLOCK = 4096  # questions answered at a time


@dataclass(frozen=True)
class NextItemScores:
    """Means over all questions; an unknown target is a miss.

    hit_rate  share of questions whose target is among the first k
    mrr       mean of 1/rank of the target, 0 where it is not among the first k
    """

    k: int
    questions: int
    hit_rate: float
    mrr: float


def next_item(model: Model, test: NextItem, k: int = 20, *, seen: bool = False) -> NextItemScores:
    """Rank the whole catalogue for each question.

    seen  whether items of the history may be recommended again

    Raises DataError when there are no questions, SettingsError when k is not in 1 … n.
    """
    if not len(test.targets):
        raise DataError("there are no questions to ask; hold out at least one item")
    ranks = target_ranks(model, test, k, seen=seen)
    hits = np.isfinite(ranks)
    return NextItemScores(k, len(ranks), float(hits.mean()), float((1 / ranks).mean()))


def target_ranks(model: Model, test: NextItem, k: int, *, seen: bool = False) -> np.ndarray:
    """The rank of each target, 1 for the first: (Q,) float64, infinite where it is not among the first k."""
    test = test.recoded(model.vocab)
    ranks = np.full(len(test.targets), np.inf)
    for start in range(0, len(ranks), _BLOCK):
        here = np.arange(start, min(start + _BLOCK, len(ranks)))
        found = model.recommend(test.histories.taken(here), k, seen=seen)
        hit = (found.rows == test.targets[here, None]) & (found.rows >= 0)  # (b, k)
        ranks[here[hit.any(axis=1)]] = hit.argmax(axis=1)[hit.any(axis=1)] + 1
    return ranks
