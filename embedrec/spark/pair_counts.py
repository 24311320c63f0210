"""Counts of item pairs on Spark: sessions go to the parts of their items, and each part counts its own pairs.

A part is a range of items whose sessions hold about `size` mentions, so that its memory does not grow with the data. An
item with more mentions than that is counted by several parts, each for a share of the sessions, and their sums are
added up; as sums are exact (see `session_weights`), the result has the bytes of one machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedrec.models.pair_counts import Pairs
from embedrec.progress import Report
from embedrec.spark.item_sums import SessionSums
from embedrec.spark.pair_plan import plan_parts
from embedrec.spark.pair_records import PIECE, RECORD_SCHEMA, PairRules
from embedrec.spark.pair_tasks import AllPairs, BestLists, CountPart, MergeSums, PartKind, SendSessions, Shared
from embedrec.spark.sessions_frame import SessionsFrame
from embedrec.spark.tasks import run_numbered, run_tasks, sent_to
from embedrec.spark.written_parts import Part, open_parts
from embedrec.storage.memory_budget import MemoryBudget

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession

    from embedrec.kernels.pair_counts import Formula

PART_MENTIONS = 1 << 22  # of the sessions of a part; about 100 MB in a task
_BLOCK_ROWS = 1 << 20  # rows of a heavy item that a task adds up
_BATCH_BYTES = 1 << 24  # of records that a task receives at once


@dataclass(frozen=True, eq=False)
class SparkPairs:
    """A `PairSource` whose pairs are counted by executors.

    frame    the sessions
    rules, formula  which mentions are paired, and how pairs are scored
    new, n   see `read_block`
    sums     of the sessions after the rules
    weights  (l+1,) float64 weight of a session by its length; (0,) for 1
    staging  folder of the parts; all machines share it
    size     mentions of the sessions of a part
    threads, report, memory  of what the driver computes
    """

    frame: SessionsFrame
    rules: PairRules
    formula: Formula
    new: Broadcast[np.ndarray]
    n: int
    sums: SessionSums
    weights: np.ndarray
    staging: Path
    threads: int
    report: Report
    memory: MemoryBudget
    size: int = PART_MENTIONS

    @property
    def sessions(self) -> int:
        return self.frame.n_sessions

    def best_lists(self, most: int) -> dict[str, np.ndarray]:
        """See `PairSource`."""
        from embedrec.kernels.topk import keep_best

        most = min(most, self.n)
        light, heavy = self._count(BestLists(most), 2 * most)
        width = max([1, *(part.about["width"] for part in light), *(_widths(heavy, most).values())])
        rows = self.memory.full(self.n * width, -1, np.int32).reshape(self.n, width)
        scores = self.memory.full(self.n * width, -np.inf, np.float32).reshape(self.n, width)
        for part in light:
            first, shape = part.about["first"], (part.about["items"], part.about["width"])
            at = slice(first, first + shape[0]), slice(0, shape[1])
            rows[at] = part.array(np.int32, shape)
            scores[at] = part.array(np.float32, shape, 4 * shape[0] * shape[1])
        for item, blocks in heavy.items():
            lists = [_list(part) for part in blocks]
            neighbours = np.concatenate([of for of, _ in lists]).astype(np.uint32)
            values = np.concatenate([of for _, of in lists])
            keys = np.empty(len(neighbours), dtype=np.uint64)
            keep_best(neighbours, values, len(neighbours), keys, rows[item], scores[item])
        return {"items": rows, "scores": scores}

    def all_pairs(self) -> Pairs:
        """See `PairSource`. Pairs have the order of one machine, but those of an item with several parts: by row."""
        rules = self.rules
        light, heavy = self._count(AllPairs(ordered=rules.once and not rules.window), 1)
        counts = np.zeros(self.n, dtype=np.int64)
        for part in light:
            items = part.about["items"]
            counts[part.about["first"] : part.about["first"] + items] = part.array(np.int64, (items,))
        for item, blocks in heavy.items():
            counts[item] = sum(part.about["width"] for part in blocks)
        ends = np.cumsum(counts)
        rows, values = self.memory.empty(int(counts.sum()), np.int32), self.memory.empty(int(counts.sum()), np.float32)
        for part in light:
            first, items = part.about["first"], part.about["items"]
            size = int(counts[first : first + items].sum())
            at = int(ends[first] - counts[first]) if items else 0
            rows[at : at + size] = part.array(np.int32, (size,), 8 * items)
            values[at : at + size] = part.array(np.float32, (size,), 8 * items + 4 * size)
        for item, blocks in heavy.items():
            at = int(ends[item] - counts[item])
            for part in blocks:
                neighbours, scores = _list(part)
                rows[at : at + len(neighbours)], values[at : at + len(neighbours)] = neighbours, scores
                at += len(neighbours)
        return Pairs(ends - counts, ends, rows, values)

    def _count(self, kind: PartKind, least: int) -> tuple[list[Part], dict[int, list[Part]]]:
        """The parts of ranges of items, and for each item that has several, those of blocks of its neighbours."""
        spark = self.frame.spark
        plan = plan_parts(self.sums.loads, self.size, least)
        shared = spark.sparkContext.broadcast(Shared(self.rules, self.formula, plan, self.weights, self.n))
        folder, staging = self.frame.folder, str(self.staging)
        sent = self.frame.slices.mapInArrow(SendSessions(folder, self.frame.part, self.new, shared), RECORD_SCHEMA)
        most = len(self.sums.lengths)  # mentions of a record
        if self.rules.window:
            most = min(most, PIECE + 2 * self.rules.window)
        with _batch_rows(spark, _BATCH_BYTES // (4 * most)):
            task = CountPart(staging, kind, shared)
            results = run_tasks(sent_to(sent, "part", plan.parts), task, plan.parts)
            parts = open_parts(self.staging, results)
        self.report("progress", done=1, total=2, unit="steps")
        split: dict[int, list[Part]] = {}
        light = []
        for number, part in enumerate(parts):
            first, _, several = plan.range_of(number)
            if several:
                split.setdefault(first, []).append(part)
            else:
                light.append(part)
        heavy = self._merge(kind, split, shared)
        shared.unpersist()
        self.report("progress", done=2, total=2, unit="steps")
        return light, heavy

    def _merge(self, kind: PartKind, split: dict[int, list[Part]], shared: Broadcast[Shared]) -> dict[int, list[Part]]:
        """The scores of items whose sums are in several parts, by blocks of neighbours."""
        if not split:
            return {}
        spark = self.frame.spark
        blocks = -(-self.n // _BLOCK_ROWS)
        items = list(split)
        sources = [[(part.path.name, part.about["width"]) for part in split[item]] for item in items]
        folder = self.staging / "merged"
        folder.mkdir(exist_ok=True)
        task = MergeSums(str(self.staging), str(folder), kind, items, sources, blocks, _BLOCK_ROWS, shared)
        tasks = len(items) * blocks
        merged = open_parts(folder, run_numbered(spark, task, tasks))
        return {item: merged[number * blocks : (number + 1) * blocks] for number, item in enumerate(items)}


@contextmanager
def _batch_rows(spark: SparkSession, rows: int) -> Iterator[None]:
    """Limit the rows that tasks receive at once, so that batches of long records fit a small executor."""
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(name)
    spark.conf.set(name, str(max(256, min(1 << 14, rows))))
    try:
        yield
    finally:
        spark.conf.set(name, str(before))


def _widths(heavy: dict[int, list[Part]], most: int) -> dict[int, int]:
    """The length of the list of each item whose blocks were scored apart."""
    return {item: min(most, sum(part.about["width"] for part in parts)) for item, parts in heavy.items()}


def _list(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores of a block of neighbours: (width,) int32 and float32."""
    width = part.about["width"]
    return part.array(np.int32, (width,)), part.array(np.float32, (width,), 4 * width)
