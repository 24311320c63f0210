"""TopK: the results of queries, and operations on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from embedrec.data.vocab import Vocab, as_ids
from embedrec.errors import DataError, SettingsError
from embedrec.text import Described, Summary, counted

_SHOWN = 10  # results in HTML


@dataclass(frozen=True, eq=False, repr=False)
class TopK(Described):
    """The k best items of each of q queries, best first; higher scores are better.

    rows    (q, k) int64 rows into `vocab`; −1 where there are fewer than k
    scores  (q, k) float32; −inf where the row is −1
    vocab   the items

    Ties are ordered by row. Raises DataError when shapes differ, or scores are ascending or NaN.

    >>> from embedrec import TopK, Vocab
    >>> TopK([[1, 0]], [[0.9, 0.5]], Vocab(["bread", "jam"])).ids()
    [['jam', 'bread']]
    """

    rows: np.ndarray
    scores: np.ndarray
    vocab: Vocab

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", np.asarray(self.rows, dtype=np.int64))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float32))
        if self.rows.ndim != 2 or self.rows.shape != self.scores.shape:
            raise DataError(f"rows {self.rows.shape} and scores {self.scores.shape} must have the same shape (q, k)")
        if not (self.scores[:, :-1] >= self.scores[:, 1:]).all():  # also false for NaN
            self._check_numbers()
            raise DataError("scores must be in descending order; sort them with sort_results")
        if self.k == 1:
            self._check_numbers()
        if not ((self.rows < 0) == (self.scores == -np.inf)).all():
            raise DataError("missing results must have row -1 and score -inf, both")

    @classmethod
    def checked(cls, rows: np.ndarray, scores: np.ndarray, vocab: Vocab) -> TopK:
        """Results that are known to be valid: rows (q, k) int64 and scores (q, k) float32, in order."""
        results = object.__new__(cls)
        vars(results).update(rows=rows, scores=scores, vocab=vocab)
        return results

    def _check_numbers(self) -> None:
        if np.isnan(self.scores).any():
            raise DataError("scores must be numbers, but some are NaN")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def k(self) -> int:
        """The number of results a query, missing ones included."""
        return self.rows.shape[1]

    def ids(self) -> list[list[Any]]:
        """The ids of each query's results, without missing ones."""
        return [self.vocab.ids[row[row >= 0]].tolist() for row in self.rows]

    def to_frame(self, queries: Sequence[Any] | np.ndarray | None = None) -> Any:
        """A pandas.DataFrame with a row a result; `queries` (q,) and columns as of `to_arrow`.

        Raises SettingsError, with the command that installs it, if pandas is missing; DataError as `to_arrow`.

        >>> topk = TopK([[1, 0]], [[0.9, 0.5]], Vocab(["bread", "jam"]))
        >>> topk.to_frame(["butter"])["item"].tolist()
        ['jam', 'bread']
        """
        from embedrec.data.arrow_tables import to_pandas

        return to_pandas(self.to_arrow(queries))

    def to_arrow(self, queries: Sequence[Any] | np.ndarray | None = None) -> Any:
        """A pyarrow.Table with a row a result, without missing ones: the best first, query by query.

        queries  (q,) ids of the queries, all int or all str; None numbers them from 0

        Columns: query, rank (from 1), item (id), item_name (if the vocabulary has names, null for missing), score.
        Raises DataError for another number of queries.

        >>> topk = TopK([[1, 0]], [[0.9, 0.5]], Vocab(["bread", "jam"]))
        >>> topk.to_arrow(["butter"]).to_pylist()[0]
        {'query': 'butter', 'rank': 1, 'item': 'jam', 'score': 0.8999999761581421}
        """
        import pyarrow as pa

        from embedrec.data.arrow_tables import id_column, name_column

        ids = np.arange(len(self)) if queries is None else as_ids(queries)
        if len(ids) != len(self):
            raise DataError(f"these are the results of {len(self)} queries, but {len(ids)} ids of queries were given")
        query, rank = np.nonzero(self.rows >= 0)
        rows = pa.array(self.rows[query, rank])
        columns = {"query": id_column(ids).take(pa.array(query)), "rank": pa.array(rank + 1)}
        columns["item"] = id_column(self.vocab.ids).take(rows)
        if self.vocab.names is not None:
            columns["item_name"] = name_column(self.vocab).take(rows)
        return pa.table({**columns, "score": pa.array(self.scores[query, rank])})

    def _summary(self) -> Summary:
        query, rank = (at[:_SHOWN] for at in np.nonzero(self.rows >= 0))
        rows = self.rows[query, rank]
        first = {"query": query.tolist(), "rank": (rank + 1).tolist(), "item": self.vocab.ids[rows].tolist()}
        if self.vocab.names is not None:
            first["name"] = self.vocab.names[rows].tolist()
        first["score"] = self.scores[query, rank].tolist()
        more = int((self.rows >= 0).sum()) - len(rows)
        return Summary([*counted(queries=len(self)), f"k={self.k}", *counted(items=len(self.vocab))], first, more)

    def first(self, k: int) -> TopK:
        """The first k columns."""
        return TopK(self.rows[:, :k], self.scores[:, :k], self.vocab)

    def without(self, rows: np.ndarray) -> TopK:
        """The results without row `rows[i]` for query i, with one column less.

        rows  (q,) int64; if a row is not among the results, the last result is dropped instead
        """
        keep = self.rows != rows[:, None]  # (q, k)
        keep[keep.all(axis=1), -1] = False
        shape = (len(self), self.k - 1)
        return TopK.checked(self.rows[keep].reshape(shape), self.scores[keep].reshape(shape), self.vocab)


