"""Names of index types, and the FAISS factory string that each means for a given size.

Any FAISS factory string is a type (`--type "IVF256,Flat"`). A named one, whose defaults fit the size, is a function and
one line in `INDEXES`, the only list of index types. All keep the exact vectors beside FAISS; compressed types generate
candidates only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

from embedrec.errors import SettingsError, did_you_mean
from embedrec.vectors import POINTS_PER_CELL

AUTO = "auto"
_BYTE_CODES = 256 * POINTS_PER_CELL  # vectors that codes of 8 bits are trained on without a warning
_HALF_BYTE_CODES = 16 * POINTS_PER_CELL  # the same of 4 bits


Factory = Callable[[int, int], str]  # n vectors of d coordinates → FAISS factory string


@dataclass(frozen=True)
class IndexType:
    """A named index type.

    factory     its FAISS factory string for a size
    summary     its line in the help of `build-index`
    auto        round in which "auto" tries it, from 1; 0 for never
    cells       searches have `nprobe`
    graph       searches have `ef_search`
    code_bytes  bytes a coordinate in FAISS; below 4 the type is compressed, and searches have `rerank`
    on_disk     under a memory budget, cells that do not fit are written to disk
    """

    factory: Factory
    summary: str
    auto: int = 0
    cells: bool = False
    graph: bool = False
    code_bytes: float = 4
    on_disk: bool = False


def flat(n: int, d: int) -> str:
    """Exact search through all n vectors."""
    return "Flat"


def ivf(n: int, d: int) -> str:
    """Cells of a k-means, 4·√n of them as FAISS advises, and few enough that it has points to train on."""
    return f"IVF{_cells(n)},Flat"


def ivf_sq8(n: int, d: int) -> str:
    """Cells, and a byte a coordinate."""
    return f"IVF{_cells(n)},SQ8"


def ivfpq(n: int, d: int) -> str:
    """Cells, and product quantisation of what is left (Jégou et al. 2011): a byte for every 4 coordinates."""
    return f"{_padded(d, 4)}IVF{_cells(n)},{_pq(n, -(-d // 4))}"


def opq(n: int, d: int) -> str:
    """The same after a rotation that makes the parts alike (Ge et al. 2013)."""
    m = -(-d // 4)
    code = _pq(n, m)
    return f"IVF{_cells(n)},Flat" if code == "Flat" else f"OPQ{m}_{4 * m},IVF{_cells(n)},{code}"


def fastscan(n: int, d: int) -> str:
    """Cells, and half a byte for every 2 coordinates, looked up in registers (André et al. 2015)."""
    if n < _HALF_BYTE_CODES:
        return ivf(n, d)
    return f"{_padded(d, 2)}IVF{_cells(n)},PQ{-(-d // 2)}x4fsr"


def hnsw(n: int, d: int) -> str:
    """A graph of near neighbours (Malkov and Yashunin 2018), 16 links a vector and 32 on the lowest level."""
    return "HNSW16"


def hnsw_sq8(n: int, d: int) -> str:
    """The same over a byte a coordinate."""
    return "HNSW16_SQ8"


INDEXES: dict[str, IndexType] = {
    "flat": IndexType(flat, "exact search", auto=1),
    "ivf": IndexType(ivf, "cells, of which a search visits nprobe", auto=2, cells=True, on_disk=True),
    "ivf-sq8": IndexType(ivf_sq8, "cells, a byte a coordinate", auto=4, cells=True, code_bytes=1, on_disk=True),
    "ivfpq": IndexType(ivfpq, "cells, a byte for 4 coordinates", auto=4, cells=True, code_bytes=1 / 4, on_disk=True),
    "opq": IndexType(opq, "cells, a byte for 4 rotated coordinates", cells=True, code_bytes=1 / 4, on_disk=True),
    "fastscan": IndexType(fastscan, "cells, half a byte for 2 coordinates", auto=4, cells=True, code_bytes=1 / 4),
    "hnsw": IndexType(hnsw, "a graph of nearest neighbours, walked with ef_search", auto=3, graph=True),
    "hnsw-sq8": IndexType(hnsw_sq8, "a graph over a byte a coordinate", auto=5, graph=True, code_bytes=1),
}


def factory_string(kind: str, n: int, d: int) -> str:
    """The FAISS factory string for a named type, or the given factory string itself.

    Raises SettingsError for what is neither.
    """
    if kind in INDEXES:
        return INDEXES[kind].factory(n, d)
    if not kind[:1].isupper():
        names = [*INDEXES, AUTO]
        hint = did_you_mean(kind, names)
        raise SettingsError(
            f"no index type is called {kind!r}{hint or '; there are ' + ', '.join(names)} and FAISS factory strings"
        )
    return kind


def _cells(n: int) -> int:
    return max(1, min(4 * isqrt(n), n // POINTS_PER_CELL))


def _padded(d: int, part: int) -> str:
    """A transform to a multiple of `part` coordinates, where d is none."""
    return "" if d % part == 0 else f"Pad{-(-d // part) * part},"


def _pq(n: int, m: int) -> str:
    """m codes, of as many bits as n vectors can train; below 624 vectors there is nothing to compress."""
    if n < _HALF_BYTE_CODES:
        return "Flat"
    return f"PQ{m}np" if n >= _BYTE_CODES else f"PQ{m}x4np"
