"""Back-off: short lists are filled with co-occurring items, then with popular ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK
from embedrec.export.policies.base import Policy, PolicyContext
from embedrec.export.policies.session_index import ItemSessionIndex
from embedrec.export.policies.thresholds import Caps


@dataclass(frozen=True, eq=False)
class BackOff:
    """Fill short lists with items of the seed's training sessions, then with popular items.

    A co-occurring item scores the cosine between its set of sessions and the seed's; a popular one its count as a share
    of the highest count. No score exceeds the one before it.

    k              lists with fewer results are filled
    reach          the length to which they are filled; more than k if a cap follows
    counts         (n,) occurrences of the items in training
    item_sessions  the training sessions; None if the seeds are histories, which are filled with popular items only
    known          histories (q sessions) whose items are not added; None if the seeds are items, which are not added
    allowed        which items may be added (n,) bool; None for all
    """

    k: int
    reach: int
    counts: np.ndarray
    item_sessions: ItemSessionIndex | None
    known: Sessions | None = None
    allowed: np.ndarray | None = None

    @classmethod
    def create(cls, value: bool, context: PolicyContext) -> Policy:
        """The policy; with caps it applies them again."""
        inputs, width = context.inputs, context.candidates.k
        item_sessions = context.item_sessions if inputs.known is None else None
        if not context.policies.caps:
            return cls(context.k, context.k, context.counts, item_sessions, inputs.known, inputs.allowed)
        back_off = cls(context.k, width, context.counts, item_sessions, inputs.known, inputs.allowed)
        max_reach = min(len(inputs.vocab), max(width, _MAX_REACH))
        return CappedBackOff(back_off, max_reach, Caps.create(context.policies.caps, context).caps)

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import fill_cooccurring, fill_popular

        spare = ((0, 0), (0, max(self.reach - lists.k, 0)))
        rows = np.pad(lists.rows, spare, constant_values=-1)
        scores = np.pad(lists.scores.astype(np.float64), spare, constant_values=-np.inf)
        short = np.flatnonzero((rows >= 0).sum(axis=1) < self.k)
        results, values = rows[short, : self.reach], scores[short, : self.reach]
        allowed = np.ones(len(self.counts), dtype=bool) if self.allowed is None else self.allowed
        if self.item_sessions is not None:
            index, scratch = self.item_sessions, np.zeros((2, len(self.counts)), dtype=np.int64)
            arrays = index.starts, index.sessions, index.offsets, index.items
            fill_cooccurring(*arrays, seeds[short], allowed, results, values, *scratch)
        order = np.argsort(-self.counts, kind="stable")
        order = order[allowed[order]]
        shares = self.counts[order] / max(int(self.counts.max(initial=0)), 1)
        if self.known is None:
            offsets, known = np.arange(len(short) + 1), seeds[short]
        else:
            histories = self.known.take(seeds[short])
            offsets, known = histories.offsets, histories.items.astype(np.int64)
        fill_popular(order, shares, offsets, known, results, values)
        rows[short, : self.reach], scores[short, : self.reach] = results, values
        return TopK(rows, scores, lists.vocab)


@dataclass(frozen=True, eq=False)
class CappedBackOff:
    """Back-off under caps: fill lists and apply the caps, with a growing reach, until the lists are full.

    back_off   its reach grows by a factor of 4 in each round,
    max_reach  up to this many items a list
    caps       applied after each round
    """

    back_off: BackOff
    max_reach: int
    caps: tuple[Policy, ...]

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        k, reach = self.back_off.k, self.back_off.reach
        rows, scores = np.full((len(seeds), k), -1), np.full((len(seeds), k), -np.inf)
        pending = np.arange(len(seeds))
        while len(pending):
            short = []
            for part in np.array_split(pending, -(-len(pending) * reach // BLOCK_RESULTS)):
                block = TopK(lists.rows[part], lists.scores[part], lists.vocab)
                for policy in (replace(self.back_off, reach=reach), *self.caps):
                    block = policy.apply(seeds[part], block)
                best = block.first(k)
                rows[part, : best.k], scores[part, : best.k] = best.rows, best.scores
                short.append(part[(rows[part] < 0).any(axis=1)])
            pending = np.concatenate(short) if reach < self.max_reach else pending[:0]
            reach = min(self.max_reach, REACH_FACTOR * reach)
        return TopK(rows, scores, lists.vocab)


BLOCK_RESULTS = 1 << 22  # results in memory at a time
REACH_FACTOR = 4  # growth of the reach in each round
_MAX_REACH = 4096  # items considered when filling a list under caps
