"""Cells and codes of the vectors of an IVF index, found by executors; the driver merges them in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.spark.tasks import numbers_in, run_numbered
from embedrec.spark.written_parts import Part, open_parts, write_arrays

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TASK_VECTORS = 1 << 18  # of a task, about
_INDEX = "trained.faiss"

Vectors = Callable[[Any], np.ndarray]


@dataclass(frozen=True, eq=False)
class EncodedParts:
    """A `VectorEncoder` of what tasks wrote: `size` vectors each, cells (m,) int32 and codes (m, bytes) uint8."""

    parts: list[Part]
    size: int
    n: int
    code_size: int

    def cells(self) -> np.ndarray:
        """See `VectorEncoder`."""
        return np.concatenate(
            [np.empty(0, dtype=np.int32), *(self._arrays(part)[0] for part in range(len(self.parts)))]
        )

    def codes(self, first: int, cells: np.ndarray) -> np.ndarray:
        """See `VectorEncoder`."""
        out = np.empty((len(cells), self.code_size), dtype=np.uint8)
        last = first + len(cells)
        for number in range(first // self.size, -(-last // self.size)):
            start = number * self.size
            low, high = max(first, start), min(last, start + self.size)
            out[low - first : high - first] = self._arrays(number)[1][low - start : high - start]
        return out

    def _arrays(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        count = min(self.size, self.n - number * self.size)
        part = self.parts[number]
        return part.array(np.int32, (count,)), part.array(np.uint8, (count, self.code_size), 4 * count)


@dataclass(frozen=True, eq=False)
class SparkEncoding:
    """An `Encode`: n vectors, encoded by executors.

    staging       folder of the parts; all machines share it
    open_vectors  opens them in an executor: augmented, max_norm → a slice → (m, d) float32
    budget        bytes of memory, see `on_disk_ivf.block_size`
    """

    spark: SparkSession
    staging: Path
    n: int
    open_vectors: Callable[[bool, float], Vectors]
    budget: int

    def __call__(self, index: Any, augmented: bool, max_norm: float) -> EncodedParts:
        """The cells and codes of the vectors for a trained IVF index."""
        import faiss

        from embedrec.index.on_disk_ivf import block_size
        from embedrec.vectors.faiss_structure import innermost

        faiss.write_index(index, str(self.staging / _INDEX))
        block = block_size(index, self.budget)
        size = max(1, TASK_VECTORS // block) * block  # so that blocks are those of one machine
        count = -(-self.n // size)
        work = _Encode(str(self.staging), self.open_vectors, augmented, max_norm, self.n, block, size)
        parts = open_parts(self.staging, run_numbered(self.spark, work, count))
        return EncodedParts(parts, size, self.n, int(innermost(index).code_size))


@dataclass(frozen=True)
class _Encode:
    """Numbers of tasks → cells and codes of their vectors."""

    staging: str
    open_vectors: Callable[[bool, float], Vectors]
    augmented: bool
    max_norm: float
    n: int
    block: int
    size: int

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        import faiss

        from embedrec.index.on_disk_ivf import BlockEncoder

        (number,) = numbers_in(batches)
        first, last = number * self.size, min((number + 1) * self.size, self.n)
        index = faiss.read_index(str(Path(self.staging) / _INDEX))
        encoder = BlockEncoder(index, self.n, self.open_vectors(self.augmented, self.max_norm), self.block)
        cells = encoder.cells_of(first, last)
        return write_arrays(self.staging, part, [cells, encoder.codes(first, cells)])
