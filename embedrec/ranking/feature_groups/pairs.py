"""How often candidates occur together with the items of the history, and after them, in training sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.models.pair_counts import PairCounting, best_lists, every_mention
from embedrec.progress import Report, quiet
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of, sparse_table

REACH = {"cooccurrence": 50, "sequence": 10}  # table → greatest distance of a pair, in events
PARTNERS = 200  # pairs kept of an item


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """A table of normalised counts of pairs.

    "cooccurrence"  pairs in both directions, at most 50 events apart; their number divided by the geometric mean of the
                    mentions of both items (cosine)
    "sequence"      the item at most 10 events later, weighted by 1 / distance; the sum divided by the mentions of the
                    earlier item

    starts, items  (n+1,) int64, int32: the partners of item a, the best 200, are items[starts[a]:starts[a + 1]]
    values         float32 beside them, above 0
    timed          whether training sessions have times
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("{table} with last", "normalised count of the pair of the last item and the candidate"),
        Feature("highest {table}", "highest normalised count with the last 10 distinct items"),
        Feature("mean {table}", "mean normalised count with the last 10, weighted 1, 1/2, 1/3 … backwards"),
    )
    TIMED: ClassVar[tuple[Feature, ...]] = (
        Feature("mean {table} by time", "the same, weighted by the time before the last event", "times"),
    )

    table: str
    starts: np.ndarray
    items: np.ndarray
    values: np.ndarray
    timed: bool

    @classmethod
    def fit(cls, sessions: Sessions, *, threads: int, report: Report = quiet) -> list[PairFeatures]:
        """Both tables of training sessions."""
        from embedrec.kernels.pair_counts import TIMES, Formula

        mentions = np.maximum(np.bincount(sessions.items, minlength=len(sessions.vocab)), 1).astype(np.float64)
        groups = []
        for table, most in REACH.items():
            together = table == "cooccurrence"
            reach = min(most, max(1, int(sessions.lengths.max(initial=0))))
            gap = np.ones(reach + 1) if together else 1 / np.maximum(np.arange(reach + 1), 1)
            pairs = every_mention(sessions, gap, back=together, itself=True)
            x, y = (mentions**-0.5, mentions**-0.5) if together else (1 / mentions, np.ones(len(mentions)))
            formula = Formula(TIMES, locked(x), locked(y), 0.0, 0.0, 0.0)
            counting = PairCounting(pairs, formula, threads, report)
            lists = best_lists(counting._replace(formula=formula), PARTNERS)
            filled = lists["items"] >= 0
            starts = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
            columns = locked(starts), locked(lists["items"][filled]), locked(lists["scores"][filled])
            groups.append(cls(table, *columns, sessions.times is not None))
        return groups

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays, timed: bool) -> list[PairFeatures]:
        """Raises DataError for wrong arrays."""
        return [cls(table, *sparse_table(arrays, table, n, rows=n), timed) for table in REACH]

    @property
    def names(self) -> tuple[str, ...]:
        return names_of((*self.FEATURES, *self.TIMED) if self.timed else self.FEATURES, table=self.table)

    @property
    def arrays(self) -> Arrays:
        return {f"{self.table}.{name}": getattr(self, name) for name in ("starts", "items", "values")}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_pairs

        history = (batch.recent, batch.weights, self.timed)
        pairs = (self.starts, self.items, self.values)
        write_pairs(*pairs, *history, batch.offsets, batch.items, batch.place, out, at)
