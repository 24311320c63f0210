"""How two exports of the same kind differ: what stayed, what moved, what came and went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.errors import SettingsError
from embedrec.export.read_lists import Codes, Ranked


@dataclass(frozen=True, eq=False)
class Difference:
    """Two exports, compared list by list.

    k                    results of a list that were compared
    p                    of rank-biased overlap
    overlap              mean overlap of the old lists; one that is not in the new export has none
    figures              name → number; a pair of numbers is that of the old and of the new export
    worst                lists in both that changed most: item, overlap, rank-biased overlap, what was lost, gained
    """

    k: int
    p: float
    overlap: float
    figures: dict[str, float | tuple[float, float]]
    worst: list[dict[str, Any]]


def difference(
    old: Ranked,
    new: Ranked,
    codes: Codes,
    *,
    k: int | None = None,
    p: float = 0.9,
    counts: Mapping[str, float] | None = None,
    worst: int = 10,
) -> Difference:
    """Compare two exports.

    k       results of a list that are compared; None for all of the longest list
    p       of rank-biased overlap (Webber, Moffat & Zobel 2010): how much the next rank weighs; .9 gives the first 10
            ranks 86 % of the weight
    counts  how popular items are, by id: the mean over results as a share of the most popular item is told
    worst   lists that are named, those of the lowest overlap, then rank-biased overlap

    Raises SettingsError when the exports have no list in common, and for p outside of 0 … 1.
    """
    from embedrec.kernels.rank_overlap import compare_lists, only_in

    if not 0 < p < 1:
        raise SettingsError(f"p must lie between 0 and 1, but is {p}")
    seeds, old_at, new_at = np.intersect1d(old.seeds, new.seeds, assume_unique=True, return_indices=True)
    order = np.argsort(old_at)
    seeds, old_at, new_at = seeds[order], old_at[order], new_at[order]
    if not len(old):
        raise SettingsError("the old export has no results, so that nothing can be compared with them")
    if not len(seeds):
        raise SettingsError("the exports have no list of the same item; compare exports of the same catalogue")
    longest = max(int(np.diff(side.offsets).max(initial=1)) for side in (old, new))
    k = longest if k is None else k
    same, overlap, biased = np.empty(len(seeds), dtype=np.bool_), np.empty(len(seeds)), np.empty(len(seeds))
    compare_lists(old.offsets, old.items, new.offsets, new.items, old_at, new_at, k, p, same, overlap, biased)
    listed = [_listed(side, k) for side in (old, new)]
    held = [np.unique(items) for items in listed]
    figures: dict[str, float | tuple[float, float]] = {
        "lists": (len(old), len(new)),
        "lists in both": len(seeds),
        "lists lost": len(old) - len(seeds),
        "lists gained": len(new) - len(seeds),
        "results": (len(listed[0]), len(listed[1])),
        "items listed": (len(held[0]), len(held[1])),
        "items lost": len(np.setdiff1d(held[0], held[1], assume_unique=True)),
        "items gained": len(np.setdiff1d(held[1], held[0], assume_unique=True)),
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
    return Difference(k, p, float(overlap.sum() / len(old)), figures, named)


def _ids(found: np.ndarray, codes: Codes) -> list[str]:
    return [codes.ids[code] for code in found.tolist()]


def _listed(side: Ranked, k: int) -> np.ndarray:
    """The first k items of all lists, end to end."""
    lengths = np.diff(side.offsets)
    place = np.arange(len(side.items)) - np.repeat(side.offsets[:-1], lengths)
    found: np.ndarray = side.items[place < k]
    return found
