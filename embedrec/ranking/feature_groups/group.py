"""What every group of features has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from embedrec.data.offsets import check_offsets
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.models.array_packing import locked, shaped
from embedrec.models.base import Arrays

NOTHING = np.empty(0)


@dataclass(frozen=True)
class Feature:
    """A declared feature.

    name     {part}, {table}, {window} and {feature} stand for the name of a part, of a table of pairs, of recent
             events, and of a side feature
    meaning  what it is, in one line
    needs    what training data or a part must have so that the feature exists; "" for nothing
    """

    name: str
    meaning: str
    needs: str = ""

    @property
    def summary(self) -> str:
        """The meaning and what the feature needs."""
        return f"{self.meaning}; needs {self.needs}" if self.needs else self.meaning


def names_of(features: Sequence[Feature], **words: str) -> tuple[str, ...]:
    """The names of features, with these words in place of those in braces."""
    names = [feature.name for feature in features]
    for key, word in words.items():
        names = [name.replace(f"{{{key}}}", word) for name in names]
    return tuple(names)


def pack_name(name: str) -> np.ndarray:
    """The name of a side feature as UTF-8: (b,) uint8."""
    return np.frombuffer(name.encode("utf-8", "surrogatepass"), dtype=np.uint8)


def unpack_names(arrays: Arrays, group: str) -> list[str]:
    """The names in the arrays "GROUP.0.name", "GROUP.1.name" …"""
    names: list[str] = []
    while (key := f"{group}.{len(names)}.name") in arrays:
        names.append(arrays[key].tobytes().decode("utf-8", "surrogatepass"))
    return names


def sparse_table(
    arrays: Arrays, key: str, n: int, *, rows: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays "KEY.starts" (m+1,) int64, "KEY.items" int32 and "KEY.values" float32: row a has the values of the
    items items[starts[a]:starts[a + 1]].

    n     items
    rows  m, if it is known

    Raises DataError when they are missing or do not fit.
    """
    given = {name: arrays.get(f"{key}.{name}", NOTHING) for name in ("starts", "items")}
    size = given["starts"].size if rows is None else rows + 1
    starts = shaped(arrays, f"{key}.starts", (size,), "ranker", "int64")
    items = shaped(arrays, f"{key}.items", (given["items"].size,), "ranker", "int32")
    values = shaped(arrays, f"{key}.values", items.shape, "ranker")
    check_offsets(starts, len(items), f"the table {key!r} of a ranker", "items")
    if items.size and not 0 <= items.min() <= items.max() < n:
        raise DataError(f"the table {key!r} of a ranker must name rows of {n} items, but some are out of range")
    return locked(starts), locked(items), locked(values)


class QuestionBatch(NamedTuple):
    """q of the questions of one call, as read-only arrays.

    questions        their numbers in `histories`
    histories        the histories of all questions
    offsets          (q+1,) int64: the candidates of question i are those at offsets[i] … offsets[i + 1] − 1
    items            (N,) int32 candidates of all questions; ranks (N, P) int32, scores (N, P) float32
    queries          of all questions, see `Candidates`
    history_offsets  (q+1,) int64, history (E,) int32, times (E,) int64 or (0,): the histories
    recent           (q, r) int32 last distinct items, latest first, −1 at the end; weights (q, 2, r) float32
    place            (n,) int32 of −1: scratch memory
    """

    questions: slice
    histories: Sessions
    offsets: np.ndarray
    items: np.ndarray
    ranks: np.ndarray
    scores: np.ndarray
    queries: tuple[np.ndarray | None, ...]
    history_offsets: np.ndarray
    history: np.ndarray
    times: np.ndarray
    recent: np.ndarray = NOTHING
    weights: np.ndarray = NOTHING
    place: np.ndarray = NOTHING

    @property
    def candidates(self) -> slice:
        """The candidates of these questions, among those of all."""
        return slice(int(self.offsets[0]), int(self.offsets[-1]))

    @property
    def question_of(self) -> np.ndarray:
        """The question, from 0, of each of these candidates: int64."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    @property
    def last_event(self) -> np.ndarray:
        """The place of the last event of each history, −1 for an empty one: (q,) int64."""
        return np.where(np.diff(self.history_offsets) > 0, self.history_offsets[1:] - 1, -1)


class FeatureGroup(Protocol):
    """Features of one subject."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def arrays(self) -> Arrays:
        """The tables, without those of the parts."""
        ...

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        """Write the columns at … of out (N, F) float32, for the candidates of a batch."""
        ...
