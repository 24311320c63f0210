"""Features of the user of a history: past sessions, and side information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import locked, pack_ids, shaped, unpack_ids
from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import (
    Feature,
    QuestionBatch,
    names_of,
    pack_name,
    sparse_table,
    unpack_names,
)

PRIOR = 2.0  # expected events that smooth a ratio


@dataclass(frozen=True, eq=False)
class Users:
    """The users of training sessions, U ids; unknown users have row −1."""

    vocab: Vocab

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Users:
        """Raises DataError when they are missing or do not fit."""
        if not ("ranker_users_ids" in arrays or {"ranker_users_letters", "ranker_users_offsets"} <= arrays.keys()):
            raise DataError("the users of a ranker are missing")
        return cls(unpack_ids(arrays, "ranker_users"))

    def rows(self, batch: QuestionBatch) -> np.ndarray:
        """The rows of the users of a batch: (q,) int64."""
        users = batch.histories.users
        count = batch.questions.stop - batch.questions.start
        return np.full(count, -1) if users is None else self.vocab.rows_of(users[batch.questions])


@dataclass(frozen=True, eq=False)
class UserItemFeatures:
    """How often a user, or all users of a category, had an item in training sessions, as a sparse table.

    users     U users
    feature   the name of the category; "" for the users themselves. `number` counts such tables from 0
    group_of  (U,) int64 row of the table of each user, −1 for none
    starts, items, values  (m+1,) int64, int32, float32: row g has values of items at starts[g] … starts[g + 1] − 1
    """

    USERS: ClassVar[tuple[Feature, ...]] = (
        Feature("events of the user", "ln(1 + events of the item in training sessions of the user)", "users"),
    )
    CATEGORIES: ClassVar[tuple[Feature, ...]] = (
        Feature(
            "popularity by {feature} of the user",
            "events of the item by users of the same category over those expected",
            "user categories",
        ),
    )

    users: Users
    feature: str
    number: int
    group_of: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    values: np.ndarray

    @classmethod
    def fit(cls, sessions: Sessions) -> list[UserItemFeatures]:
        """From training sessions; none without users."""
        if sessions.users is None:
            return []
        users = Users(Vocab(np.unique(sessions.users)))
        user = users.vocab.rows_of(sessions.users)[sessions.session_of]  # (E,)
        rows, items, counts = _count(user, sessions.items, len(sessions.vocab))
        own = (_starts(rows, len(users.vocab)), items, np.log1p(counts))
        groups = [cls._of(users, "", 0, np.arange(len(users.vocab)), own)]
        known = {} if sessions.user_features is None else sessions.user_features.align(users.vocab).categorical
        mentions = np.bincount(sessions.items, minlength=len(sessions.vocab))
        for name, column in known.items():
            codes = column.codes[user]
            inside = codes >= 0
            rows, items, counts = _count(codes[inside], sessions.items[inside], len(sessions.vocab))
            share = np.bincount(codes[inside], minlength=len(column.names)) / max(len(codes), 1)
            values = counts / (mentions[items] * share[rows] + PRIOR)
            table = (_starts(rows, len(column.names)), items, values)
            groups.append(cls._of(users, name, len(groups), column.codes.astype(np.int64), table))
        return groups

    @classmethod
    def _of(
        cls,
        users: Users,
        feature: str,
        number: int,
        group_of: np.ndarray,
        table: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> UserItemFeatures:
        starts, items, values = table
        columns = locked(starts), locked(items.astype(np.int32)), locked(values.astype(np.float32))
        return cls(users, feature, number, locked(group_of), *columns)

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays) -> list[UserItemFeatures]:
        """Raises DataError for wrong arrays."""
        groups: list[UserItemFeatures] = []
        for i, name in enumerate(unpack_names(arrays, "user_items")):
            key = f"user_items.{i}"
            users = groups[0].users if groups else Users.from_arrays(arrays)
            group_of = shaped(arrays, f"{key}.group_of", (len(users.vocab),), "ranker", "int64")
            table = sparse_table(arrays, key, n)
            if group_of.size and not -1 <= group_of.min() <= group_of.max() < len(table[0]) - 1:
                raise DataError(f"{key}.group_of of a ranker must lie below {len(table[0]) - 1}, but some do not")
            groups.append(cls(users, name, i, locked(group_of), *table))
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.CATEGORIES, feature=self.feature) if self.feature else names_of(self.USERS)

    @property
    def arrays(self) -> Arrays:
        arrays = {} if self.number else pack_ids(self.users.vocab.ids, "ranker_users")
        columns = {name: getattr(self, name) for name in ("group_of", "starts", "items", "values")}
        columns["name"] = pack_name(self.feature)
        return {**arrays, **{f"user_items.{self.number}.{name}": array for name, array in columns.items()}}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_values

        users = self.users.rows(batch)
        rows = np.where(users < 0, -1, self.group_of[users])
        table = (self.starts, self.items, self.values, locked(rows))
        write_values(*table, batch.offsets, batch.items, batch.place, out, at)


@dataclass(frozen=True, eq=False)
class UserNumberFeatures:
    """A number of users, such as their age.

    users    U users; others have no number
    feature  its name; `number` counts such columns from 0
    values   (U,) float32, NaN for missing
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("{feature} of the user", "the number of the user", "user numbers"),
    )

    users: Users
    feature: str
    number: int
    values: np.ndarray

    @classmethod
    def fit(cls, sessions: Sessions, groups: list[UserItemFeatures]) -> list[UserNumberFeatures]:
        """The numeric features of the users of `groups`."""
        if sessions.user_features is None or not groups:
            return []
        users = groups[0].users
        numeric = sessions.user_features.align(users.vocab).numeric
        return [
            cls(users, name, i, locked(column.astype(np.float32))) for i, (name, column) in enumerate(numeric.items())
        ]

    @classmethod
    def from_arrays(cls, arrays: Arrays, groups: list[UserItemFeatures]) -> list[UserNumberFeatures]:
        """Raises DataError for wrong arrays."""
        result = []
        for i, name in enumerate(unpack_names(arrays, "user_numbers") if groups else []):
            users = groups[0].users
            values = shaped(arrays, f"user_numbers.{i}.values", (len(users.vocab),), "ranker")
            result.append(cls(users, name, i, locked(values)))
        return result

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES, feature=self.feature)

    @property
    def arrays(self) -> Arrays:
        key = f"user_numbers.{self.number}"
        return {f"{key}.name": pack_name(self.feature), f"{key}.values": self.values}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        users = self.users.rows(batch)
        values = np.where(users < 0, np.nan, self.values[users])
        out[batch.candidates, at] = values[batch.question_of]


def _count(rows: np.ndarray, items: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct pairs of a row and an item below n, ascending, and their counts."""
    pairs, counts = np.unique(rows * np.int64(n) + items, return_counts=True)
    return pairs // n, pairs % n, counts


def _starts(rows: np.ndarray, m: int) -> np.ndarray:
    """The starts (m+1,) int64 of ascending rows below m."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=m))])
