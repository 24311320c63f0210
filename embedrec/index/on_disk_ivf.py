"""An IVF index that is written to its file without being held in memory.

The file of an IVF index ends in its lists: of each cell the codes of its vectors, then their labels. Once all vectors
have their cells, every code has its place in the file. So vectors are gone through twice in blocks, once for their
cells, once for their codes, which are written in runs, one a cell and block. The file is the one that
`faiss.write_index` makes of the same index filled in memory, and is mapped as that one is.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import faiss
import numpy as np

from embedrec.errors import SettingsError
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import MemoryBudget, reserve
from embedrec.vectors.faiss_factory import ADD
from embedrec.vectors.faiss_structure import apply_transforms, innermost, map_index

MEMORY_PARTS = (
    4  # the memory has so many parts: one for an index, which takes two while it grows, or for what is trained on
)
BLOCK_PARTS = 16  # vectors that are made ready at a time take one of so many parts
_LABEL = 8  # bytes
_NODE = 16  # bytes that a graph keeps of a vector beside its links
_STREAMED = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)
EMPTY_LISTS = b"sprs" + bytes(8)  # how FAISS ends the file of an IVF index that is empty

Vectors = Callable[[Any], np.ndarray]


def fits_in_memory(index: Any, n: int, memory: MemoryBudget) -> bool:
    """Whether n vectors may be added to an index in memory."""
    return memory.budget is None or index_bytes(index, n) <= memory.budget // MEMORY_PARTS


def index_bytes(index: Any, n: int) -> int:
    """About the bytes that n vectors take in an index in memory."""
    if isinstance(index, faiss.IndexPreTransform):
        return index_bytes(faiss.downcast_index(index.index), n)
    if isinstance(index, faiss.IndexRefine):
        return index_bytes(faiss.downcast_index(index.base_index), n) + index_bytes(
            faiss.downcast_index(index.refine_index), n
        )
    if isinstance(index, faiss.IndexIVF):
        return n * int(index.code_size + _LABEL)
    if isinstance(index, faiss.IndexHNSW):  # nearly all links are of the lowest level
        graph: Any = index.hnsw
        return index_bytes(faiss.downcast_index(index.storage), n) + n * (4 * int(graph.nb_neighbors(0)) + _NODE)
    return n * int(index.code_size if isinstance(index, faiss.IndexFlatCodes) else 4 * index.d)


def max_training_vectors(index: Any, memory: MemoryBudget) -> int | None:
    """Vectors that an index may be trained on under a budget; None for any number."""
    return None if memory.budget is None else memory.budget // MEMORY_PARTS // (4 * index.d)


def check_on_disk(index: Any, spec: str, n: int, memory: MemoryBudget) -> None:
    """Raises SettingsError for a type that is built in memory, where it does not fit."""
    deepest = index
    while isinstance(deepest, faiss.IndexPreTransform):
        deepest = faiss.downcast_index(deepest.index)
    if type(deepest) not in _STREAMED:
        raise SettingsError(
            f"{spec} is built in memory and takes {index_bytes(index, n):,} bytes, twice as many while it grows, too "
            f"many for a memory of {memory.budget:,}; take ivf, ivf-sq8 or ivfpq, which are written to disk, or raise "
            "--memory"
        )


def build_on_disk(
    index: Any, n: int, vectors: Vectors, memory: MemoryBudget, report: Report = quiet
) -> tuple[Any, Path]:
    """Fill a trained, empty index of a type that `check_on_disk` lets pass into a file in the folder of a memory with a
    budget.

    vectors  a slice → (m, d) float32
    report   called as report("progress", done=, total=, unit="vectors"), through all vectors twice

    Returns the index, mapped from its file, and the file. In memory are four bytes a vector, and blocks of vectors and
    codes that fit into the budget. Raises DataError when the disk is full; the file is gone then, as after any error.
    """
    folder, budget = memory.folder, memory.budget
    if folder is None or budget is None:
        raise SettingsError("an index is written to disk under a budget of memory only; give one, and a folder")
    path = folder / f"{secrets.token_hex(8)}.faiss"
    try:
        with memory.writing("cells"), path.open("xb", buffering=0) as file:
            _IvfWriter(index, n, vectors, budget, report).write(file)
        return map_index(path), path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class _IvfWriter:
    """An index filled with n vectors, as a file."""

    def __init__(self, index: Any, n: int, vectors: Vectors, budget: int, report: Report) -> None:
        self.index, self.n, self.vectors, self.report = index, n, vectors, report
        self.lists = innermost(index)
        self.step = max(1, min(ADD, budget // BLOCK_PARTS // (4 * index.d)))  # vectors made ready at a time
        size = self.lists.code_size
        self.many = self.step * max(1, budget // MEMORY_PARTS // (size * self.step))  # codes sorted by cell at a time

    def write(self, file: IO[bytes]) -> None:
        cells = self.cells()  # (n,)
        sizes = np.bincount(cells, minlength=self.lists.nlist)  # (c,) vectors of each cell
        head = self.head(sizes)
        size = self.lists.code_size
        reserve(file, len(head) + self.n * (size + _LABEL))
        _write_at(file, 0, head)
        codes_at = len(head) + np.concatenate([[0], np.cumsum(sizes)[:-1]]) * (size + _LABEL)  # (c,) places in the file
        labels_at = codes_at + sizes * size  # (c,)
        for first in range(0, self.n, self.many):
            members = cells[first : first + self.many]
            codes = self.codes(first, members)
            order = np.argsort(members, kind="stable")
            present, starts = np.unique(members[order], return_index=True)
            for cell, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
                _write_at(file, codes_at[cell], codes[rows])
                _write_at(file, labels_at[cell], first + rows)
                codes_at[cell] += len(rows) * size
                labels_at[cell] += len(rows) * _LABEL

    def cells(self) -> np.ndarray:
        """The cell of each vector: (n,) int32."""
        cells = np.empty(self.n, dtype=np.int32)
        for block in self.blocks(0, self.n):
            cells[block] = self.lists.quantizer.search(self.ready(block), 1)[1][:, 0]
            self.report("progress", done=block.stop, total=self.n, unit="vectors")
        return cells

    def codes(self, first: int, cells: np.ndarray) -> np.ndarray:
        """The codes of the vectors from `first` on, which have these cells (m,): (m, bytes) uint8."""
        codes = np.empty((len(cells), self.lists.code_size), dtype=np.uint8)
        for block in self.blocks(first, first + len(cells)):
            part = slice(block.start - first, block.stop - first)
            ready, theirs, out = self.ready(block), cells[part].astype(np.int64), codes[part]
            self.lists.encode_vectors(len(out), *map(faiss.swig_ptr, (ready, theirs, out)), False)
            self.report("progress", done=block.stop, total=self.n, unit="vectors")
        return codes

    def blocks(self, start: int, stop: int) -> list[slice]:
        return [slice(at, min(at + self.step, stop)) for at in range(start, stop, self.step)]

    def ready(self, block: slice) -> np.ndarray:
        """Vectors as the lists get them: (m, their d) float32."""
        return np.ascontiguousarray(apply_transforms(self.index, self.vectors(block)), dtype=np.float32)

    def head(self, sizes: np.ndarray) -> bytes:
        """All that stands before the codes: the empty index, with the number of vectors in each cell (c,)."""
        level = self.index
        level.ntotal = self.n
        while isinstance(level, faiss.IndexPreTransform):
            level = faiss.downcast_index(level.index)
            level.ntotal = self.n
        empty = faiss.serialize_index(self.index).tobytes()
        if not empty.endswith(EMPTY_LISTS):
            raise SettingsError(f"FAISS {faiss.__version__} writes cells in an unknown way; build the index in memory")
        used = np.flatnonzero(sizes)
        if len(used) > len(sizes) // 2:
            values, form = sizes, b"full"
        else:
            values, form = np.column_stack([used, sizes[used]]).ravel(), b"sprs"
        counted = len(values).to_bytes(8, "little") + values.astype("<i8").tobytes()
        return empty.removesuffix(EMPTY_LISTS) + form + counted


def _write_at(file: IO[bytes], at: int, array: Any) -> None:
    """Write bytes, or an array of numbers, at a place of a file that is not buffered."""
    left, at = memoryview(array).cast("B"), int(at)
    while left:
        count = os.pwrite(file.fileno(), left, at)
        left, at = left[count:], at + count
