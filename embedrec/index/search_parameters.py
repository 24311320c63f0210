"""Search settings applied to a FAISS index: which ones its type has, how they grow with k, FAISS's parameter objects.

Settings that find .99 of the 20 nearest find .8 of the 100 nearest, and may not visit 500 vectors at all. So they grow
with k. Measured on 20,000 to 30,000 vectors of 16 to 32 dimensions, clustered and not, with settings that reach a
recall@20 of .99: recall@60, @100, @500 and @2000 are .99 and more, for cells and graphs. A graph of inner products
reaches less for vectors whose norms differ much, as most of its links lead to the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil, sqrt
from typing import Any

import faiss

from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, KINDS, SearchSettings
from embedrec.vectors.faiss_structure import innermost

_UNCOMPRESSED = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat)
_DEFAULT_K = 20  # of measured recall, if the search target names none
_VECTORS_PER_RESULT = 4  # vectors visited in cells, on average, per additional result
_CANDIDATES_PER_RESULT = 2  # candidates of a graph search per additional result
COMPARED_PER_CANDIDATE = 32  # vectors that a graph search compares per candidate
_EXHAUSTIVE_SHARE = 0.5  # of all cells, from which a matrix product with all vectors is as fast
_RETRY_FACTORS = (4, 16)  # multiples of the settings for queries with too few results


def settings_of_type(index: Any) -> set[str]:
    """The names of the search settings that a FAISS index has."""
    names: set[str] = set()
    deepest = innermost(index)
    if isinstance(deepest, faiss.IndexIVF):
        names.add("nprobe")
    if isinstance(deepest, faiss.IndexHNSW):
        names.add("ef_search")
    if not isinstance(index, _UNCOMPRESSED):
        names.add("rerank")
    return names


def check_settings(settings: SearchSettings, index: Any, spec: str) -> None:
    """Raises SettingsError for a setting that a FAISS index does not have."""
    unknown = next((name for name in settings.numbers() if name not in settings_of_type(index)), None)
    if unknown is not None:
        raise SettingsError(f"{unknown} is a setting of {KINDS[unknown]}, but this index is {spec}; leave it out")


def faiss_parameters(index: Any, settings: SearchSettings, selector: Any = None) -> Any:
    """FAISS's parameters of a search; None where its defaults apply.

    Settings are limited to the number of cells and vectors: FAISS takes an int, and allocates memory for as many.

    selector  a FAISS IDSelector of the labels that may be found; with few labels recall is poor, see `filtered_search`
    """
    if isinstance(index, faiss.IndexPreTransform):
        return faiss_parameters(faiss.downcast_index(index.index), settings, selector)
    if isinstance(index, faiss.IndexRefine):
        base = faiss_parameters(faiss.downcast_index(index.base_index), settings, selector)
        return faiss.IndexRefineSearchParameters(k_factor=1, base_index_params=base)  # type: ignore[call-arg]
    selector_argument = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=min(settings.cells, index.nlist), **selector_argument)  # type: ignore[call-arg]
    if isinstance(index, faiss.IndexHNSW):
        ef = min(settings.candidates, max(index.ntotal, AS_BUILT.candidates))
        return faiss.SearchParametersHNSW(efSearch=ef, **selector_argument)  # type: ignore[attr-defined]
    return faiss.SearchParameters(**selector_argument) if selector_argument else None


def measured_k(measurements: Mapping[str, Any]) -> int:
    """The number of results, the query item included, that the measured recall of an index is about."""
    target = measurements.get("promise")
    return (_DEFAULT_K if target is None else int(target["k"])) + 1


def scale_with_k(settings: SearchSettings, index: Any, k: int, measured_k: int) -> SearchSettings:
    """Settings of a search for k results, from those tuned for `measured_k`; unchanged up to there."""
    if k <= measured_k:
        return settings
    factor, more, deepest = sqrt(k / measured_k), k - measured_k, innermost(index)
    if settings.nprobe is not None and isinstance(deepest, faiss.IndexIVF):
        cells = settings.nprobe * factor + _VECTORS_PER_RESULT * more * deepest.nlist / max(1, index.ntotal)
        settings = replace(settings, nprobe=max(settings.nprobe, min(ceil(cells), deepest.nlist)))
    if settings.ef_search is not None and isinstance(deepest, faiss.IndexHNSW):
        candidates = settings.ef_search * factor + _CANDIDATES_PER_RESULT * more
        settings = replace(settings, ef_search=max(settings.ef_search, min(ceil(candidates), index.ntotal)))
    return settings


def is_nearly_exhaustive(settings: SearchSettings, index: Any) -> bool:
    """Whether a search compares so many vectors that an exact search is as fast."""
    deepest = innermost(index)
    if isinstance(deepest, faiss.IndexIVF):
        return settings.cells >= _EXHAUSTIVE_SHARE * deepest.nlist
    return isinstance(deepest, faiss.IndexHNSW) and COMPARED_PER_CANDIDATE * settings.candidates >= index.ntotal


def retry_settings(settings: SearchSettings, index: Any) -> Iterator[SearchSettings]:
    """Settings for queries with too few results, while an exact search is slower; none for types without settings."""
    deepest = innermost(index)
    for factor in _RETRY_FACTORS:
        if isinstance(deepest, faiss.IndexIVF):
            more = replace(settings, nprobe=factor * settings.cells)
        elif isinstance(deepest, faiss.IndexHNSW):
            more = replace(settings, ef_search=factor * settings.candidates)
        else:
            return
        if is_nearly_exhaustive(more, index):
            return
        yield more
