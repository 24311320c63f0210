"""Names of index types, and the FAISS factory string that each means for a given size.

A new type is a factory string (`--type "IVF256,Flat"`); one that deserves a name and defaults that fit the size is one
line in `INDEXES`. All keep the exact vectors beside FAISS, so that a compressed type only proposes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from embedrec.errors import SettingsError, did_you_mean
from embedrec.vectors.faiss_factory import POINTS_PER_CELL

AUTO = "auto"
_BYTE_CODES = 256 * POINTS_PER_CELL  # vectors that codes of 8 bits are trained on without a warning
_HALF_BYTE_CODES = 16 * POINTS_PER_CELL  # the same of 4 bits


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


INDEXES: dict[str, Callable[[int, int], str]] = {
    "flat": flat,
    "ivf": ivf,
    "ivf-sq8": ivf_sq8,
    "ivfpq": ivfpq,
    "opq": opq,
    "fastscan": fastscan,
    "hnsw": hnsw,
    "hnsw-sq8": hnsw_sq8,
}


def factory_string(kind: str, n: int, d: int) -> str:
    """The FAISS factory string for a named type, or the given factory string itself.

    Raises SettingsError for what is neither.
    """
    if kind in INDEXES:
        return INDEXES[kind](n, d)
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
