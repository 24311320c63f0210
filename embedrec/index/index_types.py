"""Names of index types, and the FAISS factory string of each for a given size.

Any FAISS factory string is a type (`--type "IVF256,Flat"`). A named type, whose parameters fit the size, is a function
and one line in `INDEXES`, the only list of index types. All keep the exact vectors beside FAISS; compressed types only
generate candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

from embedrec.errors import SettingsError, did_you_mean
from embedrec.vectors import POINTS_PER_CELL

AUTO = "auto"
_BYTE_CODES = 256 * POINTS_PER_CELL  # vectors from which FAISS trains codes of 8 bits without a warning
_HALF_BYTE_CODES = 16 * POINTS_PER_CELL  # the same for codes of 4 bits
_LABEL_BYTES, _LINK_BYTES = 8, 256  # of a vector in a cell, and in a graph


Factory = Callable[[int, int], str]  # n vectors of d dimensions → FAISS factory string


@dataclass(frozen=True)
class IndexType:
    """A named index type.

    factory     its FAISS factory string for a size
    summary     its line in the help of `build-index`
    auto        rounds in which "auto" tries it, from 1, for inner products (cosine and dot) and for l2; 0 for never
    cells       searches have `nprobe`
    graph       searches have `ef_search`
    code_bytes  bytes a dimension in FAISS; below 4 the type is compressed, and searches have `rerank`
    on_disk     under a memory budget, cells that do not fit are written to disk
    """

    factory: Factory
    summary: str
    auto: tuple[int, int] = (0, 0)
    cells: bool = False
    graph: bool = False
    code_bytes: float = 4
    on_disk: bool = False

    @property
    def compressed(self) -> bool:
        """Whether FAISS stores codes instead of vectors."""
        return self.code_bytes < 4

    @property
    def exhaustive(self) -> bool:
        """Whether a search compares all vectors."""
        return not (self.cells or self.graph)

    @property
    def settings(self) -> set[str]:
        """The names of its search settings."""
        flags = {"nprobe": self.cells, "ef_search": self.graph, "rerank": self.compressed}
        return {name for name, has in flags.items() if has}

    def least_bytes(self, d: int) -> float:
        """A lower bound of the bytes of a vector of d dimensions in FAISS: its code, and its label or links."""
        return d * self.code_bytes + self.graph * _LINK_BYTES + self.cells * _LABEL_BYTES


def flat(n: int, d: int) -> str:
    """Exact search through all n vectors."""
    return "Flat"


def ivf(n: int, d: int) -> str:
    """Cells of a k-means: 4·√n, as FAISS recommends, or fewer if there are too few training points."""
    return f"IVF{_cells(n)},Flat"


def ivf_sq8(n: int, d: int) -> str:
    """Cells, and a byte a dimension."""
    return f"IVF{_cells(n)},SQ8"


def ivfpq(n: int, d: int) -> str:
    """Cells, and product quantisation of the residuals (Jégou et al. 2011): a byte for every 4 dimensions."""
    return f"{_padded(d, 4)}IVF{_cells(n)},{_pq(n, -(-d // 4))}"


def opq(n: int, d: int) -> str:
    """`ivfpq` after a rotation that balances the variance of the subvectors (Ge et al. 2013)."""
    m = -(-d // 4)
    code = _pq(n, m)
    return f"IVF{_cells(n)},Flat" if code == "Flat" else f"OPQ{m}_{4 * m},IVF{_cells(n)},{code}"


def fastscan(n: int, d: int) -> str:
    """Cells, and half a byte for every 2 dimensions, with lookup tables in registers (André et al. 2015)."""
    if n < _HALF_BYTE_CODES:
        return ivf(n, d)
    return f"{_padded(d, 2)}IVF{_cells(n)},PQ{-(-d // 2)}x4fsr"


def hnsw(n: int, d: int) -> str:
    """A graph of nearest neighbours (Malkov and Yashunin 2018), 16 links a vector and 32 on the lowest level."""
    return "HNSW16"


def hnsw_sq8(n: int, d: int) -> str:
    """`hnsw` over codes of a byte a dimension."""
    return "HNSW16_SQ8"


INDEXES: dict[str, IndexType] = {
    "flat": IndexType(flat, "exact search", auto=(1, 1)),
    "ivf": IndexType(ivf, "cells, of which a search visits nprobe", auto=(4, 2), cells=True, on_disk=True),
    "ivf-sq8": IndexType(ivf_sq8, "cells, one byte per dimension", auto=(2, 4), cells=True, code_bytes=1, on_disk=True),
    "ivfpq": IndexType(
        ivfpq, "cells, one byte per 4 dimensions", auto=(4, 4), cells=True, code_bytes=1 / 4, on_disk=True
    ),
    "opq": IndexType(opq, "cells, one byte per 4 rotated dimensions", cells=True, code_bytes=1 / 4, on_disk=True),
    "fastscan": IndexType(fastscan, "cells, half a byte per 2 dimensions", auto=(4, 4), cells=True, code_bytes=1 / 4),
    "hnsw": IndexType(hnsw, "a graph of nearest neighbours, searched with ef_search", auto=(3, 3), graph=True),
    "hnsw-sq8": IndexType(hnsw_sq8, "a graph, one byte per dimension", auto=(5, 5), graph=True, code_bytes=1),
}


def factory_string(kind: str, n: int, d: int) -> str:
    """The FAISS factory string of a named type for a size; a factory string is returned unchanged.

    Raises SettingsError for anything else.
    """
    if kind in INDEXES:
        return INDEXES[kind].factory(n, d)
    if not kind[:1].isupper():
        names = [*INDEXES, AUTO]
        hint = did_you_mean(kind, names) or f"; valid are {', '.join(names)} and FAISS factory strings"
        raise SettingsError(f"no index type is called {kind!r}{hint}")
    return kind


def _cells(n: int) -> int:
    return max(1, min(4 * isqrt(n), n // POINTS_PER_CELL))


def _padded(d: int, part: int) -> str:
    """The transform that pads d dimensions to a multiple of `part`, if necessary."""
    return "" if d % part == 0 else f"Pad{-(-d // part) * part},"


def _pq(n: int, m: int) -> str:
    """m codes of as many bits as n vectors can train; fewer than 624 vectors are not compressed."""
    if n < _HALF_BYTE_CODES:
        return "Flat"
    return f"PQ{m}np" if n >= _BYTE_CODES else f"PQ{m}x4np"
