"""Check the file of a FAISS index before FAISS reads it.

FAISS trusts its files: if one is truncated or modified, FAISS may write beyond its arrays while reading it, or read
beyond them while searching. The check parses the fields in the order in which `faiss.write_index` writes them, and
compares every size, offset and link with the rest of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from embedrec.errors import DataError

_MAX_DEPTH = 6  # nested indexes, and transforms of one
_MAX_DIM = 1 << 20
_MAX_LINKS = 1 << 18  # of a vector on all levels
_MAX_CANDIDATES = 1 << 20  # of a graph search
_BLOCK = 32  # vectors in a block of fast scan
_NO_CODE_SIZE = 2**64 - 1  # code size of lists that only hold blocks
_TRAINED_PER_DIM = {0: 2, 1: 2, 2: 0, 3: 0, 4: 0, 5: 0, 6: 2, 7: 0, 8: 0}  # trained numbers by scalar quantizer type
_UNIFORM = (2, 3)  # scalar quantizer types with 2 trained numbers in total
_LINEAR = ("LTra", "rrot", "Pcam")  # transforms with a matrix


class UnknownTypeError(Exception):
    """An index type whose file layout is unknown here."""


@dataclass(frozen=True)
class FileSummary:
    """The header of a FAISS index.

    kind       its code of four letters
    d, ntotal  dimensions and number of vectors
    """

    kind: str
    d: int
    ntotal: int


def check_file(path: Path, labels: int) -> None:
    """Raises DataError for a file that FAISS must not read in this process.

    labels  upper bound of the labels

    The named types, and most others, are parsed. The rest are opened and searched in a child process first.
    """
    try:
        parse_file(path, labels)
    except UnknownTypeError:
        from embedrec.vectors.faiss_child_check import try_search

        try_search(path)


def check_changeable(content: np.ndarray, labels: int) -> None:
    """Raises DataError for a serialised index (m,) uint8 that FAISS must not change in this process.

    labels  upper bound of the labels

    Parsing covers the fields that only changes read. An index of an unknown type is changed in a child process first.
    """
    try:
        parse_content(content, labels, "the index")
    except UnknownTypeError:
        from embedrec.vectors.faiss_child_check import try_change

        with TemporaryDirectory() as folder:
            path = Path(folder) / "index.faiss"
            path.write_bytes(content.tobytes())
            try_change(path)


def parse_file(path: Path, labels: int | None = None) -> FileSummary:
    """Parse and check a file. Raises DataError if FAISS must not read it, UnknownTypeError if the layout is unknown.

    labels  upper bound of the labels in cells; None for the number of vectors
    """
    content = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.zeros(0, np.uint8)
    return parse_content(content, labels, path.name)


def parse_content(content: np.ndarray, labels: int | None, name: str) -> FileSummary:
    """Parse and check the content of a file, (m,) uint8, as `parse_file` does; `name` is for messages."""
    parser = _Parser(content, labels)
    summary = parser.index()
    if parser.offset != len(content):
        raise DataError(f"{len(content) - parser.offset} bytes follow the index in {name}; the file is corrupt")
    return summary


@dataclass
class _Parser:
    """Reads the content of a file from an offset on; `depth` counts nested indexes."""

    content: np.ndarray
    labels: int | None
    offset: int = 0
    depth: int = 0

    # ------------------------------------------------------------------------------------------ numbers and arrays

    def array(self, dtype: str, count: int) -> np.ndarray:
        """The next `count` numbers."""
        size = np.dtype(dtype).itemsize
        if not 0 <= count <= (len(self.content) - self.offset) // size:
            raise DataError(f"cut off: {count} numbers expected at byte {self.offset} of {len(self.content)}")
        part = self.content[self.offset : self.offset + count * size]
        self.offset += count * size
        return part.view(dtype)

    def number(self, dtype: str) -> int:
        return int(self.array(dtype, 1)[0])

    def vector(self, dtype: str, count: int | None = None, *, unit: int = 1) -> np.ndarray:
        """The next array, stored after its length. The length must be `count` unless that is None.

        unit  numbers per unit of the stored length
        """
        length = self.number("<u8") * unit
        self.require(count is None or length == count, f"an array of {length} instead of {count} numbers")
        return self.array(dtype, length)

    def require(self, condition: Any, problem: str) -> None:
        if not np.all(condition):
            raise DataError(f"{problem} before byte {self.offset}; the file is corrupt")

    def require_supported(self, condition: bool, what: str) -> None:
        if not condition:
            raise DataError(f"the {what} before byte {self.offset} is not supported")

    def fourcc(self) -> str:
        return self.array("u1", 4).tobytes().decode("latin-1")

    def boolean(self) -> bool:
        value = self.number("u1")
        if value > 1:
            raise DataError(f"invalid boolean at byte {self.offset - 1}; the file is corrupt")
        return bool(value)

    # ---------------------------------------------------------------------------------------------------- indexes

    def index(self) -> FileSummary:
        """One index with all its parts."""
        self.depth += 1
        self.require(self.depth <= _MAX_DEPTH, "too many nested indexes")
        kind = self.fourcc()
        if kind not in _KINDS:
            if not all(32 < ord(letter) < 127 for letter in kind):
                raise DataError("this is not the file of a FAISS index")
            raise UnknownTypeError(kind)
        d, ntotal = self.header()
        _KINDS[kind](self, d, ntotal)
        self.depth -= 1
        return FileSummary(kind, d, ntotal)

    def header(self) -> tuple[int, int]:
        d, ntotal = self.number("<i4"), self.number("<i8")
        self.array("<i8", 2)
        trained, metric = self.boolean(), self.number("<i4")
        self.require(0 < d < _MAX_DIM and ntotal >= 0, f"an index of {ntotal} × {d} vectors")
        self.require(trained, "an untrained index")
        self.require_supported(metric in (0, 1), "metric")
        return d, ntotal

    def flat(self, d: int, ntotal: int) -> None:
        self.vector("u1", 4 * ntotal * d, unit=4)

    def scalar(self, d: int, ntotal: int) -> None:
        self.vector("u1", ntotal * self.scalar_quantizer(d))

    def product(self, d: int, ntotal: int) -> None:
        self.vector("u1", ntotal * self.product_quantizer(d)[0])
        mode, _, _ = self.number("<i4"), self.boolean(), self.number("<i4")
        self.require_supported(mode == 0, "search mode")

    def product_fast_scan(self, d: int, ntotal: int) -> None:
        _, m, bits = self.product_quantizer(d)
        mode, block_size, queries = self.number("<i4"), self.number("<i4"), self.number("<i4")
        rows, padded_m = self.number("<u8"), self.number("<u8")
        self.require_supported(mode == queries == 0, "search mode")
        self.require(bits == 4 and block_size == _BLOCK, "an invalid block size of fast scan")
        self.require(rows == -(-ntotal // _BLOCK) * _BLOCK and padded_m == m + m % 2, "an invalid size of blocks")
        self.vector("u1", rows * padded_m // 2)

    def ivf_header(self, d: int, ntotal: int) -> int:
        """The fields that all IVF indexes share; returns the number of cells."""
        nlist, nprobe = self.number("<u8"), self.number("<u8")
        self.require(0 < nlist <= len(self.content) and 0 < nprobe < 2**31, f"an index of {nlist} cells")
        quantizer = self.index()
        self.require(quantizer.ntotal == nlist and quantizer.d == d, f"{quantizer.ntotal} centroids of {nlist} cells")
        self.require_supported(quantizer.kind in ("IxFI", "IxF2", "IHNf"), "index of centroids")
        self.require_supported(self.number("u1") == 0, "map of labels")
        self.vector("<i8", 0)
        return nlist

    def ivf_flat(self, d: int, ntotal: int) -> None:
        self.lists(self.ivf_header(d, ntotal), ntotal, 4 * d)

    def ivf_scalar(self, d: int, ntotal: int) -> None:
        nlist = self.ivf_header(d, ntotal)
        size = self.scalar_quantizer(d)
        self.require(self.number("<u8") == size, "an invalid code size")
        self.boolean()
        self.lists(nlist, ntotal, size)

    def ivf_product(self, d: int, ntotal: int) -> None:
        nlist = self.ivf_header(d, ntotal)
        self.boolean()
        code_size = self.number("<u8")
        size, _, _ = self.product_quantizer(d)
        self.require(code_size == size, "an invalid code size")
        self.lists(nlist, ntotal, size)

    def ivf_fast_scan(self, d: int, ntotal: int) -> None:
        nlist = self.ivf_header(d, ntotal)
        self.boolean()
        code_size, block_size, padded_m = self.number("<u8"), self.number("<i4"), self.number("<u8")
        mode, queries = self.number("<i4"), self.number("<u8")
        self.require_supported(mode == queries == 0, "search mode")
        size, m, bits = self.product_quantizer(d)
        self.require(code_size == size and bits == 4, "an invalid code size")
        self.require(block_size == _BLOCK and padded_m == m + m % 2, "an invalid block size of fast scan")
        self.block_lists(nlist, ntotal, _BLOCK * padded_m // 2)

    def hnsw(self, d: int, ntotal: int) -> None:
        probabilities = self.vector("<f8")
        link_starts, levels = self.vector("<i4").astype(np.int64), self.vector("<i4", ntotal)
        offsets, links = self.vector("<u8", ntotal + 1), self.vector("<i4")
        entry, top = self.number("<i4"), self.number("<i4")
        ef_construction, ef_search, _ = self.array("<i4", 3).tolist()
        self.require(len(link_starts) > 1 and link_starts[0] == 0, "invalid numbers of links per level")
        self.require(np.diff(link_starts) > 0, "invalid numbers of links per level")
        self.require(link_starts[-1] <= _MAX_LINKS, "invalid numbers of links per level")
        self.require(len(probabilities) == len(link_starts) - 1, "invalid level probabilities")
        self.require((probabilities >= 0) & (probabilities <= 1), "invalid level probabilities")
        for ef in (ef_construction, ef_search):
            self.require(0 < ef <= _MAX_CANDIDATES, "an invalid number of candidates")
        self.require((levels >= 1) & (levels < len(link_starts)), "invalid levels")
        self.require(offsets[0] == 0 and offsets[-1] == len(links), "invalid offsets of links")
        self.require(np.diff(offsets.astype(np.int64)) == link_starts[levels], "invalid offsets of links")
        self.require((links >= -1) & (links < ntotal), "links to missing vectors")
        if ntotal:
            self.require(0 <= entry < ntotal and 0 <= top < levels[entry], "an invalid entry point")
            self.require(top < levels.max() and link_starts[1] > 0, "an invalid entry point")
        else:
            self.require(entry == -1 and top == -1, "an invalid entry point")
        for level in range(1, int(levels.max(initial=0))):
            nodes = np.flatnonzero(levels > level)
            at = offsets[nodes].astype(np.int64)[:, None] + np.arange(link_starts[level], link_starts[level + 1])
            targets = links[at]
            self.require((targets < 0) | (levels[np.maximum(targets, 0)] > level), "links to vectors of lower levels")
        storage = self.index()
        self.require((storage.d, storage.ntotal) == (d, ntotal), f"{storage.ntotal} vectors in a graph of {ntotal}")
        self.require_supported(storage.kind in ("IxFI", "IxF2", "IxSQ", "IxPq"), "index of vectors")

    def transformed(self, d: int, ntotal: int) -> None:
        count = self.number("<i4")
        self.require(0 <= count <= _MAX_DEPTH, f"{count} transforms")
        for _ in range(count):
            d = self.transform(d)
        below = self.index()
        self.require((below.d, below.ntotal) == (d, ntotal), "a transform that does not match its index")

    def refined(self, d: int, ntotal: int) -> None:
        for part in (self.index(), self.index()):
            self.require((part.d, part.ntotal) == (d, ntotal), "a refinement that does not match its index")
        self.array("<f4", 1)

    # --------------------------------------------------------------------------------------------- parts of indexes

    def scalar_quantizer(self, d: int) -> int:
        """A scalar quantizer; returns the bytes of a code."""
        import faiss

        kind = self.number("<i4")
        if kind not in _TRAINED_PER_DIM:
            raise UnknownTypeError(f"scalar quantizer {kind}")
        self.array("<i4", 1)
        self.array("<f4", 1)
        dim, size = self.number("<u8"), self.number("<u8")
        expected = faiss.ScalarQuantizer(d, kind).code_size
        self.require(dim == d and size == expected, "an invalid code size")
        self.vector("<f4", 2 if kind in _UNIFORM else _TRAINED_PER_DIM[kind] * d)
        return int(expected)

    def product_quantizer(self, d: int) -> tuple[int, int, int]:
        """A product quantizer; returns the bytes of a code, the number of subquantizers, and the bits of each."""
        dim, m, bits = self.number("<u8"), self.number("<u8"), self.number("<u8")
        self.require(dim == d and 0 < m <= d and d % m == 0 and 0 < bits <= 16, f"{m} subquantizers of {d} dimensions")
        self.vector("<f4", d << bits)
        return -(-m * bits // 8), m, bits

    def lists(self, nlist: int, ntotal: int, size: int) -> None:
        """Inverted lists: codes of `size` bytes and their labels."""
        kind = self.fourcc()
        if kind == "ilbl":
            raise UnknownTypeError(kind)
        self.require_supported(kind == "ilar", "type of inverted lists")
        self.require(self.number("<u8") == nlist and self.number("<u8") == size, "an invalid size of inverted lists")
        form = self.fourcc()
        self.require_supported(form in ("full", "sprs"), "form of inverted lists")
        sizes = np.zeros(nlist, dtype=np.uint64)
        if form == "full":
            sizes[:] = self.vector("<u8", nlist)
        else:
            pairs = self.vector("<u8")
            self.require(len(pairs) % 2 == 0 and pairs[::2] < nlist, "invalid cells")
            self.require(np.diff(pairs[::2].astype(np.int64)) > 0, "repeated cells")
            sizes[pairs[::2].astype(np.int64)] = pairs[1::2]
        self.require(sizes <= ntotal, "a cell larger than the index")
        lists = []
        for count in sizes.astype(np.int64)[sizes > 0].tolist():
            self.array("u1", count * size)
            lists.append(self.array("<i8", count))
        self.check_labels(lists, ntotal)

    def block_lists(self, nlist: int, ntotal: int, block_bytes: int) -> None:
        """Inverted lists in the blocks of fast scan."""
        self.require_supported(self.fourcc() == "ilbl", "type of inverted lists")
        self.require(self.number("<u8") == nlist, "an invalid number of inverted lists")
        self.require(self.number("<u8") == _NO_CODE_SIZE, "an invalid code size")
        self.require(self.number("<u8") == _BLOCK and self.number("<u8") == block_bytes, "an invalid block size")
        lists = []
        for _ in range(nlist):
            labels = self.vector("<i8")
            self.vector("u1", -(-len(labels) // _BLOCK) * block_bytes)
            lists.append(labels)
        self.check_labels(lists, ntotal)

    def check_labels(self, lists: list[np.ndarray], ntotal: int) -> None:
        """Raises DataError unless cells hold as many labels as there are vectors, each once."""
        limit = ntotal if self.labels is None else self.labels
        total = sum(map(len, lists))
        self.require(total == ntotal, f"{total} of {ntotal} vectors in cells")
        present = np.zeros(limit, dtype=bool)
        for labels in lists:  # not concatenated, so that they stay mapped from the file
            self.require((labels >= 0) & (labels < limit), "labels of missing vectors")
            present[labels] = True
        self.require(present.sum() == ntotal, "repeated labels")

    def transform(self, d: int) -> int:
        """One transform of vectors of d dimensions; returns the dimensions of its output."""
        kind = self.fourcc()
        if kind not in (*_LINEAR, "RmDT", "VNrm", "VCnt"):
            self.require(kind.isprintable(), "an invalid transform")
            raise UnknownTypeError(kind)
        dims, pca_sizes = np.zeros(0, np.int64), [0, 0, 0]
        if kind == "Pcam":
            self.array("<f4", 2)
            self.boolean()
            self.array("<i4", 1)
            pca_sizes = [len(self.vector("<f4")) for _ in range(3)]
        if kind in _LINEAR:
            has_bias = self.boolean()
            matrix, bias = len(self.vector("<f4")), len(self.vector("<f4"))
        elif kind == "RmDT":
            dims = self.vector("<i4")
        elif kind == "VNrm":
            self.require_supported(bool(self.array("<f4", 1) == 2), "norm of a transform")
        else:
            matrix = len(self.vector("<f4"))
        d_in, d_out, trained = self.number("<i4"), self.number("<i4"), self.boolean()
        self.require(d_in == d and 0 < d_out < _MAX_DIM and trained, "transforms that do not match each other")
        if kind in _LINEAR:
            self.require(matrix == d_in * d_out and (not has_bias or bias == d_out), "an invalid matrix of a transform")
            mean, eigenvalues, pca_matrix = pca_sizes
            valid = mean in (0, d) and eigenvalues <= d and pca_matrix <= d * d
            self.require(kind != "Pcam" or valid, "an invalid PCA")
        elif kind == "RmDT":
            self.require(len(dims) == d_out and np.all((dims >= -1) & (dims < d)), "an invalid transform")
        else:
            self.require(d_in == d_out and (kind == "VNrm" or matrix == d), "an invalid transform")
        return d_out


_KINDS: dict[str, Callable[[_Parser, int, int], None]] = {
    "IxFI": _Parser.flat,
    "IxF2": _Parser.flat,
    "IxSQ": _Parser.scalar,
    "IxPq": _Parser.product,
    "IPfs": _Parser.product_fast_scan,
    "IwFl": _Parser.ivf_flat,
    "IwSq": _Parser.ivf_scalar,
    "IwPQ": _Parser.ivf_product,
    "IwPf": _Parser.ivf_fast_scan,
    "IHNf": _Parser.hnsw,
    "IHNs": _Parser.hnsw,
    "IHNp": _Parser.hnsw,
    "IxPT": _Parser.transformed,
    "IxRF": _Parser.refined,
}
