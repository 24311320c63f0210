"""Drift from one version of a model or index to the next: items, vectors, lists and popularity.

The numbers of the command `drift`, of the gate of `refresh`, of the HTML report and of the service's page all come from
here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab, unify_ids
from embedrec.errors import SettingsError
from embedrec.export.diff import Difference, compare_exports
from embedrec.export.read_lists import IdCodes, RankedLists
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

MOST_ITEMS = 20_000  # whose neighbours are compared
FEWEST_ITEMS = 200
WORK = 2e10  # products of vectors' entries that a comparison may take
_DIM = 64  # taken for the cost of a source without vectors
_BLOCK = 1 << 16  # vectors compared at a time

Pair = tuple[float, float]  # a number of the old version and of the new one


class NeighbourSource(Protocol):
    """Item neighbours: an index, or a model with vectors or lists."""

    @property
    def vocab(self) -> Vocab: ...

    @property
    def vectors(self) -> Embeddings | None: ...

    @property
    def neighbours(self) -> Callable[..., TopK]:
        """rows (q,) int64, k → TopK (q, k)."""
        ...


@dataclass(frozen=True, eq=False)
class CommonItems:
    """Which items of two vocabularies are the same.

    old_rows, new_rows  (m,) int64 rows of the m items in both, in the order of the old vocabulary
    gone                (g,) int64 rows of the old vocabulary that the new one lacks
    added               (a,) int64 rows of the new vocabulary that the old one lacks
    """

    old: Vocab
    new: Vocab
    old_rows: np.ndarray
    new_rows: np.ndarray
    gone: np.ndarray
    added: np.ndarray

    @classmethod
    def of(cls, old: Vocab, new: Vocab) -> CommonItems:
        """The common items of two vocabularies; integer ids and their texts are the same."""
        if old.integer != new.integer:
            old, new = (
                Vocab(ids, vocab.names, vocab.counts)
                for ids, vocab in zip(unify_ids(old.ids, new.ids), (old, new), strict=True)
            )
        at = new.rows_of(old.ids)  # (n,) the new row of each old item
        in_both = np.zeros(len(new), dtype=bool)
        in_both[at[at >= 0]] = True
        old_rows = np.flatnonzero(at >= 0)
        return cls(old, new, old_rows, at[old_rows], np.flatnonzero(at < 0), np.flatnonzero(~in_both))

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """One number for each item of either vocabulary, by its old row (n,) and by its new row (m,): the old rows,
        and numbers after them for added items."""
        of_new = np.empty(len(self.new), dtype=np.int64)
        of_new[self.new_rows] = self.old_rows
        of_new[self.added] = len(self.old) + np.arange(len(self.added))
        return np.arange(len(self.old)), of_new

    def ids(self) -> list[str]:
        """The ids by code."""
        return [*map(str, self.old.ids.tolist()), *map(str, self.new.ids[self.added].tolist())]


@dataclass(frozen=True, eq=False)
class Drift:
    """What changed from one version to the next.

    items       of both versions
    k           results compared of each list
    compared    number of lists compared
    difference  the comparison of the lists
    coverage    share of the items that the lists contain, of each version
    cosines     (c,) of both vectors of each item in both; empty without vectors in the same space
    popularity  mean popularity of the results, as a share of the most frequent item's; None without counts
    shift       total variation distance between the shares of events of the items: 0 for equal ones, 1 for disjoint
                ones; None without counts of both
    recall      of the indexes, None for models; and how it is called, "recall@20"
    metric      of both versions on sessions that neither was trained on, None if not measured; and how it is called
    metric_gap  the 95 % interval of the difference, new − old
    messages    notes for the user
    """

    items: CommonItems
    k: int
    compared: int
    difference: Difference
    coverage: Pair
    cosines: np.ndarray
    popularity: Pair | None = None
    shift: float | None = None
    recall: Pair | None = None
    recall_name: str = ""
    metric: Pair | None = None
    metric_name: str = ""
    metric_gap: Pair | None = None
    messages: list[str] = field(default_factory=list)

    @property
    def overlap(self) -> float:
        """Mean share of the results that stayed."""
        return self.difference.overlap

    def figures(self) -> dict[str, float | Pair]:
        """Name → number; a pair holds those of the old and of the new version. What was not measured is absent."""
        measured: dict[str, Any] = {
            "items": (len(self.items.old), len(self.items.new)),
            "items gone": len(self.items.gone),
            "items new": len(self.items.added),
        }
        if len(self.cosines):
            median, tenth = np.percentile(self.cosines, [50, 10])
            measured |= {"median cosine": float(median), "10th percentile of cosines": float(tenth)}
        lists = self.difference.figures
        measured |= {
            "lists compared": self.compared,
            "lists unchanged": lists["lists unchanged"],
            f"overlap@{self.k}": self.overlap,
            "rank-biased overlap": lists["rank-biased overlap"],
            "coverage": self.coverage,
            "popularity of results": self.popularity,
            "shift of popularity": self.shift,
            f"{self.recall_name} of the index": self.recall,
            f"{self.metric_name} on new sessions": self.metric,
        }
        return {name: value for name, value in measured.items() if value is not None}


def item_drift(
    old: NeighbourSource,
    new: NeighbourSource,
    *,
    counts: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    k: int = 20,
    worst: int = 10,
    same_space: bool = True,
) -> Drift:
    """The drift of item neighbours.

    counts      popularity of the items of both, (n,) and (m,); the most frequent items are compared if there are many
    k           neighbours compared
    worst       how many of the most changed lists to name
    same_space  whether vectors of both can be compared

    Raises SettingsError if both have no item in common, or one of them has only one.
    """
    items = CommonItems.of(old.vocab, new.vocab)
    if not len(items.old_rows):
        raise SettingsError("the versions have no item in common; compare versions of the same catalogue")
    k = max(1, min(k, len(old.vocab) - 1, len(new.vocab) - 1))
    popularity = np.zeros(len(new.vocab)) if counts[1] is None else np.asarray(counts[1])
    size = max(len(s.vocab) * (_DIM if s.vectors is None else s.vectors.dim) for s in (old, new))
    limit = max(FEWEST_ITEMS, min(MOST_ITEMS, int(WORK / max(size, 1))))
    chosen = np.argsort(-popularity[items.new_rows], kind="stable")[:limit]
    messages = []
    if len(chosen) < len(items.old_rows):
        messages.append(f"the {len(chosen):,} most frequent of the {len(items.old_rows):,} items in both are compared")
    lists = old.neighbours(items.old_rows[chosen], k), new.neighbours(items.new_rows[chosen], k)
    cosines = np.zeros(0)
    if old.vectors is not None and new.vectors is not None and same_space:
        cosines = paired_cosines(old.vectors, new.vectors, items)
    return _drift(items, lists, items.old_rows[chosen], counts, worst, cosines, messages)


def result_drift(old: TopK, new: TopK, *, counts: tuple[np.ndarray | None, np.ndarray | None] = (None, None)) -> Drift:
    """The drift of results of the same q queries, such as recommendations; `counts` as of `item_drift`.

    Raises SettingsError if no query has results in the old version.
    """
    items = CommonItems.of(old.vocab, new.vocab)
    return _drift(items, (old, new), np.arange(len(old)), counts, 0, np.zeros(0), [])


def paired_cosines(old: Embeddings, new: Embeddings, items: CommonItems) -> np.ndarray:
    """The cosine of both vectors of each item in both, (c,) float64; empty if dimensions differ. Zero vectors, which
    have no direction, are left out."""
    if old.dim != new.dim:
        return np.zeros(0)
    cosines = np.empty(len(items.old_rows))
    for start in range(0, len(cosines), _BLOCK):
        block = slice(start, start + _BLOCK)
        a, b = unit(old.vectors[items.old_rows[block]]), unit(new.vectors[items.new_rows[block]])
        products = np.einsum("ij,ij->i", a, b, dtype=np.float64)
        cosines[block] = np.where(a.any(axis=1) & b.any(axis=1), np.clip(products, -1, 1), np.nan)
    return cosines[~np.isnan(cosines)]


def popularity_shift(items: CommonItems, old: np.ndarray, new: np.ndarray) -> float:
    """The total variation distance between the shares of events of the items, from counts (n,) and (m,)."""
    of_old, of_new = items.codes()
    shares = np.zeros((2, len(items.old) + len(items.added)))
    shares[0, of_old] = np.asarray(old) / max(float(np.sum(old)), 1)
    shares[1, of_new] = np.asarray(new) / max(float(np.sum(new)), 1)
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _drift(
    items: CommonItems,
    lists: tuple[TopK, TopK],
    seeds: np.ndarray,
    counts: tuple[np.ndarray | None, np.ndarray | None],
    worst: int,
    cosines: np.ndarray,
    messages: list[str],
) -> Drift:
    of_old, of_new = items.codes()
    codes = IdCodes()
    codes.ids = items.ids()
    k = max(lists[0].k, lists[1].k)
    ranked = _ranked(seeds, lists[0].rows, of_old), _ranked(seeds, lists[1].rows, of_new)
    difference = compare_exports(*ranked, codes, k=k, worst=worst)
    sizes = len(items.old), len(items.new)
    coverage = [len(np.unique(one.items)) / size for one, size in zip(ranked, sizes, strict=True)]
    popularity = shift = None
    if counts[1] is not None:
        of_code = np.zeros(len(codes.ids))
        if counts[0] is not None:
            of_code[of_old] = counts[0]
            shift = popularity_shift(items, counts[0], counts[1])
        of_code[of_new] = counts[1]
        share = of_code / max(float(of_code.max(initial=0)), 1)
        means = [float(share[one.items].mean()) if len(one.items) else 0.0 for one in ranked]
        popularity = means[0], means[1]
    pair = coverage[0], coverage[1]
    return Drift(items, k, len(seeds), difference, pair, cosines, popularity, shift, messages=messages)


def _ranked(seeds: np.ndarray, rows: np.ndarray, code_of: np.ndarray) -> RankedLists:
    """The lists of seeds (q,) from rows (q, k), −1 for missing, as codes."""
    lengths = (rows >= 0).sum(axis=1)
    return RankedLists(seeds, np.concatenate([[0], np.cumsum(lengths)]), code_of[rows[rows >= 0]])
