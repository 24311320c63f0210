"""Tags of items, one row an item and tag, as the list feature "tags"."""

from __future__ import annotations

import numpy as np

from embedrec.data.features import Features, Lists
from embedrec.data.vocab import Vocab


def tag_features(
    vocab: Vocab, rows: np.ndarray, tags: np.ndarray, names: np.ndarray, counts: np.ndarray, least: float
) -> Features:
    """The list feature "tags" of all items of a vocabulary, the most counted tag of an item first, ties by name.

    rows    (L,) int64 rows of items
    tags    (L,) int64 positions in `names`, object array of distinct texts
    counts  (L,) how often each was given; summed where an item and tag stand together more than once
    least   tags that were given less often to an item are left out
    """
    order = np.argsort(names, kind="stable")
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    pairs, which = np.unique(rows * len(names) + place[tags], return_inverse=True)
    total = np.bincount(which, weights=counts, minlength=len(pairs))
    pairs, total = pairs[total >= least], total[total >= least]
    item, tag = np.divmod(pairs, max(len(names), 1))
    best = np.lexsort((tag, -total, item))
    used, codes = np.unique(tag[best], return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(item, minlength=len(vocab)))])
    return Features(Vocab(vocab.ids), lists={"tags": Lists(offsets, codes, names[order][used])})
