"""A minimum score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.features import Features
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.export.policies.base import kept
from embedrec.export.policies.session_index import ItemSessionIndex


@dataclass(frozen=True)
class MinScore:
    """Results with a lower score than `least` go."""

    least: float

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        return kept(found, found.scores >= np.float32(self.least))


@dataclass(frozen=True, eq=False)
class MinEvidence:
    """Results that stand in fewer than `least` training sessions together with the seed go."""

    least: int
    sessions: ItemSessionIndex

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import count_shared

        shared = np.empty(found.rows.shape, dtype=np.int64)
        count_shared(self.sessions.starts, self.sessions.held, seeds, found.rows, shared)
        return kept(found, shared >= self.least)


@dataclass(frozen=True, eq=False)
class Mutual:
    """A result stays where the seed is among its own results.

    rows  (n, c) int32, the results of all before any policy, −1 for missing
    """

    rows: np.ndarray

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import find_mutual

        keep = np.empty(found.rows.shape, dtype=np.bool_)
        find_mutual(self.rows, seeds, found.rows, keep)
        return kept(found, keep)


@dataclass(frozen=True, eq=False)
class Cap:
    """At most so many results of a list have the same value of an attribute, such as the artist; the best stay.

    offsets, codes  values of item a: codes[offsets[a]:offsets[a + 1]]; (n+1,) int64, int32. An item of several values
                    goes where one of them is used up; an item without stays
    """

    most: int
    offsets: np.ndarray
    codes: np.ndarray

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import keep_capped

        keep = np.empty(found.rows.shape, dtype=np.bool_)
        keep_capped(self.offsets, self.codes, self.most, found.rows, keep)
        return kept(found, keep)


def cap(most: int, attribute: str, features: Features, vocab: Vocab) -> Cap:
    """A cap on a feature of the items. Raises SettingsError, naming the nearest, when there is none of that name."""
    here = features.aligned(vocab)
    if attribute in here.lists:
        lists = here.lists[attribute]
        return Cap(most, lists.offsets, lists.codes)
    if attribute in here.categorical:
        codes = here.categorical[attribute].codes
        there = codes >= 0
    elif attribute in here.numeric:
        numbers = here.numeric[attribute]
        there = ~np.isnan(numbers)
        codes = np.zeros(len(numbers), dtype=np.int32)
        codes[there] = np.unique(numbers[there], return_inverse=True)[1]
    else:
        names = [*here.categorical, *here.lists, *here.numeric]
        near = did_you_mean(attribute, names) or f"; there are {', '.join(names) or 'none'}"
        raise SettingsError(f"items have no feature {attribute!r} to cap{near}")
    return Cap(most, np.concatenate([[0], np.cumsum(there)]).astype(np.int64), codes[there].astype(np.int32))
