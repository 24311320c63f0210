"""Policies that filter: minimum score, minimum evidence, mutual neighbours, caps on attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from embedrec.data.features import Features
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.export.policies.base import PolicyContext, filter_results
from embedrec.export.policies.session_index import ItemSessionIndex


@dataclass(frozen=True)
class MinScore:
    """Drop results with a score below `least`."""

    least: float

    @classmethod
    def create(cls, value: float, context: PolicyContext) -> MinScore:
        return cls(value)

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        return filter_results(lists, lists.scores >= np.float32(self.least))


@dataclass(frozen=True, eq=False)
class MinEvidence:
    """Drop results that co-occur with the seed in fewer than `least` training sessions."""

    least: int
    item_sessions: ItemSessionIndex

    @classmethod
    def create(cls, value: int, context: PolicyContext) -> MinEvidence:
        return cls(value, context.item_sessions)

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import count_shared

        shared = np.empty(lists.rows.shape, dtype=np.int64)
        count_shared(self.item_sessions.starts, self.item_sessions.sessions, seeds, lists.rows, shared)
        return filter_results(lists, shared >= self.least)


@dataclass(frozen=True, eq=False)
class Mutual:
    """Keep a result only if the seed is among the results of that item.

    rows  (n, c) int32, the candidates of all items before any policy, −1 for missing
    """

    rows: np.ndarray

    @classmethod
    def create(cls, value: bool, context: PolicyContext) -> Mutual:
        if context.inputs.allowed is not None:
            raise SettingsError(
                "mutual needs the lists of all items, but a filter excludes some; leave out one of them"
            )
        context.check_same_items()
        return cls(context.candidates.mapped())

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import find_mutual

        keep = np.empty(lists.rows.shape, dtype=np.bool_)
        find_mutual(self.rows, seeds, lists.rows, keep)
        return filter_results(lists, keep)


@dataclass(frozen=True, eq=False)
class Cap:
    """Keep at most `most` results of a list with the same value of an attribute, such as the artist: the best ones.

    offsets, codes  values of item a: codes[offsets[a]:offsets[a + 1]]; (n+1,) int64, int32. An item with several
                    values is dropped when one of them has reached the cap; an item without a value is kept
    """

    most: int
    offsets: np.ndarray
    codes: np.ndarray

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import keep_capped

        keep = np.empty(lists.rows.shape, dtype=np.bool_)
        keep_capped(self.offsets, self.codes, self.most, lists.rows, keep)
        return filter_results(lists, keep)


@dataclass(frozen=True, eq=False)
class Caps:
    """Caps on several attributes, one after the other."""

    caps: tuple[Cap, ...]

    @classmethod
    def create(cls, value: Mapping[str, int], context: PolicyContext) -> Caps:
        features, vocab = context.inputs.features(), context.inputs.vocab
        return cls(tuple(cap_feature(most, attribute, features, vocab) for attribute, most in value.items()))

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        for cap in self.caps:
            lists = cap.apply(seeds, lists)
        return lists


def cap_feature(most: int, attribute: str, features: Features, vocab: Vocab) -> Cap:
    """A cap on a feature of the items. Raises SettingsError for an unknown feature, suggesting a similar name."""
    aligned = features.align(vocab)
    if attribute in aligned.lists:
        values = aligned.lists[attribute]
        return Cap(most, values.offsets, values.codes)
    if attribute in aligned.categorical:
        codes = aligned.categorical[attribute].codes
        known = codes >= 0
    elif attribute in aligned.numeric:
        numbers = aligned.numeric[attribute]
        known = ~np.isnan(numbers)
        codes = np.zeros(len(numbers), dtype=np.int32)
        codes[known] = np.unique(numbers[known], return_inverse=True)[1]
    else:
        names = [*aligned.categorical, *aligned.lists, *aligned.numeric]
        near = did_you_mean(attribute, names) or f"; the features are {', '.join(names) or 'none'}"
        raise SettingsError(f"items have no feature {attribute!r} to cap{near}")
    return Cap(most, np.concatenate([[0], np.cumsum(known)]).astype(np.int64), codes[known].astype(np.int32))
