"""Settings of session kNN, and what a variant may change."""

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

CANDIDATES = 1000  # that FAISS proposes where the settings do not say how many
_NO_ITEMS = np.zeros(0)


@dataclass(frozen=True)
class SessionKnnSettings(Settings, ABC):
    """What all session kNNs share.

    neighbours  sessions that are listened to, the most similar; ties by recency
    sample      sessions among which they are looked for: the newest that share an item with the history; 0 for all
    candidates  where those come from: "lists", an inverted index, exact; or "ann", a FAISS index of session vectors,
                which proposes the `sample` nearest (1,000 for 0) instead of the newest, see `session_ann`
    dim         length of the session vectors of "ann"

    A session is as new as its last event; where there are no times, as new as it stands late. Among sessions of one
    time the one that stands later is newer.
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
    def way(self) -> KnnFormula:
        """The formulas of this variant, with its constants."""

    @property
    def order(self) -> Order:
        """Which sessions are preferred."""
        return "last"

    @property
    def draws(self) -> bool:
        """Whether anything is drawn at random."""
        return False

    def store(self, sessions: Sessions) -> SessionStore:
        """What is kept of sessions. Raises DataError or SettingsError when they lack what the variant needs."""
        return SessionStore.of(sessions, self.order)

    def found(self, store: SessionStore) -> np.ndarray | None:
        """A mask (S,) of the sessions that can be neighbours, None for all."""
        return None if store.found is None else store.found != 0

    def factors(self, store: SessionStore, held: np.ndarray) -> np.ndarray:
        """What the score of an item is multiplied with, (n,) float64; (0,) for nothing.

        held  (n,) int64: sessions that hold the item and can be neighbours
        """
        return _NO_ITEMS

    def nearness(self, longest: int) -> np.ndarray:
        """What an item counts that stands 0 … longest − 1 places from the shared one; (0,) for all the same."""
        return _NO_ITEMS

    @property
    def followers_only(self) -> bool:
        """Whether only items are answered that came directly after the history's last item in training."""
        return False

    @property
    def fills(self) -> bool:
        """Whether random items follow where there are fewer than k answers."""
        return False

    def includes_seen(self, exclude_seen: bool) -> bool:
        """Whether items of the history can be results, given what the caller of `recommend` asks for."""
        return not exclude_seen

    @property
    def proposed(self) -> int:
        """How many sessions FAISS proposes."""
        return self.sample or CANDIDATES
