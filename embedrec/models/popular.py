"""Most popular: every history is answered with the most mentioned items. The floor under every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.base import Arrays, excluding
from embedrec.reporting import Report, quiet
from embedrec.topk import TopK, best_first, check_k


@dataclass(frozen=True)
class Popular:
    """Items by the number of their mentions in the training sessions."""

    name: ClassVar[str] = "popular"

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> PopularModel:
        """Count; `seed`, `threads` and `report` change nothing."""
        counts = np.bincount(sessions.items, minlength=len(sessions.vocab))
        return self.restore(sessions.vocab, {"counts": counts})

    def restore(self, vocab: Vocab, arrays: Arrays) -> PopularModel:
        """The model of the array "counts" (n,). Raises DataError when its length is another."""
        if arrays["counts"].shape != (len(vocab),):
            raise DataError(f"popularity needs {len(vocab)} counts, but was given shape {arrays['counts'].shape}")
        return PopularModel(self, vocab, arrays)


@dataclass(frozen=True, eq=False)
class PopularModel:
    """arrays: "counts" (n,) int64; the score of an item is its count."""

    recipe: Popular
    vocab: Vocab
    arrays: Arrays

    def recommend(self, histories: Sessions, k: int, *, seen: bool = False) -> TopK:
        """See `Model.recommend`."""
        check_k(k, len(self.vocab))
        histories = histories.recoded(self.vocab)
        reach = k if seen else min(k + int(histories.lengths.max(initial=0)), len(self.vocab))
        scores = self.arrays["counts"].astype(np.float32)
        best = np.lexsort((np.arange(len(scores)), -scores))[:reach]
        shape = (len(histories), len(best))
        top = best_first(np.broadcast_to(best, shape), np.broadcast_to(scores[best], shape), self.vocab)
        return top if seen else excluding(top, histories, k)
