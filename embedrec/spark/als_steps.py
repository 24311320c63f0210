"""The tasks of an iteration of alternating least squares on Spark.

A task of a slice maps the item vectors and solves the vectors of its sessions; when the sum of all Gram matrices is
known, another one rotates them and writes, for each part of the items, those that the part needs. A task of a part
reads them from the files of all slices and solves the vectors of its items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.errors import DataError
from embedrec.models.array_packing import locked
from embedrec.models.factorization.least_squares import (
    BLOCK_ROWS,
    Objective,
    gram_blocks,
    penalty,
    rotate_rows,
    solve_cells,
)
from embedrec.spark.als_cells import WrittenCells
from embedrec.spark.tasks import local_folder, numbers_in
from embedrec.spark.written_parts import write_arrays, writing_part
from embedrec.storage.memory_budget import spill

HELD_BYTES = 1 << 28  # of vectors that a task holds in memory; more are in a file of its machine


@dataclass(frozen=True)
class HalfStep:
    """What the tasks of half an iteration share.

    staging    folder of the files
    cells      of the slices or the parts
    objective  see `Objective`
    width      w, of a vector with padding
    steps      see `Side.solve`
    items      name of the file of all item vectors, (n, w) float32
    diagonal   (w,) float32 of the system of a row, see `kernels.als`
    """

    staging: str
    cells: WrittenCells
    objective: Objective
    width: int
    steps: int
    items: str
    diagonal: np.ndarray

    def path(self, name: str) -> Path:
        return Path(self.staging) / name

    @property
    def item_vectors(self) -> np.ndarray:
        """All item vectors (n, w), memory-mapped."""
        return np.memmap(self.path(self.items), np.float32, "r", shape=(self.cells.n, self.width))

    def read_rows(self, name: str, first: int, out: np.ndarray) -> None:
        """Read the vectors `first` … of a file into an array (m, w) float32. Raises DataError if there are fewer."""
        wanted = out.reshape(-1).view(np.uint8).data
        with self.path(name).open("rb", buffering=0) as file:
            file.seek(first * self.width * 4)
            while wanted:
                count = file.readinto(wanted)
                if not count:
                    raise DataError(f"{file.name} has too few vectors; run the command again")
                wanted = wanted[count:]


@dataclass(frozen=True)
class SolveSessions:
    """Numbers of slices → vectors (s, w) of their sessions, and the Gram matrix of each block of them.

    solved     names of the files of the last iteration; none in the first one
    rotations  of the vectors since then, (w, w) float32 each
    """

    step: HalfStep
    solved: Sequence[str]
    rotations: Sequence[np.ndarray]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        from embedrec.kernels.row_blas import padded

        (number,) = numbers_in(batches)
        step = self.step
        cells = step.cells.slice_cells(number, step.objective).cells
        vectors = padded(np.empty((0, step.width), dtype=np.float32), len(cells.ridge))
        with ThreadPoolExecutor(1) as pool:
            if self.solved:
                step.read_rows(self.solved[number], 0, vectors)
                for axes in self.rotations:
                    rotate_rows(vectors, axes, cells.offsets, step.steps, pool)
            solve_cells(cells, locked(step.item_vectors), step.diagonal, vectors, step.steps, 0, len(vectors))
            blocks = list(gram_blocks(vectors, pool))
        return write_arrays(step.staging, part, [vectors, *blocks], rows=len(vectors), blocks=len(blocks))


@dataclass(frozen=True)
class SendVectors:
    """Numbers of slices → the rotated vectors of `SliceCells.sent`, and the penalty of all vectors of the slice.

    solved  names of the files of `SolveSessions`
    axes    (w, w) float32
    """

    step: HalfStep
    solved: Sequence[str]
    axes: np.ndarray

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        from embedrec.kernels.row_blas import padded

        (number,) = numbers_in(batches)
        step = self.step
        cells, _, sent = step.cells.slice_cells(number, step.objective)
        vectors = padded(np.empty((0, step.width), dtype=np.float32), len(cells.ridge))
        step.read_rows(self.solved[number], 0, vectors)
        with ThreadPoolExecutor(1) as pool:
            rotate_rows(vectors, self.axes, cells.offsets, -1, pool)
        about: dict[str, Any] = {"penalty": penalty(vectors, cells.ridge)}
        with writing_part(step.staging, part, about) as file:
            for at in range(0, len(sent), BLOCK_ROWS):
                file.write(vectors[sent[at : at + BLOCK_ROWS]].data)
        return about


@dataclass(frozen=True)
class SolveItems:
    """Numbers of parts → vectors (items, w) of their items, and the sum of their minima.

    sent  names of the files of `SendVectors`
    axes  (w, w) float32, into which the item vectors are rotated first
    """

    step: HalfStep
    sent: Sequence[str]
    axes: np.ndarray

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        from embedrec.kernels.row_blas import padded

        (number,) = numbers_in(batches)
        step, file = self.step, self.step.cells.files[number]
        cells, starts, sizes = step.cells.part_cells(number, step.objective)
        fixed = self._received(starts, sizes)
        first, count = file["first"], file["rows"]
        vectors = padded(step.item_vectors[first : first + count], count)
        with ThreadPoolExecutor(1) as pool:
            rotate_rows(vectors, self.axes, cells.offsets, step.steps, pool)
        minima = solve_cells(cells, locked(fixed), step.diagonal, vectors, step.steps, 0, count)
        return write_arrays(step.staging, part, [vectors], rows=count, minima=float(minima.sum()))

    def _received(self, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """The vectors (m, w) of the sessions of the part, in order."""
        from embedrec.kernels.row_blas import padded

        step, count = self.step, int(sizes.sum())
        if count * step.width * 4 <= HELD_BYTES:
            vectors = padded(np.empty((0, step.width), dtype=np.float32), count)
        else:
            vectors = spill(local_folder()).empty(count * step.width, np.float32).reshape(count, step.width)
        ends = np.cumsum(sizes)
        for name, start, size, end in zip(self.sent, starts.tolist(), sizes.tolist(), ends.tolist(), strict=True):
            if size:
                step.read_rows(name, start, vectors[end - size : end])
        return vectors
