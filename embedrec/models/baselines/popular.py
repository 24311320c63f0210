"""Most popular items, over all time or recently: the baseline of every comparison.

Popularity changes over time, and recent popularity is then a far stronger baseline (Ji et al. 2020, "A Re-visit of the
Popularity Baseline in Recommender Systems").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.config import Settings
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.base import Arrays, ExactIncrement, model_summary
from embedrec.progress import Report, quiet
from embedrec.text import Described, Summary

NO_TIMES = (
    "days and half_life of popular need times, but the sessions have none; prepare data with a time column, or leave "
    "both out"
)


@dataclass(frozen=True)
class Popular(Settings, ExactIncrement):
    """Items by the number of their mentions in the training sessions; over all time with both settings none.

    days       only mentions of that many days before the last event count
    half_life  half-life of a mention in days: it counts 0.5 ** (age / half_life)

    Raises SettingsError for a number that is not positive.

    >>> from embedrec import Sessions, Popular
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = Popular().fit(sessions)
    >>> model.recommend(sessions, 1, exclude_seen=False).ids()
    [['bread'], ['bread'], ['bread']]
    """

    name: ClassVar[str] = "popular"
    SPACE: ClassVar[dict[str, str]] = {
        "half_life": "0.5..60 log",
    }

    days: float | None = None
    half_life: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("days", "half_life"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise SettingsError(f"{name} must be a positive number of days, or none, but is {value!r}")

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        init: PopularModel | None = None,
        changes: SessionChanges | None = None,
    ) -> PopularModel:
        """Count. Only `sessions` has an effect: comparing sessions, for an increment, takes longer than counting them.

        Raises SettingsError when days or half_life is set and the sessions have no times.
        """
        check_sessions(sessions)
        n, items, weights = len(sessions.vocab), sessions.items, None
        if self.days is not None or self.half_life is not None:
            age = sessions.days_ago  # (E,)
            if age is None:
                raise SettingsError(NO_TIMES)
            items, weights = self.weigh(items, age)
        return self.from_arrays(sessions.vocab, {"counts": np.bincount(items, weights, minlength=n)})

    def weigh(self, items: np.ndarray, age: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The items that count, (m,) of (E,), and their weights (m,) float64, None for 1; `age` (E,) in days."""
        recent = slice(None) if self.days is None else age <= self.days
        return items[recent], None if self.half_life is None else 0.5 ** (age[recent] / self.half_life)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> PopularModel:
        """The model of the array "counts" (n,). Raises DataError when it is no such array."""
        counts = arrays["counts"]
        if counts.shape != (len(vocab),):
            raise DataError(f"popularity needs {len(vocab)} counts, but was given shape {counts.shape}")
        if counts.dtype not in (np.int64, np.float64):
            raise DataError(f"counts of popularity must be int64 or float64, but are {counts.dtype}")
        scores = counts.astype(np.float32)
        if not np.isfinite(scores).all():
            raise DataError("counts of popularity must be finite, but some are not")
        best = np.lexsort((np.arange(len(scores)), -scores)).astype(np.int32)
        return PopularModel(self, vocab, arrays, best[None], scores[best][None])


@dataclass(frozen=True, eq=False, repr=False)
class PopularModel(Described):
    """The score of an item is its count.

    arrays  "counts" (n,): mentions, int64; float64 with half_life
    best    (1, n) int32 all rows, best first, ties by lower row
    scores  (1, n) float32 beside them
    """

    recipe: Popular
    vocab: Vocab
    arrays: Arrays
    best: np.ndarray
    scores: np.ndarray

    def _summary(self) -> Summary:
        return model_summary(self.recipe, self.vocab, [])

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`."""
        from embedrec.kernels.first_unseen import take_unseen
        from embedrec.kernels.topk import empty_best

        check_k(k, len(self.vocab))
        histories = histories.reindex(self.vocab)
        rows, scores = empty_best(len(histories), k)
        lists = (self.best, self.scores, np.zeros(len(histories), dtype=np.int64))
        take_unseen(*lists, histories.offsets, histories.items, len(self.vocab), not exclude_seen, rows, scores)
        return TopK(rows, scores, self.vocab)
