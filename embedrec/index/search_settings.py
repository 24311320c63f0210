"""Settings of one search of an index."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf

from embedrec.config import Settings, check_bounds
from embedrec.errors import SettingsError

KINDS = {"nprobe": "IVF indexes", "ef_search": "HNSW indexes", "rerank": "indexes of compressed vectors"}


@dataclass(frozen=True)
class SearchSettings(Settings):
    """The settings of one search; None means the default of the index. Larger values raise recall and cost time.

    nprobe     visited cells of an IVF index
    ef_search  candidates that a search of an HNSW graph keeps
    rerank     candidates per result of an index of compressed vectors, rescored with the exact vectors

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
        """The number of visited cells; FAISS's default is 1."""
        return self.nprobe or 1

    @property
    def candidates(self) -> int:
        """The number of candidates of a graph search; FAISS's default is 16."""
        return self.ef_search or 16

    def numbers(self) -> dict[str, int]:
        """The settings that are not None, by name."""
        return {name: value for name in KINDS if (value := getattr(self, name)) is not None}

    def require_index(self, name: str) -> None:
        """Raises SettingsError if anything is set, for a search of the model of that name."""
        for setting in self.numbers():
            raise SettingsError(f"{setting} is a setting of {KINDS[setting]}, but {name} is a model; leave it out")

    def over(self, others: SearchSettings) -> SearchSettings:
        """These settings, completed by others where they are None."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(others, **{name: value for name, value in given.items() if value is not None})


AS_BUILT = SearchSettings()
