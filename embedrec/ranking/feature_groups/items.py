"""Features from side information of items: what candidates share with the items of the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.features import Categories, Lists
from embedrec.data.offsets import check_offsets
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.models.array_packing import locked, shaped
from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of, pack_name, unpack_names


@dataclass(frozen=True, eq=False)
class CategoryFeatures:
    """A category, or a list of categories, of items.

    feature        its name; `number` counts such columns from 0
    starts, codes  (n+1,) int64, int32: item r has the distinct categories codes[starts[r]:starts[r + 1]], ascending
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("{feature} shared with last", "share of categories in common with the last item", "item categories"),
        Feature("mean {feature} shared", "mean share with the last 10, weighted 1, 1/2, 1/3 …", "item categories"),
    )

    feature: str
    number: int
    starts: np.ndarray
    codes: np.ndarray

    @classmethod
    def fit(cls, sessions: Sessions) -> list[CategoryFeatures]:
        """The categories and lists of the items' features."""
        if sessions.item_features is None:
            return []
        aligned = sessions.item_features.align(sessions.vocab)
        columns: dict[str, Categories | Lists] = {**aligned.categorical, **aligned.lists}
        return [cls(name, i, *_distinct_codes(column)) for i, (name, column) in enumerate(columns.items())]

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays) -> list[CategoryFeatures]:
        """Raises DataError for wrong arrays."""
        groups = []
        for i, name in enumerate(unpack_names(arrays, "categories")):
            starts = shaped(arrays, f"categories.{i}.starts", (n + 1,), "ranker", "int64")
            codes = shaped(arrays, f"categories.{i}.codes", (int(starts[-1]),), "ranker", "int32")
            check_offsets(starts, len(codes), f"categories of {name!r} of a ranker", "codes")
            groups.append(cls(name, i, locked(starts), locked(codes)))
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES, feature=self.feature)

    @property
    def arrays(self) -> Arrays:
        key = f"categories.{self.number}"
        return {f"{key}.name": pack_name(self.feature), f"{key}.starts": self.starts, f"{key}.codes": self.codes}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_categories

        write_categories(self.starts, self.codes, batch.recent, batch.weights, batch.offsets, batch.items, out, at)


@dataclass(frozen=True, eq=False)
class NumberFeatures:
    """A number of items, such as a price.

    feature  its name; `number` counts such columns from 0
    values   (n,) float32, NaN for missing
    ratio    whether all values are above 0 and no dates, so that they are compared by their ratio
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("{feature}", "the number of the item", "item numbers"),
        Feature("{feature} to last", "ratio to the number of the last item; difference for dates and numbers ≤ 0"),
        Feature("{feature} to mean", "the same for the mean of the last 10 items, weighted 1, 1/2, 1/3 …"),
    )

    feature: str
    number: int
    values: np.ndarray
    ratio: bool

    @classmethod
    def fit(cls, sessions: Sessions) -> list[NumberFeatures]:
        """The numeric features of items."""
        if sessions.item_features is None:
            return []
        aligned, groups = sessions.item_features.align(sessions.vocab), []
        for i, (name, column) in enumerate(aligned.numeric.items()):
            values = column.astype(np.float32)
            positive = bool((values[~np.isnan(values)] > 0).all())
            groups.append(cls(name, i, locked(values), positive and name not in aligned.dates))
        return groups

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays) -> list[NumberFeatures]:
        """Raises DataError for wrong arrays."""
        groups = []
        for i, name in enumerate(unpack_names(arrays, "numbers")):
            values = shaped(arrays, f"numbers.{i}.values", (n,), "ranker")
            ratio = bool(shaped(arrays, f"numbers.{i}.ratio", (1,), "ranker", "uint8")[0])
            if ratio and not (values[~np.isnan(values)] > 0).all():
                raise DataError(f"the numbers {name!r} of a ranker are compared by ratio, but are not all positive")
            groups.append(cls(name, i, locked(values), ratio))
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES, feature=self.feature)

    @property
    def arrays(self) -> Arrays:
        key, ratio = f"numbers.{self.number}", np.array([self.ratio], dtype=np.uint8)
        return {f"{key}.name": pack_name(self.feature), f"{key}.values": self.values, f"{key}.ratio": ratio}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_numbers

        numbers = (self.values, self.ratio, batch.recent, batch.weights)
        write_numbers(*numbers, batch.offsets, batch.items, out, at)


def _distinct_codes(column: Categories | Lists) -> tuple[np.ndarray, np.ndarray]:
    """Starts (n+1,) int64 and codes, distinct and ascending in each row, of n rows."""
    if isinstance(column, Categories):
        known = column.codes >= 0
        rows, codes = np.flatnonzero(known), column.codes[known]
    else:
        rows, codes = np.repeat(np.arange(len(column)), np.diff(column.offsets)), column.codes
    names = max(len(column.names), 1)
    pairs = np.unique(rows * np.int64(names) + codes)
    starts = np.concatenate([[0], np.cumsum(np.bincount(pairs // names, minlength=len(column)))])
    return locked(starts), locked((pairs % names).astype(np.int32))
