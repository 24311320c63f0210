"""What executors do when pairs are counted: send sessions to parts, count a part, add up the sums of a split item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedrec.models.pair_counts import NO_NUMBERS
from embedrec.spark.pair_plan import Plan
from embedrec.spark.pair_records import PairRules, PartInput, Routes, cut, part_input, read_block, records
from embedrec.spark.sessions_frame import slices_in
from embedrec.spark.tasks import numbers_in
from embedrec.spark.written_parts import Part, write_arrays

if TYPE_CHECKING:
    from pyspark import Broadcast

    from embedrec.kernels.pair_counts import Formula


class Shared(NamedTuple):
    """What all tasks of a count need."""

    rules: PairRules
    formula: Formula
    plan: Plan
    weights: np.ndarray
    n: int


@dataclass(frozen=True)
class SendSessions:
    """Slices → records of their sessions."""

    folder: str
    part: str
    new: Broadcast[np.ndarray]
    shared: Broadcast[Shared]

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        rules, _, plan, weights, n = self.shared.value
        for start, stop in slices_in(batches):
            block = read_block(self.folder, self.part, start, stop, rules, self.new.value, n)
            each = weights[np.diff(block.offsets)] if len(weights) else NO_NUMBERS
            yield from records(block, cut(block, rules), each, Routes(plan.part_of, plan.bases, plan.salts))


@dataclass(frozen=True)
class BestLists:
    """Best lists: rows (items, width) int32, scores (items, width) float32."""

    most: int

    def count(self, given: PartInput, formula: Formula, first: int, last: int, n: int) -> tuple[Any, ...]:
        from embedrec.kernels.pair_counts import best_neighbours

        rows = np.full((last - first, self.most), -1, dtype=np.int32)
        scores = np.full((last - first, self.most), -np.inf, dtype=np.float32)
        width = best_neighbours(given.mentions, formula, first, last, rows, scores)
        return width, rows[:, :width], scores[:, :width]

    def select(self, item: int, formula: Formula, total: np.ndarray, first: int) -> tuple[Any, ...]:
        from embedrec.kernels.pair_parts import score_sums
        from embedrec.kernels.topk import keep_best

        neighbours, values = np.empty(len(total), dtype=np.uint32), np.empty(len(total), dtype=np.float32)
        count = score_sums(formula, item, -1, total, first, neighbours, values)
        width = min(count, self.most)
        rows, scores = np.empty(width, dtype=np.int32), np.empty(width, dtype=np.float32)
        keep_best(neighbours, values, count, np.empty(count, dtype=np.uint64), rows, scores)
        return width, rows, scores


@dataclass(frozen=True)
class AllPairs:
    """All pairs: their numbers (items,) int64, rows int32 and scores float32.

    ordered  whether rows ascend within a session
    """

    ordered: bool

    def count(self, given: PartInput, formula: Formula, first: int, last: int, n: int) -> tuple[Any, ...]:
        from embedrec.kernels.pair_counts import score_pairs
        from embedrec.kernels.pair_parts import add_loads

        mentions = given.mentions._replace(back=False) if self.ordered else given.mentions
        sizes = np.diff(mentions.offsets)
        _, loads = add_loads(mentions.items, given.starts, given.ends, sizes, n)
        room = np.minimum(loads[first:last], n).astype(np.int64)
        starts, ends = np.cumsum(room) - room, np.empty(last - first, dtype=np.int64)
        rows, values = np.empty(room.sum(), dtype=np.int32), np.empty(room.sum(), dtype=np.float32)
        score_pairs(mentions, formula, first, last, starts, ends, rows, values)
        counts = ends - starts
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        return int(counts.sum()), counts, rows[places], values[places]

    def select(self, item: int, formula: Formula, total: np.ndarray, first: int) -> tuple[Any, ...]:
        from embedrec.kernels.pair_parts import score_sums

        neighbours, values = np.empty(len(total), dtype=np.uint32), np.empty(len(total), dtype=np.float32)
        count = score_sums(formula, item, item, total, first, neighbours, values)
        return count, neighbours[:count].astype(np.int32), values[:count]


PartKind = BestLists | AllPairs


@dataclass(frozen=True)
class CountPart:
    """The records of a part → its file: of the kind, or for a share of the sessions of an item, its sums."""

    staging: str
    kind: PartKind
    shared: Broadcast[Shared]

    def __call__(self, number: int, batches: Iterator[Any]) -> dict[str, Any]:
        rules, formula, plan, weights, n = self.shared.value
        first, last, several = plan.range_of(number)
        given = part_input(batches, rules, len(weights) > 0, first, last, n)
        if several:
            width, *arrays = _sums(given, first, n)
        else:
            width, *arrays = self.kind.count(given, formula, first, last, n)
        return write_arrays(self.staging, number, arrays, first=first, items=last - first, width=width)


def _sums(given: PartInput, item: int, n: int) -> tuple[int, np.ndarray, np.ndarray]:
    """The counts of an item with its neighbours, by ascending row: their number, (width,) int32, (width,) float64."""
    from embedrec.kernels.pair_parts import sum_pairs

    rows, sums = np.empty(n, dtype=np.int32), np.empty(n)
    scratch = np.zeros(n, given.mentions.gap.dtype), np.empty(n + 1, dtype=np.uint32)
    count = sum_pairs(given.mentions, item, *scratch, rows, sums)
    order = np.argsort(rows[:count])
    return count, rows[:count][order], sums[:count][order]


@dataclass(frozen=True)
class MergeSums:
    """Numbers of tasks → files of one block of the neighbours of one item.

    items, sources  the items, and files and widths of the sums of each
    blocks, size    number of blocks of the neighbours of an item, and rows of a block
    """

    staging: str
    folder: str
    kind: PartKind
    items: list[int]
    sources: list[list[tuple[str, int]]]
    blocks: int
    size: int
    shared: Broadcast[Shared]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        from embedrec.kernels.pair_parts import add_sums

        _, formula, _, _, n = self.shared.value
        (number,) = numbers_in(batches)
        chosen, block = divmod(number, self.blocks)
        first = block * self.size
        total = np.zeros(min(self.size, n - first))
        for name, width in self.sources[chosen]:
            source = Part(Path(self.staging) / name, {})
            rows, sums = source.array(np.int32, (width,)), source.array(np.float64, (width,), 4 * width)
            low, high = np.searchsorted(rows, [first, first + len(total)])
            add_sums(np.array(rows[low:high]), np.array(sums[low:high]), first, total)
        width, *arrays = self.kind.select(self.items[chosen], formula, total, first)
        return write_arrays(self.folder, part, arrays, width=width)
