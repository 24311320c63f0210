"""The vocabulary: ids and their rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.errors import DataError, UnknownItemError, did_you_mean
from embedrec.text import FIRST_ROWS, Described, Summary, counted

Ids = np.ndarray  # (n,) int64, or an object array of str
_SUGGEST_LIMIT = 1 << 14  # in larger vocabularies, messages suggest no similar ids
_BLOCK = 1 << 16  # ids whose types are checked at a time
_SCANNED_IDS = 8  # so few ids are found by one scan, which takes a tenth of the time of a dict of all ids

WHOLE = r"^(0|-?[1-9][0-9]{0,18})$"  # a whole number in its canonical form
POINT_ZERO = r"^(0|-?[1-9][0-9]*)\.0+$"  # the same, as float columns are written
_WHOLE, _POINT_ZERO = re.compile(WHOLE), re.compile(POINT_ZERO)


@dataclass(frozen=True, eq=False, repr=False)
class Vocab(Described):
    """Unique ids in a fixed order; row r of every array about these ids belongs to `ids[r]`.

    ids     (n,) int64, or object array of str; other integer and string types are converted
    names   (n,) object array of str, display names ("" for missing), or None
    counts  (n,) int64 mentions in the data, or None

    Raises DataError when ids are not unique or lengths differ.

    >>> from embedrec import Vocab
    >>> vocab = Vocab(["bread", "jam"])
    >>> vocab.rows(["jam", "nail"]).tolist()
    [1, -1]
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
                raise DataError(f"a vocabulary of {len(self.ids)} ids must have as many {field}, but has {len(column)}")
        if self.counts is not None and len(self.counts) and self.counts.min() < 0:
            raise DataError(f"counts of a vocabulary must not be negative, but one is {self.counts.min()}")
        if self._count_distinct() != len(self.ids):
            raise DataError(f"vocabulary ids must be unique, but {self._first_duplicate()!r} occurs twice")

    @classmethod
    def from_unique(cls, ids: Ids, names: np.ndarray | None = None, counts: np.ndarray | None = None) -> Vocab:
        """A vocabulary of ids (n,), names and counts (n,); ids are known to be unique, and not checked again."""
        vocab = object.__new__(cls)
        for field, value in (("ids", ids), ("names", names), ("counts", counts)):
            object.__setattr__(vocab, field, value)
        return vocab

    def __len__(self) -> int:
        return len(self.ids)

    def _summary(self) -> Summary:
        columns = {"id": self.ids, "name": self.names, "count": self.counts}
        first = {name: c[:FIRST_ROWS].tolist() for name, c in columns.items() if c is not None}
        extra = [f"{name}s" for name in ("name", "count") if name in first]
        return Summary([*counted(ids=len(self)), *extra], first, len(self) - FIRST_ROWS)

    def labels(self, rows: np.ndarray) -> list[str]:
        """The display names of rows (m,), the ids of those without a name; no row may be −1."""
        ids = map(str, self.ids[rows].tolist())
        return list(ids) if self.names is None else [n or i for n, i in zip(self.names[rows], ids, strict=True)]

    @property
    def integer(self) -> bool:
        """Whether ids are int64 (else they are strings)."""
        return self.ids.dtype == np.int64

    def rows(self, ids: Iterable[Any], *, strict: bool = False) -> np.ndarray:
        """Rows of the given ids: (m,) int64, −1 for an unknown id. Ids of the wrong type are unknown.

        strict  whether an unknown id is an error

        Raises UnknownItemError, with similar ids, for an unknown id if `strict`; DataError for a string instead of a
        list.
        """
        if isinstance(ids, str | bytes):
            raise DataError(f"ids must be a list, but {ids!r} is a string; write [{ids!r}]")
        if strict:
            ids = ids if isinstance(ids, np.ndarray) else list(ids)
            rows = self.rows(ids)
            self._check_known(ids, rows)
            return rows
        if self.integer and isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
            at = np.minimum(np.searchsorted(self._sorted[0], ids), len(self) - 1)
            known = self._sorted[0][at] == ids if len(self) else np.zeros(len(ids), dtype=bool)
            return np.where(known, self._sorted[1][at] if len(self) else -1, -1).astype(np.int64)
        if isinstance(ids, list) and len(ids) <= _SCANNED_IDS and self._first_lookup:
            object.__setattr__(self, "_first_lookup", False)
            known = self.ids.tolist()
            return np.array([known.index(i) if i in known else -1 for i in ids], dtype=np.int64)
        row = self._row_of
        return np.fromiter((row.get(i, -1) for i in ids), dtype=np.int64)

    def rows_of(self, ids: Ids | Iterable[Any]) -> np.ndarray:
        """Rows of ids of either type: (m,) int64, −1 for an unknown id.

        The number 5 and the strings "5" and "5.0" are the same id, unless the vocabulary contains several of them: an
        exact match has priority.
        """
        given = ids if isinstance(ids, np.ndarray | str | bytes) else list(ids)
        rows = self.rows(given)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown) and len(self):
            others = given[unknown].tolist() if isinstance(given, np.ndarray) else [given[m] for m in unknown.tolist()]
            rows[unknown] = self.rows([convert_id(i, integer=self.integer) for i in others])
        return rows

    def take(self, rows: np.ndarray) -> Vocab:
        """The vocabulary of these rows (m,), in this order. Raises UnknownItemError for rows out of range."""
        rows = valid_rows(rows, len(self))
        return Vocab(
            self.ids[rows],
            None if self.names is None else self.names[rows],
            None if self.counts is None else self.counts[rows],
        )

    def with_counts(self, counts: np.ndarray) -> Vocab:
        """The same ids with other counts (n,)."""
        return Vocab(self.ids, self.names, counts)

    def id(self, row: int) -> Any:
        """The id of a row, as a Python int or str. Raises UnknownItemError for a row out of range."""
        row = int(valid_rows([row], len(self))[0])
        return self.ids[row : row + 1].tolist()[0]

    def name(self, row: int) -> str:
        """The display name of a row, "" if it has none. Raises UnknownItemError for a row out of range."""
        row = int(valid_rows([row], len(self))[0])
        return "" if self.names is None else str(self.names[row])

    def _check_known(self, ids: Sequence[Any] | np.ndarray, rows: np.ndarray) -> None:
        """Raises UnknownItemError where a row is −1."""
        unknown = np.flatnonzero(rows < 0)
        if not len(unknown):
            return
        at = int(unknown[0])
        first = ids[at : at + 1].tolist()[0] if isinstance(ids, np.ndarray) else ids[at]
        searched = len(self) <= _SUGGEST_LIMIT and not self.integer and isinstance(first, str)
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        hint = did_you_mean(first, self.ids.tolist()) if searched else ""
        raise UnknownItemError(f"no item {first!r}{more} among the {len(self)} of the vocabulary{hint}")

    def open(self) -> None:
        """Read what lookups of ids need now instead of at the first ones."""
        _ = self._sorted if self.integer else self._row_of

    @cached_property
    def _first_lookup(self) -> bool:
        """Whether no row was looked up yet: a process that answers one query needs no dict."""
        return "_row_of" not in self.__dict__

    @cached_property
    def _row_of(self) -> dict[Any, int]:
        return dict(zip(self.ids.tolist(), range(len(self)), strict=True))

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.ids, kind="stable")  # (n,) rows in ascending order of id
        return self.ids[order], order

    def _count_distinct(self) -> int:
        if self.integer:
            if (self.ids[1:] > self.ids[:-1]).all():  # ascending, such as row numbers: no sort needed
                return len(self.ids)
            ids = self._sorted[0]
            return int((np.diff(ids) != 0).sum()) + min(len(ids), 1)
        return len(self._row_of)

    def _first_duplicate(self) -> Any:
        seen: set[Any] = set()
        return next(i for i in self.ids.tolist() if i in seen or seen.add(i))  # type: ignore[func-returns-value]


