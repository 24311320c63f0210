"""Ids of sessions and users, made in tasks from the numbers of their first appearance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.spark.part_files import load_part
from embedrec.spark.shards import ids_of
from embedrec.spark.tasks import numbered, numbers_in
from embedrec.spark.vocabularies import SHIFT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class SessionIds:
    """How the ids of sessions and users are made.

    staging   the staging area
    shards    folders of the shards
    sessions  role of the ids of the sessions: "session", or "user" if a session is a user
    users     role of the ids of the users; None without users
    whole     role → whether its ids are integers
    split     whether a session was split by user, so that all ids of sessions are texts
    cut       whether sessions were cut at gaps: then "-1", "-2" … follow
    between   text between the ids of a session and of its user, if it was split
    """

    staging: str
    shards: tuple[str, ...]
    sessions: str
    users: str | None
    whole: dict[str, bool]
    split: bool
    cut: bool
    between: str = "-"

    @property
    def whole_sessions(self) -> bool:
        """Whether the ids of sessions are integers."""
        return self.whole[self.sessions] and not self.split and not self.cut

    @property
    def whole_users(self) -> bool:
        """Whether the ids of users are integers."""
        return self.users is not None and self.whole[self.users] and not (self.users == "session" and self.split)

    def before_cuts(self, key: np.ndarray, split: np.ndarray, user: np.ndarray | None) -> Any:
        """The ids (m,) of sessions before they were cut at gaps, an Arrow array.

        key    (m,) numbers of first appearance of sessions, or of users if these are the sessions
        split  (m,) bool whether they were split by user
        user   (m,) numbers of first appearance of the users; may be None if none was split
        """
        ids = self.ids(self.sessions, key)
        if not self.split:
            return ids
        if user is None or not split.any():
            return _texts(ids)
        return _joined(ids, self.ids("user", user), self.between, split)

    def after_cuts(self, ids: Any, cut: np.ndarray) -> Any:
        """The ids (m,) with the numbers (m,) of the sessions within those that were cut, if there are cuts."""
        import pyarrow as pa

        return _joined(ids, pa.array(cut), "-", np.ones(len(cut), dtype=bool)) if self.cut else ids

    def ids(self, role: str, numbers: np.ndarray) -> Any:
        """The ids (m,) of numbers of first appearance (m,), an Arrow array."""
        import pyarrow as pa

        shard, row = numbers >> SHIFT, numbers & ((1 << SHIFT) - 1)
        order = np.argsort(shard, kind="stable")
        parts = [pa.array([], pa.int64() if self.whole[role] else pa.string())]
        for one in np.unique(shard).tolist():
            column = ids_of(Path(self.staging) / self.shards[one], role, whole=self.whole[role])
            parts.append(column.take(pa.array(row[shard == one])))
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_arrays(parts).take(pa.array(back))


def _texts(ids: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(ids, pa.string())


def _joined(first: Any, second: Any, between: str, where: np.ndarray) -> Any:
    """Ids (m,) as texts: first, and where a mask (m,) is true first, `between` and second."""
    import pyarrow as pa
    import pyarrow.compute as pc

    both = pc.binary_join_element_wise(_texts(first), _texts(second), between)
    return pc.if_else(pa.array(where), both, _texts(first))


def with_distinct_ids(spark: SparkSession, ids: SessionIds, folders: Sequence[str]) -> SessionIds:
    """The same with a text between the ids of sessions and users that makes all ids distinct.

    folders  of the partitions, in which sessions are not cut

    "1-2" of the user 3 and "1" of the user "2-3" would have the same id.
    """
    while True:
        read = _ReadIds(ids, tuple(folders))
        frame = numbered(spark, len(folders)).mapInArrow(read, "id string")
        if not frame.groupBy("id").count().where("count > 1").limit(1).collect():
            return ids
        ids = replace(ids, between=f"{ids.between}-")


@dataclass(frozen=True)
class _ReadIds:
    """Numbers of partitions → the ids of their sessions."""

    ids: SessionIds
    folders: tuple[str, ...]

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for number in numbers_in(batches):
            folder = Path(self.ids.staging) / self.folders[number]
            key, split, cut, owner = (load_part(folder / f"{name}.npy") for name in ("key", "split", "cut", "owner"))
            first = cut <= 1  # one a session before cuts
            yield pa.record_batch({"id": self.ids.before_cuts(key[first], split[first], owner[first])})
