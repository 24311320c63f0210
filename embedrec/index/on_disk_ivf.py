"""Build an IVF index in its file, without holding it in memory.

The file of an IVF index ends in its inverted lists: the codes of each cell, followed by their labels. Once every vector
has its cell, the offset of its code is known. So there are two passes over blocks of vectors: one finds cells, one
computes codes, which are written in one run per cell and group of blocks. The file is the one that
`faiss.write_index` makes of the same index filled in memory, and is memory-mapped in the same way.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import faiss
import numpy as np

from embedrec.errors import SettingsError
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import MemoryBudget, reserve
from embedrec.vectors.faiss_factory import ADD_BLOCK
from embedrec.vectors.faiss_structure import apply_transforms, below_transforms, innermost, map_index

MEMORY_PARTS = 4  # one part of the budget is for the index, which takes two while it grows, or for training vectors
BLOCK_PARTS = 16  # one part of the budget is for the vectors prepared at a time
_LABEL_BYTES = 8
_NODE_BYTES = 16  # of a vector in a graph, beside its links
_STREAMED = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)
EMPTY_LISTS = b"sprs" + bytes(8)  # the end of the file of an empty IVF index

Vectors = Callable[[Any], np.ndarray]


def fits_in_memory(index: Any, n: int, memory: MemoryBudget) -> bool:
    """Whether n vectors may be added to an index in memory."""
    return memory.budget is None or index_bytes(index, n) <= memory.budget // MEMORY_PARTS


def index_bytes(index: Any, n: int) -> int:
    """The approximate bytes of n vectors in an index in memory."""
    index = below_transforms(index)
    if isinstance(index, faiss.IndexRefine):
        parts = (index.base_index, index.refine_index)
        return sum(index_bytes(faiss.downcast_index(part), n) for part in parts)
    if isinstance(index, faiss.IndexIVF):
        return n * int(index.code_size + _LABEL_BYTES)
    if isinstance(index, faiss.IndexHNSW):  # nearly all links are on the lowest level
        hnsw: Any = index.hnsw
        node = 4 * int(hnsw.nb_neighbors(0)) + _NODE_BYTES
        return index_bytes(faiss.downcast_index(index.storage), n) + n * node
    return n * int(index.code_size if isinstance(index, faiss.IndexFlatCodes) else 4 * index.d)


def max_training_vectors(index: Any, memory: MemoryBudget) -> int | None:
    """The maximum number of training vectors under a budget; None without one."""
    return None if memory.budget is None else memory.budget // MEMORY_PARTS // (4 * index.d)


class VectorEncoder(Protocol):
    """Finds the cells and codes of n vectors for a trained index."""

    def cells(self) -> np.ndarray:
        """The cell of each vector: (n,) int32."""
        ...

    def codes(self, first: int, cells: np.ndarray) -> np.ndarray:
        """The codes of consecutive vectors from `first` on, in these cells (m,): (m, bytes) uint8."""
        ...


def can_stream(index: Any) -> bool:
    """Whether an index can be built in its file."""
    return type(below_transforms(index)) in _STREAMED


def check_on_disk(index: Any, spec: str, n: int, memory: MemoryBudget) -> None:
    """Raises SettingsError for a type that can only be built in memory, where it does not fit."""
    if not can_stream(index):
        raise SettingsError(
            f"{spec} is built in memory and takes {index_bytes(index, n):,} bytes, twice as many while it grows, which "
            f"does not fit into {memory.budget:,} bytes; choose ivf, ivf-sq8 or ivfpq, which can be written to disk, "
            "or raise --memory"
        )


def build_on_disk(
    index: Any,
    n: int,
    vectors: Vectors,
    memory: MemoryBudget,
    report: Report = quiet,
    encoder: VectorEncoder | None = None,
) -> tuple[Any, Path]:
    """Write a trained, empty index for which `check_on_disk` passes, with n vectors, to a file in the budget's folder.

    vectors  a slice → (m, d) float32
    report   called as report("progress", done=, total=, unit="vectors"), for two passes over all vectors
    encoder  of the vectors; None for this process

    Returns the index, mapped from its file, and the file. Memory holds four bytes a vector, and blocks of vectors and
    codes that fit into the budget. Raises DataError if the disk is full; the file is removed after any error.
    """
    folder, budget = memory.folder, memory.budget
    if folder is None or budget is None:
        raise SettingsError("building an index on disk needs a memory budget with a folder")
    path = folder / f"{secrets.token_hex(8)}.faiss"
    try:
        size = block_size(index, budget)
        used = BlockEncoder(index, n, vectors, size, report) if encoder is None else encoder
        blocks = max(1, budget // MEMORY_PARTS // (innermost(index).code_size * size))
        with memory.writing("cells"), path.open("xb", buffering=0) as file:
            _write_ivf(file, index, n, used, size * blocks)
        return map_index(path), path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def block_size(index: Any, budget: int) -> int:
    """The number of vectors that are prepared at a time."""
    return max(1, min(ADD_BLOCK, budget // BLOCK_PARTS // (4 * index.d)))


class BlockEncoder:
    """A `VectorEncoder` of this process, which prepares `size` vectors at a time."""

    def __init__(self, index: Any, n: int, vectors: Vectors, size: int, report: Report = quiet) -> None:
        self.index, self.n, self.vectors, self.size, self.report = index, n, vectors, size, report
        self.ivf = innermost(index)

    def cells(self) -> np.ndarray:
        """See `VectorEncoder`."""
        return self.cells_of(0, self.n)

    def cells_of(self, first: int, last: int) -> np.ndarray:
        """The cells of the vectors first … last − 1: (m,) int32."""
        cells = np.empty(last - first, dtype=np.int32)
        for block in self._blocks(first, last):
            at = slice(block.start - first, block.stop - first)
            cells[at] = self.ivf.quantizer.search(self._prepare(block), 1)[1][:, 0]
            self.report("progress", done=block.stop, total=self.n, unit="vectors")
        return cells

    def codes(self, first: int, cells: np.ndarray) -> np.ndarray:
        """See `VectorEncoder`."""
        codes = np.empty((len(cells), self.ivf.code_size), dtype=np.uint8)
        for block in self._blocks(first, first + len(cells)):
            part = slice(block.start - first, block.stop - first)
            prepared, block_cells, out = self._prepare(block), cells[part].astype(np.int64), codes[part]
            self.ivf.encode_vectors(len(out), *map(faiss.swig_ptr, (prepared, block_cells, out)), False)
            self.report("progress", done=block.stop, total=self.n, unit="vectors")
        return codes

    def _blocks(self, start: int, stop: int) -> list[slice]:
        return [slice(first, min(first + self.size, stop)) for first in range(start, stop, self.size)]

    def _prepare(self, block: slice) -> np.ndarray:
        """Vectors as the IVF index takes them: (m, its d) float32."""
        return np.ascontiguousarray(apply_transforms(self.index, self.vectors(block)), dtype=np.float32)


def _write_ivf(file: IO[bytes], index: Any, n: int, encoder: VectorEncoder, group_size: int) -> None:
    """Write the file of an index with n vectors; `group_size` codes are sorted by cell at a time."""
    ivf = innermost(index)
    cells = encoder.cells()  # (n,)
    sizes = np.bincount(cells, minlength=ivf.nlist)  # (c,) vectors of each cell
    header = _header(index, n, sizes)
    code_size = ivf.code_size
    reserve(file, len(header) + n * (code_size + _LABEL_BYTES))
    _write_at(file, 0, header)
    # (c,) offsets in the file
    code_offsets = len(header) + np.concatenate([[0], np.cumsum(sizes)[:-1]]) * (code_size + _LABEL_BYTES)
    label_offsets = code_offsets + sizes * code_size
    for first in range(0, n, group_size):
        group = cells[first : first + group_size]
        codes = encoder.codes(first, group)
        order = np.argsort(group, kind="stable")
        present, starts = np.unique(group[order], return_index=True)
        for cell, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
            _write_at(file, code_offsets[cell], codes[rows])
            _write_at(file, label_offsets[cell], first + rows)
            code_offsets[cell] += len(rows) * code_size
            label_offsets[cell] += len(rows) * _LABEL_BYTES


def _header(index: Any, n: int, sizes: np.ndarray) -> bytes:
    """Everything before the codes: the empty index and the number of vectors of each cell (c,)."""
    level = index
    level.ntotal = n
    while isinstance(level, faiss.IndexPreTransform):
        level = faiss.downcast_index(level.index)
        level.ntotal = n
    empty = faiss.serialize_index(index).tobytes()
    if not empty.endswith(EMPTY_LISTS):
        raise SettingsError(
            f"the file format of FAISS {faiss.__version__} is unknown; build the index without --memory"
        )
    used = np.flatnonzero(sizes)
    if len(used) > len(sizes) // 2:
        values, form = sizes, b"full"
    else:
        values, form = np.column_stack([used, sizes[used]]).ravel(), b"sprs"
    size_array = len(values).to_bytes(8, "little") + values.astype("<i8").tobytes()
    return empty.removesuffix(EMPTY_LISTS) + form + size_array


def _write_at(file: IO[bytes], offset: int, array: Any) -> None:
    """Write bytes, or an array of numbers, at an offset of an unbuffered file."""
    remaining, offset = memoryview(array).cast("B"), int(offset)
    while remaining:
        count = os.pwrite(file.fileno(), remaining, offset)
        remaining, offset = remaining[count:], offset + count
