"""How often candidates occur together with the items of the history, and after them, in training sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.models.pair_counts import PairCounting, every_mention, weight_sessions
from embedrec.progress import Report, quiet
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of, sparse_table


class PairCounts(NamedTuple):
    """How pairs of a table are counted.

    reach     greatest distance of a pair, in events
    together  whether pairs count in both directions, with weight 1; otherwise forwards, with weight 1 / distance
    recent    whether sessions count with weight 0.5 ** (newer sessions / a tenth of all)
    """

    reach: int
    together: bool
    recent: bool


TABLES = {
    "cooccurrence": PairCounts(50, together=True, recent=False),
    "sequence": PairCounts(10, together=False, recent=False),
    "next": PairCounts(1, together=False, recent=False),
    "recent-sequence": PairCounts(10, together=False, recent=True),
}
HALF_LIFE = 0.1  # of all sessions, see `PairCounts.recent`
PARTNERS = 200  # pairs kept of an item


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """A table of normalised counts of pairs.

    "cooccurrence"  pairs in both directions, at most 50 events apart; their number divided by the geometric mean of the
                    mentions of both items (cosine)
    "sequence"      the item at most 10 events later, weighted by 1 / distance; the sum divided by 1 + the mentions of
                    the earlier item
    "next"          the same for the next event only
    "recent-sequence"  as "sequence", with a weight of sessions that halves with every tenth of all sessions

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

        groups = []
        for table, how in TABLES.items():
            reach = min(how.reach, max(1, int(sessions.lengths.max(initial=0))))
            gap = np.ones(reach + 1) if how.together else 1 / np.maximum(np.arange(reach + 1), 1)
            pairs = every_mention(sessions, gap, back=how.together, itself=True)
            if how.recent:
                weights = 0.5 ** (_newer(sessions) / HALF_LIFE)
                pairs, mentions = weight_sessions(pairs, locked(weights))
            else:
                mentions = np.bincount(sessions.items, minlength=len(sessions.vocab))
            x, y = 1 / (1 + mentions), np.ones(len(mentions))
            if how.together:
                x = y = np.maximum(mentions, 1.0) ** -0.5
            formula = Formula(TIMES, locked(x), locked(y), 0.0, 0.0, 0.0)
            lists = PairCounting(pairs, formula, threads, report).best_lists(PARTNERS)
            filled = lists["items"] >= 0
            starts = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
            columns = locked(starts), locked(lists["items"][filled]), locked(lists["scores"][filled])
            groups.append(cls(table, *columns, sessions.times is not None))
        return groups

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays, timed: bool) -> list[PairFeatures]:
        """Raises DataError for wrong arrays."""
        return [cls(table, *sparse_table(arrays, table, n, rows=n), timed) for table in TABLES]

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


def _newer(sessions: Sessions) -> np.ndarray:
    """The share of sessions that are newer, by the time of the last event, or by order: (S,) float64."""
    order = np.arange(len(sessions))
    if sessions.times is not None:
        ends = np.append(sessions.times, 0)[np.maximum(sessions.offsets[1:] - 1, 0)]  # any for an empty session
        order = np.argsort(ends, kind="stable")
    newer = np.empty(len(sessions))
    newer[order] = np.arange(len(sessions))[::-1] / max(len(sessions), 1)
    return newer
