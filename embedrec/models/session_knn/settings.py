"""Settings of session kNN, and the methods that a variant overrides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.session_knn.store import Order, SessionStore

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import KnnFormula

CANDIDATES = 1000  # number that FAISS generates with sample=0
_NO_ITEMS = np.zeros(0)


@dataclass(frozen=True)
class SessionKnnSettings(Settings, ABC):
    """Settings of all session kNNs.

    neighbours  number of neighbours: the most similar sessions; ties by recency
    sample      candidates for neighbours: the newest sessions that share an item with the history; 0 for all
    candidates  where candidates come from: "lists", an inverted index, exact; or "ann", a FAISS index of session
                vectors, which returns the `sample` nearest (1,000 for 0) instead of the newest, see `ann_candidates`
    dim         length of the session vectors of "ann"

    The time of a session is that of its last event. Without times, and among equal times, later sessions in the data
    are newer.
    """

    name: ClassVar[str]
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "sample": 0}
    neighbours: int = 100
    sample: int = 1000
    candidates: Literal["lists", "ann"] = field(default="lists", kw_only=True)
    dim: int = field(default=256, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"neighbours": (1, np.inf)})
        if self.sample < 0:
            raise SettingsError(f"sample must be a number of sessions, or 0 for all, but is {self.sample}")
        check_bounds(self, {"dim": (1, 65536)})

    @abstractmethod
    def formula(self) -> KnnFormula:
        """The formulas of this variant, with its constants."""

    @property
    def order(self) -> Order:
        """The order by which newer or heavier sessions are preferred."""
        return "last"

    @property
    def draws(self) -> bool:
        """Whether the variant draws at random."""
        return False

    def store(self, sessions: Sessions) -> SessionStore:
        """The stored form of sessions. Raises DataError or SettingsError when they lack columns that the variant
        needs."""
        return SessionStore.of(sessions, self.order)

    def eligible(self, store: SessionStore) -> np.ndarray | None:
        """A mask (S,) of the sessions that can be neighbours, None for all."""
        return None if store.eligible is None else store.eligible != 0

    def factors(self, store: SessionStore, session_counts: np.ndarray) -> np.ndarray:
        """Factors of item scores, (n,) float64; (0,) for none.

        session_counts  (n,) int64: sessions that contain the item and can be neighbours
        """
        return _NO_ITEMS

    def nearness(self, longest: int) -> np.ndarray:
        """Weight of an item at distance 0 … longest − 1 from the shared one; (0,) for equal weights."""
        return _NO_ITEMS

    @property
    def followers_only(self) -> bool:
        """Whether results are only items that directly followed the history's last item in training."""
        return False

    @property
    def fills(self) -> bool:
        """Whether lists of fewer than k results are filled with random items."""
        return False

    def includes_seen(self, exclude_seen: bool) -> bool:
        """Whether items of the history can be results, given the argument of `recommend`."""
        return not exclude_seen

    @property
    def candidate_count(self) -> int:
        """How many candidates FAISS generates."""
        return self.sample or CANDIDATES
