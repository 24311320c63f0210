"""The vocabulary: which id stands in which row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.errors import DataError

Ids = np.ndarray  # (n,) int64, or object holding str
_PART = 1 << 16  # ids looked at together


@dataclass(frozen=True, eq=False)
class Vocab:
    """Distinct ids in a fixed order; row r of every matrix beside it belongs to `ids[r]`.

    ids     (n,) int64, or object array of str
    names   (n,) object array of str for display ("" where there is none), or None
    counts  (n,) int64 mentions in the data, or None

    Raises DataError when ids are not unique or lengths differ. Whatever integers come in, ids are int64;
    whatever strings come in, they are an object array of str.
    """

    ids: Ids
    names: np.ndarray | None = None
    counts: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids))
        if self.names is not None:
            object.__setattr__(self, "names", np.asarray(self.names, dtype=object))
        if self.counts is not None:
            object.__setattr__(self, "counts", np.asarray(self.counts, dtype=np.int64))
        for field in ("names", "counts"):
            column = getattr(self, field)
            if column is not None and column.shape != self.ids.shape:
                raise DataError(f"a vocabulary of {len(self.ids)} ids was given {len(column)} {field}")
        if self.counts is not None and len(self.counts) and self.counts.min() < 0:
            raise DataError(f"counts of a vocabulary cannot be negative, but one is {self.counts.min()}")
        if self._distinct() != len(self.ids):
            raise DataError(f"vocabulary ids must be unique, but {self._first_twin()!r} stands twice")

    @classmethod
    def distinct(cls, ids: Ids, names: np.ndarray | None = None, counts: np.ndarray | None = None) -> Vocab:
        """A vocabulary of ids that were told apart when they were read: they are not compared again."""
        made = object.__new__(cls)
        for field, value in (("ids", ids), ("names", names), ("counts", counts)):
            object.__setattr__(made, field, value)
        return made

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def integer(self) -> bool:
        """Whether ids are int64 (else they are strings)."""
        return self.ids.dtype == np.int64

    def rows(self, ids: Iterable[Any]) -> np.ndarray:
        """Rows of the given ids: (m,) int64, −1 for an unknown id. Ids of the wrong type are unknown."""
        if self.integer and isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
            at = np.minimum(np.searchsorted(self._sorted[0], ids), len(self) - 1)
            found = self._sorted[0][at] == ids if len(self) else np.zeros(len(ids), dtype=bool)
            return np.where(found, self._sorted[1][at] if len(self) else -1, -1).astype(np.int64)
        row = self._row_of
        return np.fromiter((row.get(i, -1) for i in ids), dtype=np.int64)

    def take(self, rows: np.ndarray) -> Vocab:
        """The vocabulary of these rows (m,), in this order."""
        return Vocab(
            self.ids[rows],
            None if self.names is None else self.names[rows],
            None if self.counts is None else self.counts[rows],
        )

    def with_counts(self, counts: np.ndarray) -> Vocab:
        """The same ids with other counts (n,)."""
        return Vocab(self.ids, self.names, counts)

    def id(self, row: int) -> Any:
        """The id of a row, as a Python int or str."""
        return self.ids[row : row + 1].tolist()[0]

    def name(self, row: int) -> str:
        """The display name of a row, "" where there is none."""
        return "" if self.names is None else str(self.names[row])

    @cached_property
    def _row_of(self) -> dict[Any, int]:
        return dict(zip(self.ids.tolist(), range(len(self)), strict=True))

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.ids, kind="stable")  # (n,) rows in ascending order of id
        return self.ids[order], order

    def _distinct(self) -> int:
        if self.integer:
            if (self.ids[1:] > self.ids[:-1]).all():  # as row numbers do; nothing needs to be sorted
                return len(self.ids)
            ids = self._sorted[0]
            return int((np.diff(ids) != 0).sum()) + min(len(ids), 1)
        return len(self._row_of)

    def _first_twin(self) -> Any:
        seen: set[Any] = set()
        return next(i for i in self.ids.tolist() if i in seen or seen.add(i))  # type: ignore[func-returns-value]


def as_ids(ids: Sequence[Any] | np.ndarray) -> Ids:
    """Ids as (n,) int64 or as an object array of str.

    Raises DataError for anything else (floats, None, a mixture, integers beyond 64 bits).
    """
    array = ids if isinstance(ids, np.ndarray) else np.array(ids, dtype=object) if len(ids) else np.array([], object)
    if array.ndim != 1:
        raise DataError(f"ids must be one-dimensional, but their shape is {array.shape}")
    if array.dtype.kind in "iu":
        _check_range(array)
        return array.astype(np.int64, copy=False)
    if array.dtype.kind in "UT":
        return array.astype(object)
    kinds: set[type] = set()
    for at in range(0, len(array), _PART):  # not all at once: a list of many ids takes memory for nothing
        kinds.update(map(type, array[at : at + _PART].tolist()))
    if kinds <= {str}:
        return array.astype(object, copy=False)
    if kinds == {int}:
        _check_range(array)
        return array.astype(np.int64)
    raise DataError(
        f"ids must all be strings or all be integers, but they are {', '.join(sorted(k.__name__ for k in kinds))}"
    )


def _check_range(array: np.ndarray) -> None:
    if len(array) and array.dtype != np.int64 and not -(2**63) <= array.min() <= array.max() < 2**63:
        raise DataError(f"ids must fit into 64 bits, but go from {array.min()} to {array.max()}")
