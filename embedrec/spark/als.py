"""Alternating least squares on Spark, with the item vectors of one machine.

The driver holds no vector of a session: it adds Gram matrices up, in their order, and keeps the item vectors in a file.
Rows are solved by the kernel of one machine, from the same cells in the same order, so that the result has its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.models.factorization.als import initial_vectors, model_arrays, weighted_objective
from embedrec.models.factorization.least_squares import (
    BLOCK_ROWS,
    Objective,
    gram_blocks,
    principal_axes,
    rotate_rows,
)
from embedrec.progress import Report
from embedrec.spark.als_cells import CellLayout, WritePart, WriteSlice, WrittenCells, slice_bounds
from embedrec.spark.als_steps import HELD_BYTES, HalfStep, SendVectors, SolveItems, SolveSessions
from embedrec.spark.pair_plan import plan_parts
from embedrec.spark.sessions_frame import SessionsFrame, mapped
from embedrec.spark.tasks import run_numbered
from embedrec.spark.written_parts import Part, open_parts
from embedrec.storage.memory_budget import MemoryBudget

if TYPE_CHECKING:
    from embedrec.models.factorization.settings import FactorisationSettings

_SLICE_BYTES = 1 << 26  # of vectors of the sessions of a slice


class _Written(NamedTuple):
    """The cells on disk, by session and by item, and the weight of all of them."""

    slices: WrittenCells
    parts: WrittenCells
    weight: float


@dataclass(frozen=True, eq=False)
class SparkALS:
    """A training by alternating least squares.

    recipe   its settings, of loss "als"
    frame    the sessions
    vocab    the n items
    counts   (n,) int64 mentions of each
    new      see `CellLayout`
    staging  folder of the files; all machines share it
    size     mentions of the items of a part
    seed, threads, report, memory  of what the driver computes
    """

    recipe: FactorisationSettings
    frame: SessionsFrame
    vocab: Vocab
    counts: np.ndarray
    new: np.ndarray
    staging: Path
    size: int
    seed: int
    threads: int
    report: Report
    memory: MemoryBudget

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of `als.train`."""
        self._write_initial_vectors()
        written = self._write_cells()
        slices, parts, d = written.slices, written.parts, self.recipe.dim
        objective = weighted_objective(self.recipe, written.weight, slices.count, slices.n)
        epochs, observed = self.recipe.value("epochs"), sum(file["cells"] for file in slices.files)
        axes = np.eye(d, dtype=np.float32)
        solved: list[Part] = []
        since: tuple[np.ndarray, ...] = ()  # rotations of the session vectors since they were written
        with ThreadPoolExecutor(self.threads) as pool:
            for epoch in range(1, epochs + 1):
                started = perf_counter()
                items = f"items-{epoch - 1}"
                values, rotation = self._rotated(items, pool)
                axes = axes @ rotation[:d, :d]
                step = self._half_step(slices, objective, items, values)
                earlier = solved
                solved = self._run(SolveSessions(step, _names(earlier), (*since, rotation)), slices)
                _remove(earlier)
                self.report("progress", done=(2 * epoch - 1) * observed, total=2 * epochs * observed, unit="cells")
                values, rotation = principal_axes(self._grams(solved), d)
                axes, since = axes @ rotation[:d, :d], (rotation,)
                sent = self._run(SendVectors(step, _names(solved), rotation), slices)
                step = self._half_step(parts, objective, items, values)
                results = self._run(SolveItems(step, _names(sent), rotation), parts)
                self._join(f"items-{epoch}", (self._vectors(part) for part in results))
                _remove([*sent, *results, Part(self.staging / items, {})])
                loss = sum(part.about["minima"] for part in results) + sum(part.about["penalty"] for part in sent)
                self.report("progress", done=2 * epoch * observed, total=2 * epochs * observed, unit="cells")
                self.report("epoch", epoch=epoch, epochs=epochs, loss=loss, seconds=perf_counter() - started)
            _, rotation = self._rotated(f"items-{epochs}", pool)
        principal = np.ascontiguousarray(self._items(f"items-{epochs}")[:, :d])
        return model_arrays(principal, axes @ rotation[:d, :d], objective, self.seed)

    @property
    def _width(self) -> int:
        """The length of a vector with its padding."""
        from embedrec.kernels.row_blas import LANES

        return -(-self.recipe.dim // LANES) * LANES

    def _half_step(self, cells: WrittenCells, objective: Objective, items: str, values: np.ndarray) -> HalfStep:
        """values (w,) float64 of the principal axes of the other side."""
        diagonal = (objective.unobserved * values).astype(np.float32)
        return HalfStep(str(self.staging), cells, objective, self._width, self.recipe.steps, items, diagonal)

    def _run(self, work: SolveSessions | SendVectors | SolveItems, cells: WrittenCells) -> list[Part]:
        """The files that tasks write, one for each slice or part."""
        return open_parts(self.staging, run_numbered(self.frame.spark, work, len(cells.files)))

    def _write_cells(self) -> _Written:
        """Write the cells of all slices, and from these those of all parts."""
        frame, staging, n, row = self.frame, str(self.staging), len(self.vocab), 4 * self._width
        plan = plan_parts(self.counts.astype(np.float64), max(1, min(self.size, HELD_BYTES // row)), 1)
        bounds = slice_bounds(mapped(frame.folder, f"{frame.part}offsets"), _SLICE_BYTES // row, frame.size)
        first = np.append(plan.first, n)
        layout = CellLayout(frame.folder, frame.part, self.recipe.plays, self.new, bounds, plan.part_of, first)
        shared = frame.spark.sparkContext.broadcast(layout)
        results = run_numbered(frame.spark, WriteSlice(staging, shared), len(bounds) - 1)
        slices, sources = ([result[kind] for result in results] for kind in ("slice", "parts"))
        open_parts(self.staging, slices)
        grouped = open_parts(self.staging, sources)
        parts = run_numbered(frame.spark, WritePart(staging, sources, shared), layout.parts)
        open_parts(self.staging, parts)
        _remove(grouped)
        shared.unpersist()
        by_session, by_item = (
            WrittenCells(staging, files, n, frame.n_sessions, layout.parts) for files in (slices, parts)
        )
        return _Written(by_session, by_item, float(sum(result["weight"] for result in results)))

    def _write_initial_vectors(self) -> None:
        """Write the item vectors of the start."""
        from embedrec.kernels.row_blas import padded

        start = initial_vectors(self.recipe, self.vocab, self.seed)
        blocks = (start[at : at + BLOCK_ROWS] for at in range(0, len(start), BLOCK_ROWS))
        self._join("items-0", (padded(block, len(block)) for block in blocks))

    def _join(self, name: str, blocks: Iterable[np.ndarray]) -> None:
        """Write vectors (m, w) one after another into a file. Raises DataError when the disk is full."""
        with self.memory.writing("item vectors"), (self.staging / name).open("wb") as file:
            for block in blocks:
                file.write(block.data)

    def _items(self, name: str) -> Any:
        """The item vectors (n, w) of a file, memory-mapped."""
        return np.memmap(self.staging / name, np.float32, "r+", shape=(len(self.vocab), self._width))

    def _vectors(self, part: Part) -> np.ndarray:
        """The vectors (m, w) of a slice or a part."""
        return part.array(np.float32, (part.about["rows"], self._width))

    def _grams(self, solved: list[Part]) -> Iterator[np.ndarray]:
        """The Gram matrices (w, w) of the blocks of all slices, in order."""
        for part in solved:
            count, before = part.about["blocks"], part.about["rows"] * self._width * 4
            yield from part.array(np.float32, (count, self._width, self._width), before)

    def _rotated(self, name: str, pool: Executor) -> tuple[np.ndarray, np.ndarray]:
        """Rotate the item vectors of a file, which no task has opened yet, into their principal axes.

        Returns what `principal_axes` returns.
        """
        mapped_items = self._items(name)
        vectors = np.asarray(mapped_items)
        values, axes = principal_axes(gram_blocks(vectors, pool), self.recipe.dim)
        rotate_rows(vectors, axes, np.zeros(len(vectors) + 1, dtype=np.int64), -1, pool)
        mapped_items.flush()
        return values, axes


def _names(parts: list[Part]) -> list[str]:
    return [part.path.name for part in parts]


def _remove(parts: list[Part]) -> None:
    """Remove files that no later task reads."""
    for part in parts:
        part.path.unlink(missing_ok=True)
