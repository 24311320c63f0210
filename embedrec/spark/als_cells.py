"""The cells of sessions and items in blocks on disk, for alternating least squares on Spark.

Sessions are cut into slices, items into parts. A slice has the cells of its sessions, and the list of those that each
part needs: their vectors are sent there in every iteration. A part has the same cells by item, in order of sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.factorization.least_squares import BLOCK_ROWS, Cells, Objective, Plays, cells, row_weights
from embedrec.spark.sessions_frame import mapped
from embedrec.spark.tasks import local_folder, numbers_in
from embedrec.spark.written_parts import Part, write_arrays
from embedrec.storage.memory_budget import CHUNK_EVENTS, Column, MemoryBudget, spill

if TYPE_CHECKING:
    from pyspark import Broadcast


class CellLayout(NamedTuple):
    """What the tasks that write cells share.

    folder, part  of the sessions artifact
    plays    see `cells`
    new      (items of the vocabulary,) int32 row below n of each item; −1 for dropped items
    bounds   (slices + 1,) int64: first session of each slice, a multiple of BLOCK_ROWS, and the number of sessions
    part_of  (n,) int32 part of each item
    first    (parts + 1,) int64: first item of each part, and n
    """

    folder: str
    part: str
    plays: Plays
    new: np.ndarray
    bounds: np.ndarray
    part_of: np.ndarray
    first: np.ndarray

    @property
    def parts(self) -> int:
        return len(self.first) - 1


class SliceCells(NamedTuple):
    """The cells of the sessions of a slice.

    cells    of its sessions
    starts   (parts + 1,) int64 places in `sent`
    sent     int32 sessions of the slice that each part needs, part after part, ascending
    """

    cells: Cells
    starts: np.ndarray
    sent: np.ndarray


class PartCells(NamedTuple):
    """The cells of the items of a part, whose columns are the sessions that the part needs.

    starts, sizes  (slices,) int64 places and numbers of these sessions in `SliceCells.sent`
    """

    cells: Cells
    starts: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True)
class WrittenCells:
    """The files that tasks wrote: a slice or a part each, with numbers of its rows and cells.

    n, count, parts  items, sessions and parts
    """

    staging: str
    files: list[dict[str, Any]]
    n: int
    count: int
    parts: int

    def slice_cells(self, number: int, objective: Objective) -> SliceCells:
        """The cells of a slice, in an executor."""
        file = self.files[number]
        rows, size, copies = file["rows"], file["cells"], file["sent"]
        offsets, weight, starts, columns, weights, sent = self._part(number).arrays(
            (np.int64, rows + 1),
            (np.float64, rows),
            (np.int64, self.parts + 1),
            (np.int32, size),
            (np.float32, size),
            (np.int32, copies),
        )
        return SliceCells(Cells(offsets, columns, weights, objective.ridge(weight, self.n)), starts, sent)

    def part_cells(self, number: int, objective: Objective) -> PartCells:
        """The cells of a part, in an executor."""
        file = self.files[number]
        rows, size, slices = file["rows"], file["cells"], file["slices"]
        offsets, weight, starts, sizes, columns, weights = self._part(number).arrays(
            (np.int64, rows + 1),
            (np.float64, rows),
            (np.int64, slices),
            (np.int64, slices),
            (np.int32, size),
            (np.float32, size),
        )
        return PartCells(Cells(offsets, columns, weights, objective.ridge(weight, self.count)), starts, sizes)

    def _part(self, number: int) -> Part:
        return Part(Path(self.staging) / self.files[number]["name"], self.files[number])


def slice_bounds(offsets: np.ndarray, rows: int, events: int) -> np.ndarray:
    """The `bounds` of a layout: slices of about `events` events, and at most `rows` sessions, or one block.

    offsets  (S+1,) int64
    """
    count = len(offsets) - 1
    blocks = np.append(np.arange(0, count, BLOCK_ROWS), count)
    before = offsets[blocks]
    bounds = [0]
    for block in range(1, len(blocks) - 1):
        at = bounds[-1] // BLOCK_ROWS
        if before[block + 1] - before[at] > events or blocks[block + 1] - blocks[at] > rows:
            bounds.append(int(blocks[block]))
    return np.array([*bounds, count])


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class WriteSlice:
    """Numbers of slices → the file of `SliceCells`, and one with the cells of each part."""

    staging: str
    layout: Broadcast[CellLayout]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        from embedrec.kernels.cell_blocks import count_parts, group_by_part

        (number,) = numbers_in(batches)
        layout, memory = self.layout.value, spill(local_folder())
        first, last = layout.bounds[number : number + 2].tolist()
        offsets, columns, weights, sums = _read_cells(layout, first, last, memory)
        ends, starts = count_parts(offsets, columns, layout.part_of, layout.parts)
        sent = memory.empty(int(starts[-1]), np.int32)
        grouped = [memory.empty(len(columns), dtype) for dtype in (np.int32, np.int32, np.float32)]
        group_by_part(offsets, columns, weights, layout.part_of, ends, starts, sent, *grouped)
        numbers = {"rows": len(sums), "cells": len(columns), "sent": len(sent)}
        return {
            "slice": write_arrays(self.staging, part, [offsets, sums, starts, columns, weights, sent], **numbers),
            "parts": write_arrays(self.staging, part, [ends, starts, *grouped], cells=len(columns)),
            "weight": float(sums.sum()),
        }


@dataclass(frozen=True)
class WritePart:
    """Numbers of parts → the file of `PartCells`.

    sources  of the slices: what `WriteSlice` says about the cells of parts
    """

    staging: str
    sources: Sequence[dict[str, Any]]
    layout: Broadcast[CellLayout]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        from embedrec.kernels.cell_blocks import add_columns, transpose_block

        (number,) = numbers_in(batches)
        layout, memory = self.layout.value, spill(local_folder())
        first, last = layout.first[number : number + 2].tolist()
        counts, sums = np.zeros(last - first, dtype=np.int64), np.zeros(last - first)
        starts, sizes = (np.zeros(len(self.sources), dtype=np.int64) for _ in range(2))
        for at in range(len(self.sources)):
            (starts[at], sizes[at]), column, _, weight = self._cells(at, number, layout.parts)
            add_columns(column, weight, first, counts, sums)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows, weights = memory.empty(int(offsets[-1]), np.int32), memory.empty(int(offsets[-1]), np.float32)
        free, bases = offsets[:-1].copy(), np.cumsum(sizes) - sizes
        for at, base in enumerate(bases.tolist()):
            _, column, place, weight = self._cells(at, number, layout.parts)
            transpose_block(column, place, weight, first, base, free, rows, weights)
        numbers = {"rows": last - first, "cells": len(rows), "slices": len(sizes), "sent": int(sizes.sum())}
        return write_arrays(self.staging, part, [offsets, sums, starts, sizes, rows, weights], **numbers, first=first)

    def _cells(self, at: int, number: int, parts: int) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
        """Of a slice and a part: first place and number of the sessions sent, and column, place and weight of cells."""
        source = self.sources[at]
        size = source["cells"]
        ends, starts, *grouped = Part(Path(self.staging) / source["name"], source).arrays(
            (np.int64, parts + 1), (np.int64, parts + 1), (np.int32, size), (np.int32, size), (np.float32, size)
        )
        first, last = ends[number : number + 2].tolist()
        sent = int(starts[number]), int(starts[number + 1] - starts[number])
        column, place, weight = (array[first:last] for array in grouped)
        return sent, column, place, weight


def _read_cells(
    layout: CellLayout, first: int, last: int, memory: MemoryBudget
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The cells of the sessions first … last − 1: offsets (s+1,), columns and weights (c,), sum of each row (s,)."""
    offsets, items = mapped(layout.folder, f"{layout.part}offsets"), mapped(layout.folder, f"{layout.part}items")
    vocab = Vocab.from_unique(np.arange(len(layout.part_of)))
    columns, weights = Column(np.int32, memory), Column(np.float32, memory)
    lengths, sums = [np.zeros(1, dtype=np.int64)], [np.empty(0)]
    while first < last:
        reached = np.searchsorted(offsets[first + 1 : last + 1], offsets[first] + CHUNK_EVENTS, side="right")
        stop = max(first + 1, first + int(reached))
        bounds = np.array(offsets[first : stop + 1])
        rows = layout.new[items[bounds[0] : bounds[-1]]]
        known = rows >= 0
        kept = np.concatenate([[0], np.cumsum(known)])[bounds - bounds[0]]
        matrix = cells(Sessions(kept, rows[known], vocab, np.arange(stop - first)), layout.plays)
        columns.append(matrix.indices)
        weights.append(matrix.data)
        lengths.append(np.diff(matrix.indptr).astype(np.int64))
        sums.append(row_weights(matrix))
        first = stop
    return np.cumsum(np.concatenate(lengths)), columns.array(), weights.array(), np.concatenate(sums)
