"""An index type: cells, and half a byte a dimension."""

from embedrec.index.index_types import IndexType, ivf


def ivf_sq4(n: int, d: int) -> str:
    """The cells of `ivf`, with a scalar quantiser of 4 bits in place of the vectors."""
    return ivf(n, d).replace("Flat", "SQ4")


IVF_SQ4 = IndexType(ivf_sq4, "cells, half a byte per dimension", cells=True, code_bytes=1 / 2)
