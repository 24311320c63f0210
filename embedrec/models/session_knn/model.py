"""Session kNN: the most similar past sessions predict the next item.

Jannach & Ludewig 2017 ("When Recurrent Neural Networks meet the Neighborhood for Session-Based Recommendation"). Some
of the sessions that share an item with the history are candidates; the most similar candidates are the neighbours;
their items are scored by the weights of the neighbours. The model is the training sessions and an inverted index of
them; the recipes are in `variants` and `wsknn`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab, unify_ids
from embedrec.errors import SettingsError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, model_summary
from embedrec.models.session_knn.store import SessionStore
from embedrec.text import Described, Summary, counted

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import Index, KnnFormula, Scratch
    from embedrec.models.session_knn.settings import SessionKnnSettings

NO_SESSIONS = np.zeros(0, dtype=np.int64)
TASK_HISTORIES = 256  # histories of one task of a thread
_BLOCK_HISTORIES = 4096  # histories whose candidates are generated at a time


@dataclass(frozen=True, eq=False)
class CandidateSource:
    """A source of candidates other than the inverted index.

    generate  histories (q sessions), count → (q, ≤ count) int32: sessions by their place in the model's arrays, each
             once, −1 for missing; sessions that share no item with the history are ignored
    count     how many to generate
    """

    generate: Callable[[Sessions, int], np.ndarray]
    count: int


@dataclass(frozen=True, eq=False, repr=False)
class SessionKnnModel(Described):
    """A model of the training sessions. An empty history, or one of unknown items, has no neighbours and no results; a
    history with few neighbours has fewer than k. Only items of neighbours are results.

    arrays     what a `SessionStore` keeps: "offsets" (S+1,) int64, "items" (E,) int32, "numbers" (S,) int32 and, where
               the sessions or the variant have them, "times", "weights", "found" (S,)
    index      the inverted index, and other columns derived from the sessions
    formula    the similarity and scoring formulas
    rebuild    model, vocabulary that begins with its items, store → a model of the same recipe of other sessions
    threads    threads of a batch of histories
    candidate_source  where candidates come from; None for the inverted index
    """

    PARTIAL: ClassVar[bool] = True

    recipe: SessionKnnSettings
    vocab: Vocab
    arrays: Arrays
    index: Index
    formula: KnnFormula
    rebuild: Callable[[SessionKnnModel, Vocab, SessionStore], SessionKnnModel]
    threads: int = 1
    candidate_source: CandidateSource | None = None
    scratch_pool: deque[Scratch] = field(default_factory=deque, repr=False)  # one for each active thread

    def _summary(self) -> Summary:
        return model_summary(self.recipe, self.vocab, counted(sessions=len(self.arrays["offsets"]) - 1))

    def with_threads(self, threads: int) -> SessionKnnModel:
        """The same model with `threads` threads for a batch. Raises SettingsError when threads is below 1."""
        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        return replace(self, threads=threads)

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`.

        Sums are float64, compared as float32. For decay by session age, the time of a history is that of its last
        event; without times, that of the newest training session.
        """
        rows, scores = self._recommend(histories, k, exclude_seen, single=True)
        return TopK(rows, scores, self.vocab)

    def weights(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Like `recommend`, in double precision: rows (S, k) int64 and scores (S, k) float64, −1 and −inf for missing.

        Scores are compared, and returned, to 40 bits (1 in 10¹²); equal ones are ordered by row.
        """
        return self._recommend(histories, k, exclude_seen, single=False)

    def neighbours(self, histories: Sessions, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most similar training sessions of each history: numbers (S, k) int64 and similarities (S, k) float64.

        A number is the position of the session in the data of `fit`, from 0; −1 and −inf for missing. Best first, ties
        by recency; only sessions with a similarity above 0 among the `sample` candidates.
        Raises SettingsError when k is not in 1 … number of training sessions.
        """
        from embedrec.kernels.session_knn import nearest_sessions

        numbers = self.arrays["numbers"]
        if not 1 <= k <= len(numbers):
            raise SettingsError(f"k must lie between 1 and the {len(numbers)} training sessions, but is {k}")
        histories = histories.reindex(self.vocab)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf)
        offsets, items, now = locked(histories.offsets), locked(histories.items), self._history_times(histories)

        def run(part: slice, candidates: np.ndarray, scratch: Scratch) -> None:
            ends = slice(part.start, part.stop + 1)
            nearest_sessions(
                self.index, self.formula, offsets[ends], items, now[part], candidates, scratch, rows[part], scores[part]
            )

        self._run_blocks(histories, run)
        return np.where(rows < 0, -1, numbers[rows]), scores

    def target_positions(
        self,
        histories: Sessions,
        offsets: np.ndarray,
        targets: np.ndarray,
        sizes: Sequence[int],
        *,
        exclude_seen: bool = True,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The position of the best target of each history for several numbers of neighbours: three (S, g) int64.

        offsets, targets  (S+1,), (T,) int64: the targets of each history, rows; −1 is never a result
        sizes             g ascending numbers of neighbours

        Among the results of `recommend` with that many neighbours: how many score higher than the best target, how many
        score the same, and how many of the latter are targets; 0 if no target is a result. Candidates are searched
        once. Raises SettingsError for a model that fills its lists at random.
        """
        from embedrec.kernels.session_knn_grid import rank_targets

        if self.recipe.fills:
            raise SettingsError(f"{self.recipe.name} fills its lists with random items, so its results have no rank")
        formula = self.formula._replace(neighbours=int(sizes[-1]))
        histories, include_seen = histories.reindex(self.vocab), self.recipe.includes_seen(exclude_seen)
        higher, equal, own = np.zeros((3, len(histories), len(sizes)), dtype=np.int64)
        starts, items, now = locked(histories.offsets), locked(histories.items), self._history_times(histories)
        ends, target_rows, counts = locked(offsets), locked(targets), locked(np.array(sizes, dtype=np.int64))

        def run(part: slice, candidates: np.ndarray, scratch: Scratch) -> None:
            to = slice(part.start, part.stop + 1)
            arguments = (starts[to], items, now[part], candidates, ends[to], target_rows, counts, include_seen)
            rank_targets(self.index, formula, *arguments, scratch, higher[part], equal[part], own[part])

        self._run_blocks(histories, run)
        return higher, equal, own

    def update(self, sessions: Sessions) -> SessionKnnModel:
        """The model of the training sessions and newer ones; the same as a new `fit` of both, in this order, except
        that a FAISS index keeps its cells.

        New sessions are numbered after the old ones; new items are appended to the vocabulary. Raises DataError when
        the new sessions lack times, weights or kinds that the old ones have.
        """
        vocab = _extend(self.vocab, sessions)
        store = SessionStore.from_arrays(self.arrays, len(self.vocab)).join(self.recipe.store(sessions.reindex(vocab)))
        return self.rebuild(self, vocab, store)

    def drop_old_sessions(self, *, before_ms: int | None = None, newest: int | None = None) -> SessionKnnModel:
        """The model without the sessions before a time in ms, or with the `newest` sessions only.

        The same as a new `fit` of the remaining sessions, which are renumbered; the vocabulary stays the same. Raises
        SettingsError unless exactly one is given, and for before_ms when the sessions have no times.
        """
        if (before_ms is None) == (newest is None):
            raise SettingsError("either before_ms or newest must be given, and not both")
        store = SessionStore.from_arrays(self.arrays, len(self.vocab))
        if before_ms is not None:
            if store.times is None:
                raise SettingsError("the model's sessions have no times; use newest")
            keep = store.times >= before_ms
        else:
            keep = store.newest(max(0, newest or 0))
        return self.rebuild(self, self.vocab, store.filter(keep))

    def _recommend(
        self, histories: Sessions, k: int, exclude_seen: bool, *, single: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        from embedrec.kernels.session_scores import recommend

        check_k(k, len(self.vocab))
        histories, include_seen = histories.reindex(self.vocab), self.recipe.includes_seen(exclude_seen)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf)
        offsets, items, now = locked(histories.offsets), locked(histories.items), self._history_times(histories)

        def run(part: slice, candidates: np.ndarray, scratch: Scratch) -> None:
            ends = slice(part.start, part.stop + 1)
            arguments = (offsets[ends], items, now[part], candidates, include_seen, single)
            recommend(self.index, self.formula, *arguments, scratch, rows[part], scores[part])

        self._run_blocks(histories, run)
        if self.recipe.fills:
            _fill(histories, len(self.vocab), self.formula.seed, include_seen, rows, scores)
        return rows, scores

    def _run_blocks(self, histories: Sessions, run: Callable[[slice, np.ndarray, Scratch], None]) -> None:
        """Run parts of the histories, each with its candidates, (q, c) int32 rows, and scratch memory."""
        step = max(1, len(histories)) if self.candidate_source is None else _BLOCK_HISTORIES
        for start in range(0, len(histories), step):
            block = slice(start, min(start + step, len(histories)))
            candidates = self._candidates(histories, block)

            def run_part(
                part: slice, scratch: Scratch, start: int = start, candidates: np.ndarray = candidates
            ) -> None:
                run(part, candidates[part.start - start : part.stop - start], scratch)

            self._run_parts(block, run_part)

    def _candidates(self, histories: Sessions, block: slice) -> np.ndarray:
        """The candidates of a block of histories: (q, c) int32 rows, −1 for none; c is 0 without a candidate source."""
        if self.candidate_source is None:
            return locked(np.empty((block.stop - block.start, 0), dtype=np.int32))
        queries = histories.take(np.arange(block.start, block.stop))
        return locked(
            self.candidate_source.generate(
                queries, max(1, min(self.candidate_source.count, len(self.arrays["numbers"])))
            )
        )

    def _run_parts(self, block: slice, run: Callable[[slice, Scratch], None]) -> None:
        """Run parts of a block of histories, each with scratch memory that no other thread uses."""

        def run_part(part: slice) -> None:
            from embedrec.kernels.session_formulas import new_scratch

            try:
                scratch = self.scratch_pool.pop()
            except IndexError:
                scratch = new_scratch(len(self.arrays["numbers"]), len(self.vocab))
            run(part, scratch)
            self.scratch_pool.append(scratch)

        starts = range(block.start, block.stop, TASK_HISTORIES)
        parts = [slice(start, min(start + TASK_HISTORIES, block.stop)) for start in starts]
        if self.threads == 1 or len(parts) < 2:
            run_part(block)
            return
        with ThreadPoolExecutor(min(self.threads, len(parts))) as pool:
            for _ in pool.map(run_part, parts):
                pass

    def _history_times(self, histories: Sessions) -> np.ndarray:
        """The time of each history in ms: (S,) int64."""
        times = self.arrays.get("times", NO_SESSIONS)
        now = np.full(len(histories), times[-1] if len(times) else 0, dtype=np.int64)
        if self.formula.fade > 0 and histories.times is not None:
            nonempty = histories.lengths > 0
            now[nonempty] = histories.times[histories.offsets[1:][nonempty] - 1]
        return now


def _fill(histories: Sessions, n: int, seed: int, include_seen: bool, rows: np.ndarray, scores: np.ndarray) -> None:
    """Fill missing rows (q, k) with random other items, score 0; a shorter list is the start of a longer one."""
    from embedrec.kernels.first_unseen import shuffle_unseen
    from embedrec.kernels.topk import empty_best

    k = rows.shape[1]
    others, places = empty_best(len(rows), min(2 * k, n))  # at most k of them are results already
    shuffle_unseen(histories.offsets, histories.items, n, seed, include_seen, others, places)
    for q in np.flatnonzero(rows[:, -1] < 0):
        count = int((rows[q] >= 0).sum())
        more = others[q][(others[q] >= 0) & ~np.isin(others[q], rows[q, :count])][: k - count]
        rows[q, count : count + len(more)] = more
        scores[q, count : count + len(more)] = 0.0


def _extend(vocab: Vocab, sessions: Sessions) -> Vocab:
    """The vocabulary extended by new items of these sessions, and with their mentions counted."""
    used = np.bincount(sessions.items, minlength=len(sessions.vocab))
    at = vocab.rows_of(sessions.vocab.ids)
    new = np.flatnonzero((at < 0) & (used > 0))
    ids = unify_ids(vocab.ids, sessions.vocab.ids[new])
    names = vocab.names
    if names is not None:
        more = np.full(len(new), "", dtype=object) if sessions.vocab.names is None else sessions.vocab.names[new]
        names = np.concatenate([names, more])
    counts = vocab.counts
    if counts is not None:
        known = at >= 0
        counts = np.concatenate([counts, used[new]])
        counts[at[known]] += used[known]
    return Vocab(np.concatenate(ids), names, counts)
