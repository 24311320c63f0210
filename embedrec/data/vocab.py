"""The vocabulary: which id stands in which row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.errors import DataError, UnknownItemError, did_you_mean

_SOUGHT = 1 << 14  # ids among which near ones are sought for a message
Ids = np.ndarray  # (n,) int64, or object holding str
_PART = 1 << 16  # ids looked at together

WHOLE = r"^(0|-?[1-9][0-9]{0,18})$"  # a whole number that is written in one way only
POINT_ZERO = r"^(0|-?[1-9][0-9]*)\.0+$"  # the same, as columns of floats write it
_WHOLE, _POINT_ZERO = re.compile(WHOLE), re.compile(POINT_ZERO)


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

    def rows(self, ids: Iterable[Any], *, strict: bool = False) -> np.ndarray:
        """Rows of the given ids: (m,) int64, −1 for an unknown id. Ids of the wrong type are unknown.

        Raises UnknownItemError for unknown ids where it is `strict`, naming the first and what is near it; DataError
        for one text instead of several.
        """
        if isinstance(ids, str | bytes):
            raise DataError(f"ids come as a list, but {ids!r} is one text; write [{ids!r}]")
        if strict:
            ids = ids if isinstance(ids, np.ndarray) else list(ids)
            rows = self.rows(ids)
            self._check_known(ids, rows)
            return rows
        if self.integer and isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
            at = np.minimum(np.searchsorted(self._sorted[0], ids), len(self) - 1)
            known = self._sorted[0][at] == ids if len(self) else np.zeros(len(ids), dtype=bool)
            return np.where(known, self._sorted[1][at] if len(self) else -1, -1).astype(np.int64)
        row = self._row_of
        return np.fromiter((row.get(i, -1) for i in ids), dtype=np.int64)

    def rows_of(self, ids: Ids | Iterable[Any]) -> np.ndarray:
        """Rows of ids of either kind: (m,) int64, −1 for an unknown one.

        The number 5, the text "5" and the text "5.0" are one id, unless the vocabulary tells them apart: what is in it
        as it was given comes first.
        """
        given = ids if isinstance(ids, np.ndarray | str | bytes) else list(ids)
        rows = self.rows(given)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown) and len(self):
            others = given[unknown].tolist() if isinstance(given, np.ndarray) else [given[m] for m in unknown.tolist()]
            rows[unknown] = self.rows([in_kind(i, integer=self.integer) for i in others])
        return rows

    def take(self, rows: np.ndarray) -> Vocab:
        """The vocabulary of these rows (m,), in this order. Raises UnknownItemError for rows that are not there."""
        rows = known_rows(rows, len(self))
        return Vocab(
            self.ids[rows],
            None if self.names is None else self.names[rows],
            None if self.counts is None else self.counts[rows],
        )

    def with_counts(self, counts: np.ndarray) -> Vocab:
        """The same ids with other counts (n,)."""
        return Vocab(self.ids, self.names, counts)

    def id(self, row: int) -> Any:
        """The id of a row, as a Python int or str. Raises UnknownItemError for a row that is not there."""
        row = int(known_rows([row], len(self))[0])
        return self.ids[row : row + 1].tolist()[0]

    def name(self, row: int) -> str:
        """The display name of a row, "" where there is none. Raises UnknownItemError for a row that is not there."""
        row = int(known_rows([row], len(self))[0])
        return "" if self.names is None else str(self.names[row])

    def _check_known(self, ids: Sequence[Any] | np.ndarray, rows: np.ndarray) -> None:
        """Raises UnknownItemError where a row is −1."""
        unknown = np.flatnonzero(rows < 0)
        if not len(unknown):
            return
        at = int(unknown[0])
        first = ids[at : at + 1].tolist()[0] if isinstance(ids, np.ndarray) else ids[at]
        texts = self.ids.tolist() if len(self) <= _SOUGHT and not self.integer and isinstance(first, str) else []
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        hint = did_you_mean(first, texts) if texts else ""
        raise UnknownItemError(f"no item {first!r}{more} among the {len(self)} of the vocabulary{hint}")

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


def known_rows(rows: Any, n: int) -> np.ndarray:
    """Rows (m,) as int64. Raises UnknownItemError unless each lies in 0 … n − 1, and for what is no list of rows."""
    given = np.asarray(rows)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise UnknownItemError(f"rows must be whole numbers (m,), but are {given.dtype} of shape {given.shape}")
    odd = np.flatnonzero((given < 0) | (given >= n))
    if len(odd):
        raise UnknownItemError(
            f"rows must lie between 0 and {n - 1}, but {len(odd)} of {len(given)} do not, the first is {given[odd[0]]}"
            + ("; -1 stands for an id that is not known" if given[odd[0]] == -1 else "")
        )
    return given.astype(np.int64, copy=False)


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


def in_kind(given: Any, *, integer: bool) -> Any:
    """An id as a vocabulary of whole numbers or of texts has it: 5 for "5" and "5.0", or "5" for 5 and "5.0".

    What is no whole number of 64 bits stays as it is.
    """
    if isinstance(given, str):
        whole = _POINT_ZERO.fullmatch(given)
        text = whole[1] if whole else given
        return int(text) if integer and _WHOLE.fullmatch(text) and -(2**63) <= int(text) < 2**63 else text
    return given if integer or isinstance(given, bool) or not isinstance(given, int | np.integer) else str(given)


def as_texts(ids: Ids) -> Ids:
    """Ids (n,) of either kind as texts: an object array of str."""
    return ids if ids.dtype != np.int64 else np.array([str(i) for i in ids.tolist()], dtype=object)


def one_kind(first: Ids, *others: Ids) -> list[Ids]:
    """Columns of ids, all of one kind: that of the first where the others can be of it, else texts."""
    columns = (first, *others)
    kinds = {column.dtype == np.int64 for column in columns if len(column)}
    if kinds == {True, False} and len(first) and first.dtype == np.int64:
        numbers = [
            [in_kind(i, integer=True) for i in column.tolist()] if column.dtype != np.int64 else column
            for column in columns
        ]
        if not any(isinstance(i, str) for column in numbers if isinstance(column, list) for i in column):
            return [np.asarray(column, dtype=np.int64) for column in numbers]
    if kinds == {True}:
        return [column if len(column) else np.zeros(0, dtype=np.int64) for column in columns]
    return [as_texts(column) for column in columns]


def _check_range(array: np.ndarray) -> None:
    if len(array) and array.dtype != np.int64 and not -(2**63) <= array.min() <= array.max() < 2**63:
        raise DataError(f"ids must fit into 64 bits, but go from {array.min()} to {array.max()}")
