"""What the recipes of all session kNNs share: which sessions are kept, and the inverted index of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.models.session_knn.ann_candidates import SessionAnn
from embedrec.models.session_knn.model import NO_SESSIONS, Proposals, SessionKnnModel
from embedrec.models.session_knn.settings import SessionKnnSettings
from embedrec.models.session_knn.store import SessionStore
from embedrec.progress import Report, quiet

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import Index, KnnFormula


@dataclass(frozen=True)
class SessionKnn(SessionKnnSettings):
    """A recipe of session kNN; its settings stand in `SessionKnnSettings`."""

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
            ann, facts = checked(
                lambda arrays, **changes: (
                    replace(self, **changes).from_arrays(sessions.vocab, arrays).with_threads(threads)
                ),
                self.proposed,
                sessions.vocab,
                arrays,
                ann,
                seed=seed,
            )
            report("candidates", **facts)
            arrays |= ann.arrays
        return self.from_arrays(sessions.vocab, arrays).with_threads(threads)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> SessionKnnModel:
        """The model of the arrays of a `SessionStore`. Raises DataError when they do not fit together."""
        store, way = SessionStore.restored(arrays, len(vocab)), self.way()
        if self.draws:
            if arrays["seed"].shape != (1,) or arrays["seed"].dtype != np.int64:
                raise DataError(f"a sample that is drawn needs one seed, but was given shape {arrays['seed'].shape}")
            way = way._replace(seed=int(arrays["seed"][0]))
        # without a sample there are as many candidates as sessions; the kernels know no difference
        way = way._replace(sample=way.sample or max(1, len(store)))
        model = SessionKnnModel(self, vocab, arrays, _indexed(self, store, way, len(vocab)), way, self.again)
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
        return self.from_arrays(vocab, arrays).with_threads(model.threads)


def _indexed(recipe: SessionKnn, store: SessionStore, way: KnnFormula, n: int) -> Index:
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
