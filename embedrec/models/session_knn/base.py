"""The base of all session kNN recipes: fitting, and the inverted index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, ExactIncrement
from embedrec.models.session_knn.ann_candidates import SessionAnn
from embedrec.models.session_knn.model import NO_SESSIONS, CandidateSource, SessionKnnModel
from embedrec.models.session_knn.settings import SessionKnnSettings
from embedrec.models.session_knn.store import SessionStore
from embedrec.progress import Report, quiet

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import Index, KnnFormula


@dataclass(frozen=True)
class SessionKnn(SessionKnnSettings, ExactIncrement):
    """A recipe of session kNN; see `SessionKnnSettings`."""

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        init: SessionKnnModel | None = None,
        changes: SessionChanges | None = None,
    ) -> SessionKnnModel:
        """Build the index.

        seed     of random samples and items, if a variant draws any, and of session vectors
        threads  threads of a batch; results do not depend on it
        report   with candidates=ann: report("progress", done=, total=, unit="vectors") and, once,
                 report("candidates", …) with the measurements of `ann_recall.tune_probes`

        Raises DataError or SettingsError when the sessions lack times, weights or kinds that the settings need.
        """
        check_sessions(sessions)
        store = self.store(sessions)
        arrays = store.arrays
        if self.draws:
            arrays["seed"] = np.array([seed], dtype=np.int64)
        if self.candidates == "ann":
            from embedrec.models.session_knn.ann_recall import tune_probes

            ann = SessionAnn.of(store.sessions(sessions.vocab), self.dim, seed=seed, report=report)
            ann, measurements = tune_probes(
                lambda arrays, **changes: (
                    replace(self, **changes).from_arrays(sessions.vocab, arrays).with_threads(threads)
                ),
                self.candidate_count,
                sessions.vocab,
                arrays,
                ann,
                seed=seed,
            )
            report("candidates", **measurements)
            arrays |= ann.arrays
        return self.from_arrays(sessions.vocab, arrays).with_threads(threads)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> SessionKnnModel:
        """The model of the arrays of a `SessionStore`. Raises DataError when they do not fit together."""
        store, formula = SessionStore.from_arrays(arrays, len(vocab)), self.formula()
        if self.draws:
            if arrays["seed"].shape != (1,) or arrays["seed"].dtype != np.int64:
                raise DataError(f"a random sample needs one seed, but was given shape {arrays['seed'].shape}")
            formula = formula._replace(seed=int(arrays["seed"][0]))
        # sample=0 means all sessions; the kernels need the number
        formula = formula._replace(sample=formula.sample or max(1, len(store)))
        model = SessionKnnModel(
            self, vocab, arrays, _build_index(self, store, formula, len(vocab)), formula, self.rebuild
        )
        if self.candidates == "lists":
            return model
        ann, eligible = SessionAnn.from_arrays(arrays, len(vocab), len(store)), self.eligible(store)

        def generate(histories: Sessions, count: int) -> np.ndarray:
            nearest = ann.search(histories, count)
            return nearest if eligible is None else np.where(eligible[nearest], nearest, np.int32(-1))

        return replace(model, candidate_source=CandidateSource(generate, self.candidate_count))

    def rebuild(self, model: SessionKnnModel, vocab: Vocab, store: SessionStore) -> SessionKnnModel:
        """A model of this recipe with other sessions: `vocab` begins with its items."""
        arrays = dict(model.arrays) | store.arrays
        if self.candidates == "ann":
            ann = SessionAnn.from_arrays(arrays, len(model.vocab), len(model.arrays["numbers"]))
            arrays |= ann.refill(store.sessions(vocab), seed=len(model.vocab)).arrays
        return self.from_arrays(vocab, arrays).with_threads(model.threads)


def _build_index(recipe: SessionKnn, store: SessionStore, formula: KnnFormula, n: int) -> Index:
    """The inverted index of a store, and the other columns that the formula reads."""
    from embedrec.kernels import session_formulas as kernels
    from embedrec.kernels.inverted_index import build_postings, session_sizes

    eligible = recipe.eligible(store)
    all_sessions = np.zeros(0, dtype=np.bool_)
    counted = formula.weight == kernels.W_COUNT
    # postings beyond the newest `sample` sessions are never read
    truncated = formula.sampling == kernels.NEWEST and not counted
    most = formula.sample if truncated else max(1, len(store.items))
    offsets, items = locked(store.offsets), locked(store.items)
    starts, postings, counts = build_postings(
        offsets, items, n, locked(all_sessions if eligible is None else eligible), counted, most
    )
    sizes = np.zeros(0, dtype=np.int32)
    if formula.similarity != kernels.S_VEC:
        sizes = session_sizes(offsets, items, n, counted)
    followed, followers = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    if recipe.followers_only:
        followed, followers = _followers(store, n)
    nearness = recipe.nearness(int(np.diff(store.offsets).max(initial=1)))
    times = store.times if formula.fade > 0 and store.times is not None else NO_SESSIONS
    columns = (starts, postings, sizes, times, recipe.factors(store, counts), followed, followers, nearness)
    return kernels.Index(offsets, items, *map(locked, columns))


def _followers(store: SessionStore, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct items directly after each item: starts (n+1,) int64 and rows int32."""
    rows = np.maximum(store.items, ~store.items).astype(np.int64)
    inside = np.ones(len(rows), dtype=bool)  # whether the previous event is of the same session
    inside[store.offsets[:-1][np.diff(store.offsets) > 0]] = False
    after = np.flatnonzero(inside)
    pairs = np.unique(rows[after - 1] * n + rows[after])
    return np.searchsorted(pairs // max(n, 1), np.arange(n + 1)), (pairs % max(n, 1)).astype(np.int32)
