"""Random items: the chance baseline, with the highest coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.config import Settings
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.base import Arrays, model_summary
from embedrec.progress import Report, quiet
from embedrec.text import Described, Summary


@dataclass(frozen=True)
class Random(Settings):
    """Recommends the first items of a random order of all items, one for each history; all orders are equally
    likely.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, Random
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = Random().fit(sessions)
    >>> model.recommend(sessions, 2).rows.shape
    (3, 2)
    """

    name: ClassVar[str] = "random"

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> RandomModel:
        """Keep the items and the seed; `threads` and `report` change nothing."""
        check_sessions(sessions)
        return self.from_arrays(sessions.vocab, {"seed": np.array([seed], dtype=np.int64)})

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> RandomModel:
        """The model of the array "seed" (1,) int64. Raises DataError when it is anything else."""
        if arrays["seed"].shape != (1,) or arrays["seed"].dtype != np.int64:
            raise DataError(f"random lists need one seed, but were given shape {arrays['seed'].shape}")
        return RandomModel(self, vocab, arrays)


@dataclass(frozen=True, eq=False, repr=False)
class RandomModel(Described):
    """arrays: "seed" (1,) int64. The same seed and history give the same list, alone and in any batch.

    Scores fall evenly from 1 to 1/n along the order of all n items.
    """

    recipe: Random
    vocab: Vocab
    arrays: Arrays

    def _summary(self) -> Summary:
        return model_summary(self.recipe, self.vocab, [])

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`."""
        from embedrec.kernels.first_unseen import shuffle_unseen
        from embedrec.kernels.topk import empty_best

        check_k(k, len(self.vocab))
        histories = histories.reindex(self.vocab)
        rows, scores = empty_best(len(histories), k)
        seed = int(self.arrays["seed"][0])
        shuffle_unseen(histories.offsets, histories.items, len(self.vocab), seed, not exclude_seen, rows, scores)
        return TopK(rows, scores, self.vocab)