def valid_rows(rows: Any, n: int) -> np.ndarray:
    """Rows (m,) as int64. Raises UnknownItemError unless all are whole numbers in 0 … n − 1."""
    given = np.asarray(rows)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise UnknownItemError(f"rows must be whole numbers (m,), but are {given.dtype} of shape {given.shape}")
    if given.size and (given.min() < 0 or given.max() >= n):
        invalid = np.flatnonzero((given < 0) | (given >= n))
        first = given[invalid[0]]
        raise UnknownItemError(
            f"rows must be between 0 and {n - 1}, but {len(invalid)} of {len(given)} are not, the first is {first}"
            + ("; -1 is the row of an unknown id" if first == -1 else "")
        )
    return given.astype(np.int64, copy=False)


def as_ids(ids: Sequence[Any] | np.ndarray) -> Ids:
    """Ids as (n,) int64 or as an object array of str.

    Raises DataError for floats, None, mixed types, and integers beyond 64 bits.
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
    for at in range(0, len(array), _BLOCK):  # one list of all ids would take much memory
        kinds.update(map(type, array[at : at + _BLOCK].tolist()))
    if kinds <= {str}:
        return array.astype(object, copy=False)
    if kinds == {int}:
        _check_range(array)
        return array.astype(np.int64)
    raise DataError(
        f"ids must all be strings or all be integers, but they are {', '.join(sorted(k.__name__ for k in kinds))}"
    )


def convert_id(given: Any, *, integer: bool) -> Any:
    """An id in the type of a vocabulary: 5 for "5" and "5.0" if it has integers, else "5" for 5 and "5.0".

    Ids that are not whole numbers of 64 bits stay unchanged.
    """
    if isinstance(given, str):
        whole = _POINT_ZERO.fullmatch(given)
        text = whole[1] if whole else given
        return int(text) if integer and _WHOLE.fullmatch(text) and -(2**63) <= int(text) < 2**63 else text
    return given if integer or isinstance(given, bool) or not isinstance(given, int | np.integer) else str(given)


def as_texts(ids: Ids) -> Ids:
    """Ids (n,) of either type as strings: an object array of str."""
    return ids if ids.dtype != np.int64 else np.array([str(i) for i in ids.tolist()], dtype=object)


def unify_ids(first: Ids, *others: Ids) -> list[Ids]:
    """Columns of ids in one type: that of the first if the others can be converted to it, else strings."""
    columns = (first, *others)
    kinds = {column.dtype == np.int64 for column in columns if len(column)}
    if kinds == {True, False} and len(first) and first.dtype == np.int64:
        numbers = [
            [convert_id(i, integer=True) for i in column.tolist()] if column.dtype != np.int64 else column
            for column in columns
        ]
        if not any(isinstance(i, str) for column in numbers if isinstance(column, list) for i in column):
            return [np.asarray(column, dtype=np.int64) for column in numbers]
    if kinds == {True}:
        return [column if len(column) else np.zeros(0, dtype=np.int64) for column in columns]
    return [as_texts(column) for column in columns]


def _check_range(array: np.ndarray) -> None:
    if len(array) and array.dtype != np.int64 and not -(2**63) <= array.min() <= array.max() < 2**63:
        raise DataError(f"ids must fit into 64 bits, but range from {array.min()} to {array.max()}")
