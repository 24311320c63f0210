"""The difference between two exports of the same kind: overlap, rank-biased overlap, items and lists that changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.errors import SettingsError
from embedrec.export.read_lists import IdCodes, RankedLists


@dataclass(frozen=True, eq=False)
class Difference:
    """The comparison of two exports, list by list.

    k         results compared in each list
    p         persistence of rank-biased overlap
    overlap   mean overlap over the old lists; 0 for a list that is missing in the new export
    figures   name → number; a pair holds the numbers of the old and the new export
    worst     lists in both that changed most: item, overlap, rank-biased overlap, items lost, items gained
    overlaps  (m,) float64, of each list in both
    """

    k: int
    p: float
    overlap: float
    figures: dict[str, float | tuple[float, float]]
    worst: list[dict[str, Any]]
    overlaps: np.ndarray


def compare_exports(
    old: RankedLists,
    new: RankedLists,
    codes: IdCodes,
    *,
    k: int | None = None,
    p: float = 0.9,
    counts: Mapping[str, float] | None = None,
    worst: int = 10,
) -> Difference:
    """Compare two exports.

    k       results of each list to compare; None for the length of the longest list
    p       persistence of rank-biased overlap (Webber, Moffat & Zobel 2010): the weight of each rank relative to the
            rank before; .9 gives the first 10 ranks 86 % of the weight
    counts  popularity by id: adds the mean popularity of the results, as a share of the most popular item's
    worst   how many lists to name, those of the lowest overlap, then of the lowest rank-biased overlap

    Raises SettingsError if the exports have no list in common, and for p outside of 0 … 1.
    """
    from embedrec.kernels.rank_overlap import compare_lists, only_in

    if not 0 < p < 1:
        raise SettingsError(f"p must be between 0 and 1; it is {p}")
    seeds, old_at, new_at = np.intersect1d(old.seeds, new.seeds, assume_unique=True, return_indices=True)
    order = np.argsort(old_at)
    seeds, old_at, new_at = seeds[order], old_at[order], new_at[order]
    if not len(old):
        raise SettingsError("the old export has no results; compare with an export that has some")
    if not len(seeds):
        raise SettingsError("the exports have no item in common; compare exports of the same catalogue")
    longest = max(int(np.diff(side.offsets).max(initial=1)) for side in (old, new))
    k = longest if k is None else k
    same, overlap, biased = np.empty(len(seeds), dtype=np.bool_), np.empty(len(seeds)), np.empty(len(seeds))
    compare_lists(old.offsets, old.items, new.offsets, new.items, old_at, new_at, k, p, same, overlap, biased)
    listed = [_first_items(side, k) for side in (old, new)]
    distinct = [np.unique(items) for items in listed]
    figures: dict[str, float | tuple[float, float]] = {
        "lists": (len(old), len(new)),
        "lists in both": len(seeds),
        "lists lost": len(old) - len(seeds),
        "lists gained": len(new) - len(seeds),
        "results": (len(listed[0]), len(listed[1])),
        "items listed": (len(distinct[0]), len(distinct[1])),
        "items lost": len(np.setdiff1d(distinct[0], distinct[1], assume_unique=True)),
        "items gained": len(np.setdiff1d(distinct[1], distinct[0], assume_unique=True)),
        "lists unchanged": int(same.sum()),
        f"overlap@{k}": float(overlap.sum() / len(old)),
        "rank-biased overlap": float(biased.sum() / len(old)),
    }
    if counts is not None:
        known = np.array([counts.get(i, 0.0) for i in codes.ids])
        share = known / max(counts.values(), default=1)
        means = [float(share[items].mean()) if len(items) else float("nan") for items in listed]
        figures["popularity"] = (means[0], means[1])
    changed = np.lexsort((np.arange(len(seeds)), biased, overlap))
    changed = changed[~same[changed]][:worst]
    named = [
        {
            "item": codes.ids[seeds[i]],
            f"overlap@{k}": round(float(overlap[i]), 4),
            "rbo": round(float(biased[i]), 4),
            "lost": _ids(only_in(old.offsets, old.items, old_at[i], new.offsets, new.items, new_at[i], k), codes),
            "gained": _ids(only_in(new.offsets, new.items, new_at[i], old.offsets, old.items, old_at[i], k), codes),
        }
        for i in changed.tolist()
    ]
    return Difference(k, p, float(overlap.sum() / len(old)), figures, named, overlap)


def _ids(items: np.ndarray, codes: IdCodes) -> list[str]:
    return [codes.ids[code] for code in items.tolist()]


def _first_items(lists: RankedLists, k: int) -> np.ndarray:
    """The first k items of each list, concatenated."""
    ranks = np.arange(len(lists.items)) - np.repeat(lists.offsets[:-1], np.diff(lists.offsets))
    items: np.ndarray = lists.items[ranks < k]
    return items
