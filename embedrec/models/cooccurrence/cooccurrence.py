"""Co-occurrence: items are similar if they share more sessions than their popularity explains.

No training, no vectors, no index: every item has a list of neighbours, from which similar items and recommendations
come. `Cooccurrence` has the formulas and their sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.models.base import Arrays, ExactIncrement
from embedrec.models.neighbour_lists import ListsModel, check_lists
from embedrec.models.pair_counts import NO_NUMBERS, PairCountRecipe, PairSource
from embedrec.models.session_encoders import Weights
from embedrec.models.session_weights import PairStatistics, scale_weights

if TYPE_CHECKING:
    from embedrec.kernels.pair_counts import Formula

Measure = Literal["raw", "normalised", "cosine", "jaccard", "lift", "ppmi", "tf-idf", "bm25"]
_SHRINKAGE = {"cosine": 20.0, "tf-idf": 20.0}  # default of the measures that have one


@dataclass(frozen=True)
class Cooccurrence(PairCountRecipe["CooccurrenceModel"], ExactIncrement):
    """Neighbours by a measure of co-occurrence in sessions.

    An item counts once a session, at its first mention. c(a,b) is the number of sessions that contain both, at most
    `window` places apart; s(a) that of sessions that contain a, of S in all; t(a) = Σ_b c(a,b) and T = Σ_a t(a). With
    the shrinkage λ:

    raw         c(a,b)
    normalised  c(a,b) / (t(a) + t(b))
    cosine      c(a,b) / (√(s(a)·s(b)) + λ), of binary columns of sessions (Sarwar et al. 2001), shrunk as by Ferrari
                Dacrema, Cremonesi & Jannach 2019
    jaccard     c(a,b) / (s(a) + s(b) − c(a,b) + λ)
    lift        c(a,b) / (s(a)·s(b)/S + λ): observed over expected count (Brin et al. 1997); shrunk as by Norén,
                Hopstadius & Bate 2013
    ppmi        ln(c(a,b) / (t(a)·t(b)/T + λ)) where it is positive (Church & Hanks 1990; Levy & Goldberg 2014)
    tf-idf      the cosine of columns with idf(q) = ln(1 + n/|q|) for a session q of |q| of the n items: a pair of a
                long session weighs less (Spärck Jones 1972). Weights idf² are scaled to a mean of 1 over all mentions,
                so that λ has the scale of the cosine's
    bm25        Σ w(a,q)·w(b,q) over the sessions q of both, w(a,q) = ln(1 + (n − |q| + ½)/(|q| + ½))·(k1 + 1) /
                (1 + k1·(1 − b + b·s(a)/s̄)), s̄ the mean of s: items as documents of sessions (Robertson & Zaragoza 2009)

    measure    one of these
    window     largest distance of the items of a pair; 0 is the whole session, whose work grows with its squared
               length
    min_count  items mentioned less often are left out
    shrinkage  λ, against pairs of rare items; None is 20 for cosine and tf-idf, and 0 for the others, which is the
               standard formula. raw, normalised and bm25 have none
    threshold  neighbours of a lower score are left out
    top        neighbours kept an item
    k1, b      of bm25
    decay      recommendation sums the lists of the history's items; weight of an item relative to the one after it

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, Cooccurrence
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = Cooccurrence(measure="jaccard", min_count=1).fit(sessions)
    >>> model.neighbours(sessions.vocab.rows(["bread"]), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "cooccurrence"
    SPACE: ClassVar[dict[str, str]] = {
        "measure": "raw,normalised,cosine,jaccard,lift,ppmi,tf-idf,bm25",
        "window": "0,2,5,10,25",
        "shrinkage": "0.5..100 log",
        "decay": "0.4..1",
    }
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"measure": "normalised", "window": 2},
        {"measure": "ppmi", "window": 2},
        {"measure": "bm25", "window": 2},
        {"measure": "tf-idf", "top": 2, "decay": 0.5},
    )

    # Chosen on playlists, listening sessions and clicks counts out of training data; no test part was looked at.
    measure: Measure = "tf-idf"
    window: int = 0
    min_count: int = 1
    shrinkage: float | None = None
    threshold: float = 0.0
    top: int = 100
    k1: float = 1.2
    b: float = 0.75
    decay: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        if self.shrinkage and self.measure in ("raw", "normalised", "bm25"):
            raise SettingsError(f"{self.measure} has no shrinkage, but it is {self.shrinkage:g}; leave it out")

    def count_arrays(
        self, counting: PairSource, vocab: Vocab, seed: int, earlier: CooccurrenceModel | None
    ) -> dict[str, np.ndarray]:
        """The neighbour lists, "items" (n, top) int32 and "scores" (n, top) float32; nothing is random.

        earlier  has no effect: almost every list changes from day to day, see `scripts/bench/refresh.py increments`
        """
        return counting.best_lists(self.top)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> CooccurrenceModel:
        """The model of the arrays "items" and "scores", both (n, m). Raises DataError when they do not fit."""
        check_lists(vocab, arrays, "neighbours")
        return CooccurrenceModel(self, vocab, arrays)

    def session_weights(self, lengths: np.ndarray, n: int) -> np.ndarray | None:
        """See `PairCountRecipe.session_weights`: those of tf-idf and bm25."""
        items = np.arange(len(lengths))  # of a session
        if self.measure == "tf-idf":
            return scale_weights(np.log1p(n / np.maximum(items, 1)) ** 2, lengths)
        if self.measure == "bm25":
            return np.log1p((n - items + 0.5) / (items + 0.5)) ** 2
        return None

    def formula(self, statistics: PairStatistics) -> Formula:
        """The formula of the measure."""
        from embedrec.kernels import pair_counts as kernels

        kind, x, y = kernels.COUNT, NO_NUMBERS, NO_NUMBERS
        counts, total = statistics.counts, statistics.totals
        if self.measure == "normalised":
            kind, x = kernels.SUM, total
        elif self.measure == "cosine":
            kind, x = kernels.RATIO, np.sqrt(counts)
        elif self.measure == "jaccard":
            kind, x = kernels.UNION, counts
        elif self.measure == "lift":
            kind, x, y = kernels.RATIO, counts, counts / max(statistics.sessions, 1)
        elif self.measure == "ppmi":
            kind, x, y = kernels.LOG, total, total / max(total.sum(), 1)
        elif self.measure == "tf-idf":
            kind, x = kernels.RATIO, np.sqrt(statistics.norms)
        elif self.measure == "bm25":
            kind, x = kernels.TIMES, (self.k1 + 1) / (1 + self.k1 * (1 - self.b + self.b * counts / counts.mean()))
        shrinkage = _SHRINKAGE.get(self.measure, 0.0) if self.shrinkage is None else self.shrinkage
        return kernels.Formula(kind, x, x if y is NO_NUMBERS else y, shrinkage, 0.0, self.threshold)


_BOUNDS = {
    "window": (0, 2**31), "min_count": (1, 2**31), "shrinkage": (0, 2**31), "threshold": (0, np.inf), "top": (1, 2**31),
    "k1": (0, 2**31), "b": (0, 1), "decay": (1e-6, 1),
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class CooccurrenceModel(ListsModel):
    """Recommends the items of highest summed score in the lists of the history's items, recent items weighing more;
    fewer than k if the lists hold fewer, none for an empty history."""

    recipe: Cooccurrence

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`."""
        from embedrec.kernels.sum_lists import add_lists
        from embedrec.kernels.topk import empty_best

        check_k(k, len(self.vocab))
        histories = histories.reindex(self.vocab)
        rows, scores = empty_best(len(histories), k)
        lists = (self.arrays["items"], self.arrays["scores"], Weights(self.recipe.decay).of(histories))
        add_lists(*lists, histories.offsets, histories.items, len(self.vocab), not exclude_seen, rows, scores)
        return TopK(rows, scores, self.vocab)
