"""What changes one search of an index."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any

import faiss

from embedrec.config import Settings, check_bounds
from embedrec.errors import SettingsError
from embedrec.vectors.faiss_factory import inner

KINDS = {"nprobe": "IVF indexes", "ef_search": "HNSW indexes", "rerank": "indexes of compressed vectors"}


@dataclass(frozen=True)
class SearchSettings(Settings):
    """The settings of one search; None leaves what the index was built with.

    nprobe     cells of an IVF index that are visited; more is slower and finds more
    ef_search  candidates that a walk through an HNSW graph keeps; the same
    rerank     of an index of compressed vectors: so many candidates a result are scored again with the exact vectors

    Raises SettingsError for numbers below 1.
    """

    nprobe: int | None = None
    ef_search: int | None = None
    rerank: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, dict.fromkeys(KINDS, (1, inf)))

    @property
    def cells(self) -> int:
        """How many cells are visited: FAISS's own default is 1."""
        return self.nprobe or 1

    @property
    def candidates(self) -> int:
        """How many candidates a walk keeps: FAISS's own default is 16."""
        return self.ef_search or 16

    def numbers(self) -> dict[str, int]:
        """The numbers that are set, by name."""
        return {name: value for name in KINDS if (value := getattr(self, name)) is not None}

    def need_index(self, name: str) -> None:
        """Raises SettingsError where anything is set, but what is asked is the model of that name."""
        for setting in self.numbers():
            raise SettingsError(f"{setting} is a setting of {KINDS[setting]}, but {name} is a model; leave it out")

    def over(self, others: SearchSettings) -> SearchSettings:
        """The same, with what is not set here taken from others."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(others, **{name: value for name, value in given.items() if value is not None})


AS_BUILT = SearchSettings()


_EXACT = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat)


def settings_of_type(index: Any) -> set[str]:
    """Names of the settings that searches of a FAISS index have."""
    deepest, able = inner(index), set()
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
    those of all of it: FAISS takes them as an int, and keeps room for as many.

    selector  a FAISS IDSelector of the labels that may be found: few of many are found badly, see `filters`
    """
    if isinstance(index, faiss.IndexPreTransform):
        return faiss_parameters(faiss.downcast_index(index.index), settings, selector)
    if isinstance(index, faiss.IndexRefine):
        below = faiss_parameters(faiss.downcast_index(index.base_index), settings, selector)
        return faiss.IndexRefineSearchParameters(k_factor=1, base_index_params=below)  # type: ignore[call-arg]
    said = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=min(settings.cells, index.nlist), **said)  # type: ignore[call-arg]
    if isinstance(index, faiss.IndexHNSW):
        most = min(settings.candidates, max(index.ntotal, AS_BUILT.candidates))
        return faiss.SearchParametersHNSW(efSearch=most, **said)  # type: ignore[attr-defined]
    return faiss.SearchParameters(**said) if said else None