class ItemNeighbours(Protocol):
    """A source of an item's nearest neighbours: an Index, a vector model, or a model of neighbour lists."""

    @property
    def vocab(self) -> Vocab: ...

    def neighbours(self, rows: np.ndarray, k: int) -> TopK:
        """The k nearest other items of each row (q,) int64: TopK (q, k) without the item itself.

        Raises SettingsError when there are fewer than k other items, UnknownItemError for rows out of range (also −1).
        """
        ...


def sort_results(rows: np.ndarray, scores: np.ndarray, vocab: Vocab) -> TopK:
    """The TopK of results in any order: sorted by descending score, ties by row, missing results (row −1) last.

    rows    (q, k) int64, −1 for missing
    scores  (q, k) float32, higher is better; ignored for missing results
    """
    return sort_by_keys(rows, scores.astype(np.float32), vocab)


def sort_by_keys(rows: np.ndarray, keys: np.ndarray, vocab: Vocab) -> TopK:
    """As `sort_results`, by keys (q, k) float64, which may differ for results of equal float32 score."""
    keys = np.where(rows < 0, -np.inf, keys)
    order = np.lexsort((rows, -keys), axis=1)
    return TopK(np.take_along_axis(rows, order, 1), np.take_along_axis(keys, order, 1), vocab)


def check_k(k: int, n: int) -> None:
    """Raises SettingsError unless k is in 1 … n."""
    if not 1 <= k <= n:
        raise SettingsError(f"k must be between 1 and {n}, the number of items, but is {k}")


def check_neighbour_count(k: int, n: int) -> None:
    """Raises SettingsError unless k is in 1 … n − 1."""
    if not 1 <= k < n:
        raise SettingsError(f"the number of neighbours must be between 1 and {n - 1} for {n} items, but is {k}")


def allowed_rows(allowed: np.ndarray, n: int) -> np.ndarray:
    """The rows that results may contain: (m,) int64, distinct, ascending.

    allowed  a mask (n,) bool, or rows (m,) integers in any order

    Raises SettingsError for a mask of another length, a mask of 0 and 1 that is not bool, and rows out of range.
    """
    given = np.asarray(allowed)
    if given.dtype.kind in "iu" and given.ndim == 1 and len(given) > 2 and given.min() >= 0 and given.max() <= 1:
        raise SettingsError(
            f"allowed has {len(given)} numbers, all of them 0 or 1; a mask must be bool: use mask.astype(bool)"
        )
    if given.dtype == bool:
        if given.shape != (n,):
            raise SettingsError(f"a mask of allowed items must have shape ({n},), but has {given.shape}")
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise SettingsError(f"allowed must be a mask or rows, but is {given.dtype} of shape {given.shape}")
    rows = np.unique(given.astype(np.int64))
    if len(rows) and not 0 <= rows[0] <= rows[-1] < n:
        invalid = rows[0] if rows[0] < 0 else rows[-1]
        raise SettingsError(f"allowed rows must be between 0 and {n - 1}, but one is {invalid}")
    return rows


def keep_rows(results: TopK, rows: np.ndarray) -> TopK:
    """The results (q, k) that are among `rows` (m,), best first; the other places are missing."""
    mask = np.zeros(len(results.vocab) + 1, dtype=bool)  # the last for row −1
    mask[rows] = True
    keep = mask[results.rows]
    order = np.argsort(~keep, axis=1, kind="stable")
    keep = np.take_along_axis(keep, order, 1)
    return TopK(
        np.where(keep, np.take_along_axis(results.rows, order, 1), -1),
        np.where(keep, np.take_along_axis(results.scores, order, 1), -np.inf),
        results.vocab,
    )
