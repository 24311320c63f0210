"""What the recipes of all session kNNs share: which sessions are kept, and the inverted index of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.models.session_knn.ann_candidates import SessionAnn
from embedrec.models.session_knn.model import NO_SESSIONS, Proposals, SessionKnnModel
from embedrec.models.session_knn.store import Order, SessionStore
from embedrec.progress import Report, quiet

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import Index, Way

CANDIDATES = 1000  # that FAISS proposes where the settings do not say how many
_NO_ITEMS = np.zeros(0)


@dataclass(frozen=True)
class SessionKnn(Settings, ABC):
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
    def way(self) -> Way:
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

    def returned(self, seen: bool) -> bool:
        """Whether items of the history may come back, where the caller says whether they may."""
        return seen

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> SessionKnnModel:
        """Build the index.

        seed     of samples and items that are drawn, where a variant draws, and of session vectors
        threads  how many answer a batch; the answers do not depend on it
        report   where FAISS proposes, report("progress", done=, total=, unit="vectors") and, once, what that costs:
                 report("candidates", …) with the facts of `session_ann_check.checked`

        Raises DataError or SettingsError when the sessions lack times, weights or kinds that the settings need.
        """
        check_sessions(sessions)
        store = self.store(sessions)
        arrays = store.arrays
        if self.draws:
            arrays["seed"] = np.array([seed], dtype=np.int64)
        if self.candidates == "ann":
            from embedrec.models.session_knn.ann_recall import checked

            ann = SessionAnn.of(store.sessions(sessions.vocab), self.dim, seed=seed, report=report)
            ann, facts = checked(self, sessions.vocab, arrays, ann, seed=seed, threads=threads)
            report("candidates", **facts)
            arrays |= ann.arrays
        return self.restore(sessions.vocab, arrays).with_threads(threads)

    def restore(self, vocab: Vocab, arrays: Arrays) -> SessionKnnModel:
        """The model of the arrays of a `SessionStore`. Raises DataError when they do not fit together."""
        store, way = SessionStore.restored(arrays, len(vocab)), self.way()
        if self.draws:
            if arrays["seed"].shape != (1,) or arrays["seed"].dtype != np.int64:
                raise DataError(f"a sample that is drawn needs one seed, but was given shape {arrays['seed'].shape}")
            way = way._replace(seed=int(arrays["seed"][0]))
        # without a sample there are as many candidates as sessions; the kernels know no difference
        way = way._replace(sample=way.sample or max(1, len(store)))
        model = SessionKnnModel(self, vocab, arrays, _indexed(self, store, way, len(vocab)), way)
        if self.candidates == "lists":
            return model
        ann, found = SessionAnn.restored(arrays, len(vocab), len(store)), self.found(store)

        def propose(histories: Sessions, count: int) -> np.ndarray:
            near = ann.near(histories, count)
            return near if found is None else np.where(found[near], near, np.int32(-1))

        return replace(model, proposals=Proposals(propose, self.proposed))

    def again(self, model: SessionKnnModel, vocab: Vocab, store: SessionStore) -> SessionKnnModel:
        """A model of this recipe with other sessions: `vocab` begins with its items."""
        arrays = dict(model.arrays) | store.arrays
        if self.candidates == "ann":
            ann = SessionAnn.restored(arrays, len(model.vocab), len(model.arrays["numbers"]))
            arrays |= ann.refilled(store.sessions(vocab), seed=len(model.vocab)).arrays
        return self.restore(vocab, arrays).with_threads(model.threads)

    @property
    def proposed(self) -> int:
        """How many sessions FAISS proposes."""
        return self.sample or CANDIDATES


def _indexed(recipe: SessionKnn, store: SessionStore, way: Way, n: int) -> Index:
    """The inverted index of a store, and what else the way looks up."""
    from embedrec.kernels import session_formulas as kernels
    from embedrec.kernels.inverted_index import posted, sizes_of

    found = recipe.found(store)
    everyone = np.zeros(0, dtype=np.bool_)
    counted = way.weight == kernels.W_COUNT
    # what a list holds beyond the newest `sample` sessions is never looked at
    cut = way.sampling == kernels.NEWEST and not counted
    most = way.sample if cut else max(1, len(store.items))
    offsets, items = locked(store.offsets), locked(store.items)
    starts, postings, held = posted(offsets, items, n, locked(everyone if found is None else found), counted, most)
    sizes = np.zeros(0, dtype=np.int32)
    if way.similarity != kernels.S_VEC:
        sizes = sizes_of(offsets, items, n, counted)
    followed, followers = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    if recipe.followers_only:
        followed, followers = _followers(store, n)
    nearness = recipe.nearness(int(np.diff(store.offsets).max(initial=1)))
    times = store.times if way.fade > 0 and store.times is not None else NO_SESSIONS
    columns = (starts, postings, sizes, times, recipe.factors(store, held), followed, followers, nearness)
    return kernels.Index(offsets, items, *map(locked, columns))


def _followers(store: SessionStore, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Items that come directly after each item: starts (n+1,) int64 and rows int32, each once an item."""
    rows = np.maximum(store.items, ~store.items).astype(np.int64)
    inside = np.ones(len(rows), dtype=bool)  # whether the event before is of the same session
    inside[store.offsets[:-1][np.diff(store.offsets) > 0]] = False
    after = np.flatnonzero(inside)
    pairs = np.unique(rows[after - 1] * n + rows[after])
    return np.searchsorted(pairs // max(n, 1), np.arange(n + 1)), (pairs % max(n, 1)).astype(np.int32)
