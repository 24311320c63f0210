"""What stands in the file of a FAISS index, looked through before FAISS reads it.

FAISS trusts what it reads: a file that is cut off, or in which numbers were changed, can make it write beyond its
arrays when it is read, or read beyond them when it is searched. Here the fields are walked through as
`faiss.write_index` wrote them, and everything that FAISS takes for a size, a place or a link is checked against the
rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.errors import DataError

_DEEP = 6  # indexes inside each other
_WIDE = 1 << 20  # dimensions
_LINKS = 1 << 18  # of a vector, on all levels that it may get
_CANDIDATES = 1 << 20  # that a walk keeps
_BLOCK = 32  # vectors that fast scan keeps together
_NO_SIZE = 2**64 - 1  # bytes of a code that is only kept in blocks
_RANGES = {0: 2, 1: 2, 2: 0, 3: 0, 4: 0, 5: 0, 6: 2, 7: 0, 8: 0}  # numbers a dimension that types of scalars train
_UNIFORM = (2, 3)  # types that train 2 numbers in all


class UnknownTypeError(Exception):
    """A type of index whose file is not known here."""


@dataclass(frozen=True)
class Seen:
    """What an index in the file says of itself.

    kind       four letters
    d, ntotal  dimensions and vectors
    """

    kind: str
    d: int
    ntotal: int


def look_through(path: Path, labels: int | None = None) -> Seen:
    """Walk through a file. Raises DataError for one that FAISS must not read, UnknownTypeError where that is not known.

    labels  how many labels there may be in cells; None for as many as vectors
    """
    content = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.zeros(0, np.uint8)
    return look_through_content(content, labels, path.name)


def look_through_content(content: np.ndarray, labels: int | None, name: str) -> Seen:
    """The same for what stands in a file, as (m,) uint8; `name` is for messages."""
    walk = _Walk(content, labels)
    seen = walk.index()
    if walk.at != len(content):
        raise DataError(f"{len(content) - walk.at} bytes stand behind the index in {name}")
    return seen


@dataclass
class _Walk:
    """A place in the content of a file."""

    content: np.ndarray
    labels: int | None
    at: int = 0
    deep: int = field(default=0)

    # ------------------------------------------------------------------------------------------ numbers and arrays

    def array(self, dtype: str, count: int) -> np.ndarray:
        """The next `count` numbers."""
        size = np.dtype(dtype).itemsize
        if not 0 <= count <= (len(self.content) - self.at) // size:
            raise DataError(f"it is cut off: {count} numbers are due at byte {self.at} of {len(self.content)}")
        part = self.content[self.at : self.at + count * size]
        self.at += count * size
        return part.view(dtype)

    def number(self, dtype: str) -> int:
        return int(self.array(dtype, 1)[0])

    def vector(self, dtype: str, count: int | None = None, *, unit: int = 1) -> np.ndarray:
        """The next array with its length before it, which must be `count` where that is said.

        unit  numbers that the length counts as one
        """
        length = self.number("<u8") * unit
        if count is not None and length != count:
            raise DataError(f"an array of {length} numbers stands at byte {self.at}, where {count} are due")
        return self.array(dtype, length)

    def must(self, good: Any, what: str) -> None:
        if not np.all(good):
            raise DataError(f"{what} (before byte {self.at})")

    def letters(self) -> str:
        return self.array("u1", 4).tobytes().decode("latin-1")

    def switch(self) -> bool:
        value = self.number("u1")
        self.must(value in (0, 1), "a switch is neither on nor off")
        return bool(value)

    # ---------------------------------------------------------------------------------------------------- indexes

    def index(self) -> Seen:
        """One index with all that is in it."""
        self.deep += 1
        self.must(self.deep <= _DEEP, "too many indexes stand inside each other")
        kind = self.letters()
        if kind not in _KINDS:
            if not all(32 < ord(letter) < 127 for letter in kind):
                raise DataError("it is not the file of a FAISS index")
            raise UnknownTypeError(kind)
        d, ntotal = self.header()
        _KINDS[kind](self, d, ntotal)
        self.deep -= 1
        return Seen(kind, d, ntotal)

    def header(self) -> tuple[int, int]:
        d, ntotal = self.number("<i4"), self.number("<i8")
        self.array("<i8", 2)
        trained, metric = self.switch(), self.number("<i4")
        self.must(0 < d < _WIDE and ntotal >= 0, f"an index of {ntotal} × {d} vectors cannot be")
        self.must(trained and metric in (0, 1), "it is not trained, or compares by no metric that is used here")
        return d, ntotal

    def flat(self, d: int, ntotal: int) -> None:
        self.vector("u1", 4 * ntotal * d, unit=4)

    def scalar(self, d: int, ntotal: int) -> None:
        self.vector("u1", ntotal * self.scalar_quantizer(d))

    def product(self, d: int, ntotal: int) -> None:
        self.vector("u1", ntotal * self.product_quantizer(d)[0])
        way, _, _ = self.number("<i4"), self.switch(), self.number("<i4")
        self.must(way == 0, "it is searched in a way that is not used here")

    def product_fast(self, d: int, ntotal: int) -> None:
        _, m, bits = self.product_quantizer(d)
        way, together, queries = self.number("<i4"), self.number("<i4"), self.number("<i4")
        rows, parts = self.number("<u8"), self.number("<u8")
        self.must(way == queries == 0, "it is searched in a way that is not used here")
        self.must(bits == 4 and together == _BLOCK, "blocks of fast scan are of another size")
        self.must(rows == -(-ntotal // _BLOCK) * _BLOCK and parts == m + m % 2, "blocks of fast scan do not fit")
        self.vector("u1", rows * parts // 2)

    def cells(self, d: int, ntotal: int) -> int:
        """What all indexes with cells have; the number of cells."""
        nlist, nprobe = self.number("<u8"), self.number("<u8")
        self.must(0 < nlist <= len(self.content) and 0 < nprobe < 2**31, f"there are {nlist} cells")
        at = self.at
        centres = self.index()
        self.must(centres.ntotal == nlist and centres.d == d, f"{nlist} cells have {centres.ntotal} centres")
        self.must(centres.kind in ("IxFI", "IxF2", "IHNf"), f"centres of cells are kept in an index at byte {at}")
        self.must(self.number("u1") == 0, "places of labels are kept, which is not used here")
        self.vector("<i8", 0)
        return nlist

    def cells_flat(self, d: int, ntotal: int) -> None:
        self.lists(self.cells(d, ntotal), ntotal, 4 * d)

    def cells_scalar(self, d: int, ntotal: int) -> None:
        nlist = self.cells(d, ntotal)
        size = self.scalar_quantizer(d)
        self.must(self.number("<u8") == size, "codes are of another size")
        self.switch()
        self.lists(nlist, ntotal, size)

    def cells_product(self, d: int, ntotal: int) -> None:
        nlist = self.cells(d, ntotal)
        self.switch()
        given = self.number("<u8")
        size, _, _ = self.product_quantizer(d)
        self.must(given == size, "codes are of another size")
        self.lists(nlist, ntotal, size)

    def cells_fast(self, d: int, ntotal: int) -> None:
        nlist = self.cells(d, ntotal)
        self.switch()
        given, together, parts = self.number("<u8"), self.number("<i4"), self.number("<u8")
        way, queries = self.number("<i4"), self.number("<u8")
        self.must(way == queries == 0, "it is searched in a way that is not used here")
        size, m, bits = self.product_quantizer(d)
        self.must(given == size and bits == 4, "codes are of another size")
        self.must(together == _BLOCK and parts == m + m % 2, "blocks of fast scan are of another size")
        self.blocks(nlist, ntotal, _BLOCK * parts // 2)

    def graph(self, d: int, ntotal: int) -> None:
        odds = self.vector("<f8")
        until, levels = self.vector("<i4").astype(np.int64), self.vector("<i4", ntotal)
        offsets, links = self.vector("<u8", ntotal + 1), self.vector("<i4")
        entry, top = self.number("<i4"), self.number("<i4")
        candidates, kept, _ = self.array("<i4", 3).tolist()  # of vectors that are added, and of searches
        self.must(len(until) > 1 and until[0] == 0 and np.diff(until) > 0, "links a level are odd")
        self.must(until[-1] <= _LINKS, "links a level are odd")
        self.must(len(odds) == len(until) - 1 and (odds >= 0) & (odds <= 1), "odds of levels do not fit the levels")
        self.must(0 < candidates <= _CANDIDATES and 0 < kept <= _CANDIDATES, "a walk keeps an odd number of candidates")
        self.must((levels >= 1) & (levels < len(until)), "levels of vectors are odd")
        self.must(offsets[0] == 0 and offsets[-1] == len(links), "links do not begin and end where they should")
        self.must(np.diff(offsets.astype(np.int64)) == until[levels], "places of links are odd")
        self.must((links >= -1) & (links < ntotal), "links lead to no vector")
        if ntotal:
            self.must(0 <= entry < ntotal and 0 <= top < levels[entry], "the walk begins nowhere")
            self.must(top < levels.max() and until[1] > 0, "the walk begins nowhere")
        else:
            self.must(entry == -1 and top == -1, "the walk begins nowhere")
        for level in range(1, int(levels.max(initial=0))):  # on a level there must be links to it only
            nodes = np.flatnonzero(levels > level)
            place = offsets[nodes].astype(np.int64)[:, None] + np.arange(until[level], until[level + 1])
            linked = links[place]
            self.must((linked < 0) | (levels[np.maximum(linked, 0)] > level), "links lead to no vector of their level")
        held = self.index()
        self.must((held.d, held.ntotal) == (d, ntotal), f"a graph of {ntotal} vectors keeps {held.ntotal}")
        self.must(held.kind in ("IxFI", "IxF2", "IxSQ", "IxPq"), "vectors of a graph are kept in another index")

    def transformed(self, d: int, ntotal: int) -> None:
        count = self.number("<i4")
        self.must(0 <= count <= _DEEP, f"there are {count} transforms")
        for _ in range(count):
            d = self.transform(d)
        below = self.index()
        self.must((below.d, below.ntotal) == (d, ntotal), "what is transformed does not fit what is kept")

    def refined(self, d: int, ntotal: int) -> None:
        for held in (self.index(), self.index()):
            self.must((held.d, held.ntotal) == (d, ntotal), "what is refined does not fit what is kept")
        self.array("<f4", 1)

    # --------------------------------------------------------------------------------------------- parts of indexes

    def scalar_quantizer(self, d: int) -> int:
        """Bytes of a code."""
        import faiss

        kind = self.number("<i4")
        if kind not in _RANGES:
            raise UnknownTypeError(f"scalar quantiser {kind}")
        self.array("<i4", 1)
        self.array("<f4", 1)
        code_size, size = self.number("<u8"), self.number("<u8")
        expected = faiss.ScalarQuantizer(d, kind).code_size
        self.must(code_size == d and size == expected, "codes of scalars are of another size")
        self.vector("<f4", 2 if kind in _UNIFORM else _RANGES[kind] * d)
        return int(expected)

    def product_quantizer(self, d: int) -> tuple[int, int, int]:
        """Bytes of a code, parts, and bits of each."""
        dim, m, bits = self.number("<u8"), self.number("<u8"), self.number("<u8")
        self.must(dim == d and 0 < m <= d and d % m == 0 and 0 < bits <= 16, f"{d} dimensions in {m} parts cannot be")
        self.vector("<f4", d << bits)
        return -(-m * bits // 8), m, bits

    def lists(self, nlist: int, ntotal: int, size: int) -> None:
        """The vectors in cells, each with its label."""
        kind = self.letters()
        if kind == "ilbl":
            raise UnknownTypeError(kind)
        self.must(kind == "ilar", "cells are kept in a way that is not used here")
        self.must(self.number("<u8") == nlist and self.number("<u8") == size, "cells are of another number or size")
        form = self.letters()
        self.must(form in ("full", "sprs"), "cells are kept in a way that is not used here")
        sizes = np.zeros(nlist, dtype=np.uint64)
        if form == "full":
            sizes[:] = self.vector("<u8", nlist)
        else:
            pairs = self.vector("<u8")
            self.must(len(pairs) % 2 == 0 and pairs[::2] < nlist, "cells are said that there are not")
            self.must(np.diff(pairs[::2].astype(np.int64)) > 0, "a cell is said twice")
            sizes[pairs[::2].astype(np.int64)] = pairs[1::2]
        self.must(sizes <= ntotal, "a cell holds more than all")
        lists = []
        for held in sizes.astype(np.int64)[sizes > 0].tolist():
            self.array("u1", held * size)
            lists.append(self.array("<i8", held))
        self.check_labels(lists, ntotal)

    def blocks(self, nlist: int, ntotal: int, block: int) -> None:
        """The same in blocks, as fast scan keeps them."""
        self.must(self.letters() == "ilbl", "cells are kept in a way that is not used here")
        self.must(self.number("<u8") == nlist and self.number("<u8") == _NO_SIZE, "cells are of another number or size")
        self.must(self.number("<u8") == _BLOCK and self.number("<u8") == block, "blocks are of another size")
        blocks = []
        for _ in range(nlist):
            ids = self.vector("<i8")
            self.vector("u1", -(-len(ids) // _BLOCK) * block)
            blocks.append(ids)
        self.check_labels(blocks, ntotal)

    def check_labels(self, parts: list[np.ndarray], ntotal: int) -> None:
        """Labels in cells: as many as vectors, each once."""
        most = ntotal if self.labels is None else self.labels
        total = sum(map(len, parts))
        self.must(total == ntotal, f"{total} of {ntotal} vectors are in cells")
        times = np.zeros(most, dtype=bool)
        for labels in parts:  # one after the other, so that they stay in the file
            self.must((labels >= 0) & (labels < most), "vectors in cells have labels that there are not")
            times[labels] = True
        self.must(times.sum() == ntotal, "a label stands twice in cells")

    def transform(self, d: int) -> int:
        """One transform of vectors of d dimensions; how many it makes of them."""
        kind = self.letters()
        if kind not in ("LTra", "rrot", "Pcam", "RmDT", "VNrm", "VCnt"):
            self.must(kind.isprintable(), "a transform is odd")
            raise UnknownTypeError(kind)
        places, sizes = np.zeros(0, np.int64), [0, 0, 0]
        if kind == "Pcam":
            self.array("<f4", 2)
            self.switch()
            self.array("<i4", 1)
            sizes = [len(self.vector("<f4")) for _ in range(3)]
        if kind in ("LTra", "rrot", "Pcam"):
            moved = self.switch()
            matrix, shift = len(self.vector("<f4")), len(self.vector("<f4"))
        elif kind == "RmDT":
            places = self.vector("<i4")
        elif kind == "VNrm":
            self.must(self.array("<f4", 1) == 2, "vectors are shortened by a norm that is not used here")
        else:
            matrix = len(self.vector("<f4"))
        before, after, trained = self.number("<i4"), self.number("<i4"), self.switch()
        self.must(before == d and 0 < after < _WIDE and trained, "transforms do not follow each other")
        if kind in ("LTra", "rrot", "Pcam"):
            self.must(matrix == before * after and (not moved or shift == after), "the matrix of a transform is odd")
            self.must(kind != "Pcam" or (sizes[0] in (0, d) and sizes[1] <= d and sizes[2] <= d * d), "a PCA is odd")
        elif kind == "RmDT":
            self.must(len(places) == after and np.all((places >= -1) & (places < d)), "a transform is odd")
        else:
            self.must(before == after and (kind == "VNrm" or matrix == d), "a transform is odd")
        return after


_KINDS: dict[str, Callable[[_Walk, int, int], None]] = {
    "IxFI": _Walk.flat,
    "IxF2": _Walk.flat,
    "IxSQ": _Walk.scalar,
    "IxPq": _Walk.product,
    "IPfs": _Walk.product_fast,
    "IwFl": _Walk.cells_flat,
    "IwSq": _Walk.cells_scalar,
    "IwPQ": _Walk.cells_product,
    "IwPf": _Walk.cells_fast,
    "IHNf": _Walk.graph,
    "IHNs": _Walk.graph,
    "IHNp": _Walk.graph,
    "IxPT": _Walk.transformed,
    "IxRF": _Walk.refined,
}
