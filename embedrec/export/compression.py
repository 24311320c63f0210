"""Packing by suffix: .gz and .zst. Every block is packed by itself, so that blocks can be packed side by side.

A file of several gzip members or Zstandard frames is one file to every reader.
"""

from __future__ import annotations

import gzip
from typing import Literal, get_args

Packing = Literal["", "gz", "zst"]
PACKINGS: tuple[str, ...] = get_args(Packing)
_LEVEL = 6  # of gzip


def packed(data: memoryview | bytes, packing: Packing) -> memoryview | bytes:
    """The bytes packed; equal bytes give equal bytes, at any time."""
    if not packing:
        return data
    if packing == "gz":
        return gzip.compress(data, _LEVEL, mtime=0)
    import pyarrow as pa

    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def split_suffix(name: str) -> tuple[str, Packing]:
    """A name without the suffix of its packing, and the packing: "x.tsv.gz" → ("x.tsv", "gz")."""
    for packing in PACKINGS[1:]:
        if name.endswith(f".{packing}"):
            return name.removesuffix(f".{packing}"), packing  # type: ignore[return-value]
    return name, ""
