"""Settings of a search as parameters of FAISS."""

from __future__ import annotations

from typing import Any

import faiss

from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, KINDS, SearchSettings
from embedrec.vectors.faiss_factory import innermost

_EXACT = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat)


def settings_of_type(index: Any) -> set[str]:
    """Names of the settings that searches of a FAISS index have."""
    deepest, able = innermost(index), set()
    if isinstance(deepest, faiss.IndexIVF):
        able.add("nprobe")
    if isinstance(deepest, faiss.IndexHNSW):
        able.add("ef_search")
    if not isinstance(index, _EXACT):
        able.add("rerank")
    return able


def check_settings(settings: SearchSettings, index: Any, spec: str) -> None:
    """Raises SettingsError for a setting that a FAISS index does not have."""
    odd = next((name for name in settings.numbers() if name not in settings_of_type(index)), None)
    if odd is not None:
        raise SettingsError(f"{odd} is a setting of {KINDS[odd]}, but this one is {spec}; leave it out")


def faiss_parameters(index: Any, settings: SearchSettings, selector: Any = None) -> Any:
    """FAISS's own object for a search; None where there is nothing to say. Settings beyond what the index holds are
    those of all of it: FAISS takes them as an int, and keeps memory for as many.

    selector  a FAISS IDSelector of the labels that may be found: few of many are found badly, see `filters`
    """
    if isinstance(index, faiss.IndexPreTransform):
        return faiss_parameters(faiss.downcast_index(index.index), settings, selector)
    if isinstance(index, faiss.IndexRefine):
        below = faiss_parameters(faiss.downcast_index(index.base_index), settings, selector)
        return faiss.IndexRefineSearchParameters(k_factor=1, base_index_params=below)  # type: ignore[call-arg]
    selector_argument = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=min(settings.cells, index.nlist), **selector_argument)  # type: ignore[call-arg]
    if isinstance(index, faiss.IndexHNSW):
        most = min(settings.candidates, max(index.ntotal, AS_BUILT.candidates))
        return faiss.SearchParametersHNSW(efSearch=most, **selector_argument)  # type: ignore[attr-defined]
    return faiss.SearchParameters(**selector_argument) if selector_argument else None
