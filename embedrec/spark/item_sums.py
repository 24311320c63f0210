"""Sums over sessions, by item and by length of a session: what pair scores depend on besides the counts of pairs.

All summed numbers are exact in double precision, so that sums depend on no order of tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.spark.pair_records import PairRules, cut, read_block
from embedrec.spark.sessions_frame import SessionsFrame, mapped, slices_in

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame

ITEMS, _LENGTHS = 0, 1  # what rows are: items, lengths of sessions


def count_mentions(frame: SessionsFrame) -> np.ndarray:
    """How often each item of the vocabulary is mentioned: (n,) int64."""
    counted = frame.slices.mapInArrow(_CountMentions(frame.folder, frame.part), SUMS_SCHEMA)
    return sums_of(counted, ITEMS, frame.n_items)[0].astype(np.int64)


@dataclass(frozen=True)
class SessionSums:
    """Sums over the sessions after the rules.

    lengths   (l+1,) int64 number of sessions of 0 … l mentions
    mentions  (n,) float64 mentions of each item
    loads     (n,) float64 mentions that are sent to the part that counts the pairs of the item
    """

    lengths: np.ndarray
    mentions: np.ndarray
    loads: np.ndarray


def sum_sessions(frame: SessionsFrame, rules: PairRules, new: Broadcast[np.ndarray], n: int) -> SessionSums:
    """The sums of all sessions; `new` as in `read_block`."""
    task = _SumSessions(frame.folder, frame.part, rules, new, n)
    summed = (
        frame.slices.mapInArrow(task, SUMS_SCHEMA)
        .groupBy("of", "row")
        .sum("a", "b")
        .toDF("of", "row", "a", "b")
        .cache()
    )
    try:
        longest = summed.where(f"of = {_LENGTHS}").agg({"row": "max"}).first()
        size = 1 + ((longest[0] if longest else None) or 0)
        lengths = sums_of(summed, _LENGTHS, size)[0].astype(np.int64)
        mentions, loads = sums_of(summed, ITEMS, n)
    finally:
        summed.unpersist()
    lengths[0] = frame.n_sessions - lengths[1:].sum()
    return SessionSums(lengths, mentions, loads)


def sum_weights(
    frame: SessionsFrame, rules: PairRules, new: Broadcast[np.ndarray], n: int, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The weights of the sessions of each item, and its weighted pairs, added up: two (n,) float64.

    weights  (l+1,) exact float64 by the length of a session
    """
    task = _SumWeights(frame.folder, frame.part, rules, new, n, weights)
    summed = frame.slices.mapInArrow(task, SUMS_SCHEMA)
    norms, totals = sums_of(summed, ITEMS, n)
    return norms, totals


SUMS_SCHEMA = "of int, row int, a double, b double"  # numbers a and b of a row, which are added up


def sums_of(frame: DataFrame, of: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The sums a and b of n rows: (n,) float64 each."""
    table = frame.where(f"of = {of}").groupBy("row").sum("a", "b").toDF("row", "a", "b").toArrow()
    rows = table.column("row").to_numpy()
    columns = []
    for name in ("a", "b"):
        sums = np.zeros(n)
        sums[rows] = table.column(name).to_numpy()
        columns.append(sums)
    return columns[0], columns[1]


def sum_rows(of: int, a: np.ndarray, b: np.ndarray) -> Any:
    """The record batch of the rows where one of the arrays is not 0."""
    import pyarrow as pa

    rows = np.flatnonzero((a != 0) | (b != 0)).astype(np.int32)
    return pa.record_batch({"of": np.full(len(rows), of, dtype=np.int32), "row": rows, "a": a[rows], "b": b[rows]})


@dataclass(frozen=True)
class _CountMentions:
    """Slices → mentions of each item of the vocabulary, in a task."""

    folder: str
    part: str

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        items = mapped(self.folder, f"{self.part}items")
        for start, stop in slices_in(batches):
            counts = np.bincount(items[start:stop]).astype(np.float64)
            yield sum_rows(ITEMS, counts, np.zeros(len(counts)))


@dataclass(frozen=True)
class _SumSessions:
    """Slices → lengths of sessions, and mentions and loads of items, in a task."""

    folder: str
    part: str
    rules: PairRules
    new: Broadcast[np.ndarray]
    n: int

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        from embedrec.kernels.pair_parts import add_loads

        for start, stop in slices_in(batches):
            block = read_block(self.folder, self.part, start, stop, self.rules, self.new.value, self.n)
            lengths = np.bincount(np.diff(block.offsets)).astype(np.float64)
            yield sum_rows(_LENGTHS, lengths, np.zeros(len(lengths)))
            bounds = block.offsets[:-1], block.offsets[1:]
            mentions, _ = add_loads(block.items, *bounds, np.diff(block.offsets), self.n)
            pieces = cut(block, self.rules)
            _, loads = add_loads(block.items, pieces.starts, pieces.ends, pieces.stops - pieces.begins, self.n)
            yield sum_rows(ITEMS, mentions, loads)


@dataclass(frozen=True)
class _SumWeights(_SumSessions):
    """Slices → weights and weighted pairs of items, in a task."""

    weights: np.ndarray

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        from embedrec.kernels.pair_counts import count_reached, sum_factors

        for start, stop in slices_in(batches):
            block = read_block(self.folder, self.part, start, stop, self.rules, self.new.value, self.n)
            lengths = np.diff(block.offsets)
            session = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
            factor = self.weights[lengths]
            norms = sum_factors(block.items, session, factor, self.n)
            reach = self.rules.window or max(1, int(lengths.max(initial=0)))
            totals = count_reached(block.offsets, block.items, self.n, reach, self.rules.back, factor)
            yield sum_rows(ITEMS, norms, totals)
