"""Names of index types, and the FAISS factory string that each means for a given size.

A new type is a factory string (`--type "IVF256,Flat"`); one that deserves a name and defaults that fit the size is one
line in `INDEXES`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from embedrec.errors import SettingsError, did_you_mean
from embedrec.faiss_index import POINTS_PER_CELL


def flat(n: int, d: int) -> str:
    """Exact search through all n vectors."""
    return "Flat"


def ivf(n: int, d: int) -> str:
    """Cells of a k-means, 4·√n of them as FAISS advises, and few enough that it has points to train on."""
    return f"IVF{max(1, min(4 * isqrt(n), n // POINTS_PER_CELL))},Flat"


INDEXES: dict[str, Callable[[int, int], str]] = {"flat": flat, "ivf": ivf}


def factory_string(kind: str, n: int, d: int) -> str:
    """The FAISS factory string for a named type, or the given factory string itself.

    Raises SettingsError for what is neither.
    """
    if kind in INDEXES:
        return INDEXES[kind](n, d)
    if not kind[:1].isupper():
        hint = did_you_mean(kind, INDEXES)
        raise SettingsError(
            f"no index type is called {kind!r}{hint or '; there are ' + ', '.join(INDEXES)} and FAISS factory strings"
        )
    return kind
