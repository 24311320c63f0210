"""What changes one search of an index."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf

from embedrec.config import Settings, check_bounds
from embedrec.errors import SettingsError

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
