"""How far a search looks for more results than the recall of an index was measured for.

Settings that find .99 of the 20 nearest find .8 of the 100 nearest, and may not meet 500 vectors at all. So they grow
with k. Measured on 20,000 to 30,000 vectors of 16 to 32 dimensions, in clusters and without, with settings that reach a
recall@20 of .99: recall@60, @100, @500 and @2000 of .99 and more, from cells and from graphs. A graph of inner products
of vectors that differ much in length reaches less, as most of its links lead to the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil, sqrt
from typing import Any

import faiss

from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.faiss_factory import innermost

MEASURED = 20  # results that recall is measured for, where no promise names another number
_HELD = 4  # vectors in the cells that are visited, on average, for each result more
_KEPT = 2  # candidates that a walk through a graph keeps for each result more
_COMPARED = 32  # vectors that a walk compares for each candidate it keeps
_SHARE = 0.5  # of all cells, from which a matrix product with all vectors is as fast
_HARDER = (4, 16)  # times the effort of a search that came short


def measured_k(measurements: Mapping[str, Any]) -> int:
    """Results, the item itself among them, that the measured recall of an index is about."""
    promise = measurements.get("promise")
    return (MEASURED if promise is None else int(promise["k"])) + 1


def scale_with_k(settings: SearchSettings, index: Any, k: int, most: int) -> SearchSettings:
    """Settings of a search for k results from those that were found for `most`; the same up to there."""
    if k <= most:
        return settings
    times, more, deepest = sqrt(k / most), k - most, innermost(index)
    if settings.nprobe is not None and isinstance(deepest, faiss.IndexIVF):
        cells = settings.nprobe * times + _HELD * more * deepest.nlist / max(1, index.ntotal)
        settings = replace(settings, nprobe=max(settings.nprobe, min(ceil(cells), deepest.nlist)))
    if settings.ef_search is not None and isinstance(deepest, faiss.IndexHNSW):
        kept = settings.ef_search * times + _KEPT * more
        settings = replace(settings, ef_search=max(settings.ef_search, min(ceil(kept), index.ntotal)))
    return settings


def compares_most(settings: SearchSettings, index: Any) -> bool:
    """Whether a search compares so many vectors that an exact one takes no longer."""
    deepest = innermost(index)
    if isinstance(deepest, faiss.IndexIVF):
        return settings.cells >= _SHARE * deepest.nlist
    return isinstance(deepest, faiss.IndexHNSW) and _COMPARED * settings.candidates >= index.ntotal


def harder_settings(settings: SearchSettings, index: Any) -> Iterator[SearchSettings]:
    """Settings for queries that came short, as long as an exact search takes longer; none for types without any."""
    deepest = innermost(index)
    for times in _HARDER:
        if isinstance(deepest, faiss.IndexIVF):
            more = replace(settings, nprobe=times * settings.cells)
        elif isinstance(deepest, faiss.IndexHNSW):
            more = replace(settings, ef_search=times * settings.candidates)
        else:
            return
        if compares_most(more, index):
            return
        yield more
