"""Features: side information of items or users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embedrec.data.offsets import check_offsets
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.text import FIRST_ROWS, Described, Summary, counted, listed

ID = "id"  # the column of ids in a file; no feature can have this name


@dataclass(frozen=True, eq=False)
class Categories:
    """One category a row: a key, a country.

    codes  (m,) int32 positions in `names`, −1 for missing
    names  (c,) object array of distinct strings
    """

    codes: np.ndarray
    names: np.ndarray

    def __post_init__(self) -> None:
        _check_codes(self)

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> Categories:
        """The categories of these rows (k,), missing for row −1; names stay the same."""
        codes = np.full(len(rows), -1, dtype=np.int32)
        codes[rows >= 0] = self.codes[rows[rows >= 0]]
        return Categories(codes, self.names)


@dataclass(frozen=True, eq=False)
class Lists:
    """Any number of categories a row, in the given order: genres, tags. A missing list is empty.

    offsets  (m+1,) int64; row r has the codes `codes[offsets[r]:offsets[r+1]]`
    codes    (L,) int32 positions in `names`
    names    (c,) object array of distinct strings
    """

    offsets: np.ndarray
    codes: np.ndarray
    names: np.ndarray

    def __post_init__(self) -> None:
        _check_codes(self, lowest=0)
        offsets = np.asarray(self.offsets, dtype=np.int64)
        object.__setattr__(self, "offsets", offsets)
        check_offsets(offsets, len(self.codes), "lists", "codes")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """The codes of a row: (length,) int32."""
        return self.codes[self.offsets[row] : self.offsets[row + 1]]

    def take(self, rows: np.ndarray) -> Lists:
        """The lists of these rows (k,), empty for row −1; names stay the same."""
        lengths = np.zeros(len(rows), dtype=np.int64)
        starts = np.zeros(len(rows), dtype=np.int64)
        known = rows >= 0
        lengths[known] = np.diff(self.offsets)[rows[known]]
        starts[known] = self.offsets[rows[known]]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        codes = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])  # (L,) positions in self.codes
        return Lists(offsets, self.codes[codes], self.names)


@dataclass(frozen=True, eq=False, repr=False)
class Features(Described):
    """Side information of m items or users; row r of every column belongs to `vocab.ids[r]`.

    vocab        the ids, with display names if the source has them
    numeric      name → (m,) float64, or float32 if the source is float32; NaN for missing
    categorical  name → Categories of m rows
    lists        name → Lists of m rows
    dates        names of numeric columns that hold days since 1970

    Raises DataError when a column does not have m rows or contains infinity, or its name is empty, "id" or a duplicate.

    >>> import numpy as np
    >>> from embedrec import Features, Vocab
    >>> Features(Vocab(["bread", "jam"]), numeric={"price": np.array([2.5, np.nan])})
    Features(2 ids, numeric price)
    """

    vocab: Vocab
    numeric: Mapping[str, np.ndarray] = field(default_factory=dict)
    categorical: Mapping[str, Categories] = field(default_factory=dict)
    lists: Mapping[str, Lists] = field(default_factory=dict)
    dates: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        numeric = {name: _as_floats(column) for name, column in self.numeric.items()}
        object.__setattr__(self, "numeric", numeric)
        object.__setattr__(self, "categorical", dict(self.categorical))
        object.__setattr__(self, "lists", dict(self.lists))
        names = [*self.numeric, *self.categorical, *self.lists]
        counts = Counter(names)
        for name in names:
            if counts[name] > 1 or name in ("", ID):
                raise DataError(f"a feature cannot be called {name!r}; names must be unique, not empty and not {ID!r}")
        columns: dict[str, np.ndarray | Categories | Lists] = {**self.numeric, **self.categorical, **self.lists}
        for name, column in columns.items():
            if len(column) != len(self) or (isinstance(column, np.ndarray) and column.ndim != 1):
                raise DataError(f"the feature {name!r} must have {len(self)} rows, one per id, but has {len(column)}")
        for name, numbers in self.numeric.items():
            if np.isinf(numbers).any():
                raise DataError(f"the feature {name!r} contains infinity; use NaN for missing values")
        if not self.dates <= self.numeric.keys():
            raise DataError(f"dates must be numeric features, but {sorted(self.dates - self.numeric.keys())} are not")

    def __len__(self) -> int:
        return len(self.vocab)

    def _summary(self) -> Summary:
        few = np.arange(min(len(self), FIRST_ROWS))
        first: dict[str, list[Any]] = {"id": self.vocab.ids[few].tolist()}
        for name, numbers in self.numeric.items():
            first[name] = [None if np.isnan(number) else float(number) for number in numbers[few]]
        for name, column in self.categorical.items():
            first[name] = [column.names[code] if code >= 0 else None for code in column.codes[few]]
        for name, lists in self.lists.items():
            first[name] = [", ".join(lists.names[lists[row]]) for row in few.tolist()]
        facts = [fact for kind, names in self.about().items() for fact in listed(kind, names)]
        return Summary([*counted(ids=len(self)), *facts], first, len(self) - len(few))

    def align(self, vocab: Vocab) -> Features:
        """The same features in the order of another vocabulary; missing for ids that have none."""
        if vocab is self.vocab:
            return self
        rows = self.vocab.rows_of(vocab.ids)  # (n,) −1 where unknown
        numeric = {}
        for name, column in self.numeric.items():
            numeric[name] = np.full(len(rows), np.nan, dtype=column.dtype)
            numeric[name][rows >= 0] = column[rows[rows >= 0]]
        return Features(
            vocab,
            numeric,
            {name: column.take(rows) for name, column in self.categorical.items()},
            {name: column.take(rows) for name, column in self.lists.items()},
            self.dates,
        )

    def scaling(self, vocab: Vocab) -> Scaling:
        """Mean and standard deviation of the numeric columns over the ids of `vocab`, the training part.

        Missing values are ignored. A constant column has deviation 1; a column without values has mean 0 and
        deviation 1.
        """
        mean, std = np.zeros(len(self.numeric)), np.ones(len(self.numeric))
        for f, column in enumerate(self.align(vocab).numeric.values()):
            known = column[~np.isnan(column)].astype(np.float64)
            if len(known):
                mean[f] = known.mean()
                if known.min() < known.max():  # else rounding could leave a deviation of 1e-17
                    std[f] = known.std()
        return Scaling(tuple(self.numeric), mean, std)

    def about(self) -> dict[str, list[str]]:
        """The names of the columns, for a manifest."""
        return {"numeric": [*self.numeric], "categorical": [*self.categorical], "lists": [*self.lists]}


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and standard deviations that standardise numeric features.

    names  of f columns
    mean   (f,) float64
    std    (f,) float64, above 0

    Raises DataError when shapes differ, or numbers are not finite or not positive.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", np.asarray(self.mean, dtype=np.float64))
        object.__setattr__(self, "std", np.asarray(self.std, dtype=np.float64))
        shape = (len(self.names),)
        if self.mean.shape != shape or self.std.shape != shape:
            raise DataError(
                f"means and deviations of {len(self.names)} columns must have shape {shape}, but have "
                f"{self.mean.shape} and {self.std.shape}"
            )
        if not np.isfinite(self.mean).all() or not np.isfinite(self.std).all() or not (self.std > 0).all():
            raise DataError("means must be finite, and deviations finite and above 0")

    def matrix(self, features: Features) -> np.ndarray:
        """The standardised columns, (x − mean) / std, 0 where x is missing: (m, f) float32.

        Raises DataError when `features` lacks a column.
        """
        out = np.zeros((len(features), len(self.names)), dtype=np.float32)
        for f, name in enumerate(self.names):
            if name not in features.numeric:
                raise DataError(
                    f"the numeric feature {name!r} is missing; available are {', '.join(features.numeric) or 'none'}"
                )
            scaled = (features.numeric[name] - self.mean[f]) / self.std[f]
            out[:, f] = np.where(np.isnan(scaled), 0, scaled)
        return out


def _as_floats(column: np.ndarray) -> np.ndarray:
    """Numbers as float64; float32 stays, so that conditions such as x=0.1 compare in the precision of the source."""
    column = np.asarray(column)
    return column if column.dtype == np.float32 else column.astype(np.float64)


def _check_codes(column: Categories | Lists, lowest: int = -1) -> None:
    """Convert codes and names to their types. Raises DataError for codes out of range and duplicate names."""
    codes, names = np.asarray(column.codes, dtype=np.int32), Vocab(column.names).ids
    object.__setattr__(column, "codes", codes)
    object.__setattr__(column, "names", names)
    if names.dtype != object:
        raise DataError("names of categories must be strings")
    if codes.ndim != 1 or (len(codes) and (codes.min() < lowest or codes.max() >= len(names))):
        raise DataError(f"codes of categories must be one-dimensional and in [{lowest}, {len(names)})")
