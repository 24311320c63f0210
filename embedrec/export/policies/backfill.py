"""Something for lists that are too short."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK
from embedrec.export.policies.base import Policy
from embedrec.export.policies.session_index import ItemSessionIndex


@dataclass(frozen=True, eq=False)
class BackOff:
    """Short lists are filled: with items of the seed's training sessions, then with popular ones.

    Items of the same sessions score the cosine of their sets of sessions with the seed's; popular ones their count as a
    share of the most popular item's; neither more than what stands before them.

    k         a list of fewer results is filled,
    reach     up to so many; more than k where a cap comes after it
    counts    (n,) training mentions of the items
    sessions  the training sessions; None where seeds are histories, whose lists are filled with popular items at once
    known     histories (q sessions) whose items are not filled in; None where a seed is an item, which is not
    allowed   which items may be filled in (n,) bool; None where all may
    """

    k: int
    reach: int
    counts: np.ndarray
    sessions: ItemSessionIndex | None
    known: Sessions | None = None
    allowed: np.ndarray | None = None

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import fill_popular, fill_together

        spare = ((0, 0), (0, max(self.reach - found.k, 0)))
        rows = np.pad(found.rows, spare, constant_values=-1)
        scores = np.pad(found.scores.astype(np.float64), spare, constant_values=-np.inf)
        short = np.flatnonzero((rows >= 0).sum(axis=1) < self.k)
        some, values = rows[short, : self.reach], scores[short, : self.reach]
        free = np.ones(len(self.counts), dtype=bool) if self.allowed is None else self.allowed
        if self.sessions is not None:
            pad, met = np.zeros((2, len(self.counts)), dtype=np.int64)
            held = self.sessions
            fill_together(held.starts, held.held, held.offsets, held.items, seeds[short], free, some, values, pad, met)
        order = np.argsort(-self.counts, kind="stable")
        order = order[free[order]]
        shares = self.counts[order] / max(int(self.counts.max(initial=0)), 1)
        if self.known is None:
            offsets, known = np.arange(len(short) + 1), seeds[short]
        else:
            asked = self.known.take(seeds[short])
            offsets, known = asked.offsets, asked.items.astype(np.int64)
        fill_popular(order, shares, offsets, known, some, values)
        rows[short, : self.reach], scores[short, : self.reach] = some, values
        return TopK(rows, scores, found.vocab)


@dataclass(frozen=True, eq=False)
class Refill:
    """Filling and caps by turns, with more and more items, until a list is full or so many were looked at.

    filling  reaches beyond k at first, then four times as far, and so on,
    far      up to so many items a list
    caps     take items away again
    """

    filling: BackOff
    far: int
    caps: tuple[Policy, ...]

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        k, reach = self.filling.k, self.filling.reach
        rows, scores = np.full((len(seeds), k), -1), np.full((len(seeds), k), -np.inf)
        left = np.arange(len(seeds))
        while len(left):
            again = []
            for part in np.array_split(left, -(-len(left) * reach // _BLOCK)):
                some = TopK(found.rows[part], found.scores[part], found.vocab)
                for policy in (replace(self.filling, reach=reach), *self.caps):
                    some = policy.apply(seeds[part], some)
                best = some.first(k)
                rows[part, : best.k], scores[part, : best.k] = best.rows, best.scores
                again.append(part[(rows[part] < 0).any(axis=1)])
            left = np.concatenate(again) if reach < self.far else left[:0]
            reach = min(self.far, _MORE * reach)
        return TopK(rows, scores, found.vocab)


_BLOCK = 1 << 22  # results looked at together
_MORE = 4  # times as many where lists are short
