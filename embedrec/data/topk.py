"""TopK: the one shape of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError


@dataclass(frozen=True, eq=False)
class TopK:
    """The k best items of each of q queries, best first; higher scores are better.

    rows    (q, k) int64 rows into `vocab`; −1 where there are fewer than k
    scores  (q, k) float32; −inf where the row is −1
    vocab   the items

    Among equal scores the lower row comes first. Raises DataError when shapes differ, scores rise or are
    NaN.
    """

    rows: np.ndarray
    scores: np.ndarray
    vocab: Vocab

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", np.asarray(self.rows, dtype=np.int64))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float32))
        if self.rows.ndim != 2 or self.rows.shape != self.scores.shape:
            raise DataError(f"rows {self.rows.shape} and scores {self.scores.shape} must be of one shape (q, k)")
        if (self.scores[:, :-1] < self.scores[:, 1:]).any():
            raise DataError("scores must fall from left to right; sort them with best_first")
        if np.isnan(self.scores).any():
            raise DataError("scores must be numbers, but some are NaN")
        if ((self.rows < 0) != np.isneginf(self.scores)).any():
            raise DataError("missing results must have row -1 and score -inf, both")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def k(self) -> int:
        return self.rows.shape[1]

    def ids(self) -> list[list[Any]]:
        """The ids of each query's results, missing ones left out."""
        return [self.vocab.ids[row[row >= 0]].tolist() for row in self.rows]

    def first(self, k: int) -> TopK:
        """The first k columns."""
        return TopK(self.rows[:, :k], self.scores[:, :k], self.vocab)

    def without(self, rows: np.ndarray) -> TopK:
        """The same without row `rows[i]` in the results of query i, one column narrower.

        rows  (q,) int64; where it is not among the results, the last result goes instead
        """
        at = self.rows == rows[:, None]  # (q, k)
        at[~at.any(axis=1), -1] = True
        keep = ~at
        shape = (len(self), self.k - 1)
        return TopK(self.rows[keep].reshape(shape), self.scores[keep].reshape(shape), self.vocab)


class ItemNeighbours(Protocol):
    """Whatever says which other items are nearest to an item: an Index, a model of vectors, a model of lists."""

    @property
    def vocab(self) -> Vocab: ...

    def neighbours(self, rows: np.ndarray, k: int) -> TopK:
        """The k nearest other items of each row (q,) int64: TopK (q, k), the item itself left out.

        Raises SettingsError when the catalogue does not hold k other items, UnknownItemError for rows that are not
        there (−1 among them).
        """
        ...


def best_first(rows: np.ndarray, scores: np.ndarray, vocab: Vocab) -> TopK:
    """A TopK of results in any order: sorts by falling score, ties by lower row, missing (row −1) last.

    rows    (q, k) int64, −1 for missing
    scores  (q, k) float32, higher is better; whatever stands beside a −1 is ignored
    """
    return in_order(rows, scores.astype(np.float32), vocab)


def in_order(rows: np.ndarray, keys: np.ndarray, vocab: Vocab) -> TopK:
    """The same by keys (q, k) float64, which may tell apart what has the same score in float32."""
    keys = np.where(rows < 0, -np.inf, keys)
    order = np.lexsort((rows, -keys), axis=1)
    return TopK(np.take_along_axis(rows, order, 1), np.take_along_axis(keys, order, 1), vocab)


def check_k(k: int, n: int) -> None:
    """Raises SettingsError unless k lies in 1 … n."""
    if not 1 <= k <= n:
        raise SettingsError(f"k must lie between 1 and the {n} items there are, but is {k}")


def check_others(k: int, n: int) -> None:
    """Raises SettingsError unless k lies in 1 … n − 1."""
    if not 1 <= k < n:
        raise SettingsError(f"in a catalogue of {n} an item has {n - 1} others, but {k} were asked for")


def some_rows(allowed: np.ndarray, n: int) -> np.ndarray:
    """The rows that may be among results: (m,) int64, each once, ascending.

    allowed  (n,) bool, or rows (m,) integers in any order

    Raises SettingsError for a mask of another length, for one of 0 and 1 that is not bool, and for rows that are not
    there.
    """
    given = np.asarray(allowed)
    if given.dtype.kind in "iu" and given.ndim == 1 and len(given) > 2 and given.min() >= 0 and given.max() <= 1:
        raise SettingsError(
            f"what is allowed holds {len(given)} numbers, all of them 0 or 1; a mask must be bool: mask.astype(bool)"
        )
    if given.dtype == bool:
        if given.shape != (n,):
            raise SettingsError(f"a mask of what is allowed must have shape ({n},), but has {given.shape}")
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise SettingsError(f"what is allowed must be a mask or rows, but is {given.dtype} of shape {given.shape}")
    rows = np.unique(given.astype(np.int64))
    if len(rows) and not 0 <= rows[0] <= rows[-1] < n:
        odd = rows[0] if rows[0] < 0 else rows[-1]
        raise SettingsError(f"rows that are allowed must lie between 0 and {n - 1}, but one is {odd}")
    return rows


def among(results: TopK, rows: np.ndarray) -> TopK:
    """The same results (q, k) without those that are not among `rows` (m,), which are missing at the end."""
    mask = np.zeros(len(results.vocab) + 1, dtype=bool)  # the last for row −1
    mask[rows] = True
    allowed = mask[results.rows]
    order = np.argsort(~allowed, axis=1, kind="stable")
    kept = np.take_along_axis(allowed, order, 1)
    return TopK(
        np.where(kept, np.take_along_axis(results.rows, order, 1), -1),
        np.where(kept, np.take_along_axis(results.scores, order, 1), -np.inf),
        results.vocab,
    )
