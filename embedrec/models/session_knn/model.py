"""Session kNN: the nearest past sessions say what comes next.

Jannach & Ludewig 2017 ("When Recurrent Neural Networks meet the Neighborhood for Session-Based Recommendation"). Of the
sessions that share an item with the history, some are candidates, the most similar of them are neighbours, and their
items are scored by what the neighbours are worth. Here is the model, which is the training sessions and an inverted
index of them; the variants stand in `session_knn_recipes` and `wsknn`.
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
from embedrec.data.vocab import Vocab, one_kind
from embedrec.errors import SettingsError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.models.session_knn.store import SessionStore

if TYPE_CHECKING:
    from embedrec.kernels.session_formulas import Index, KnnFormula, Scratch
    from embedrec.models.session_knn.settings import SessionKnnSettings

NO_SESSIONS = np.zeros(0, dtype=np.int64)
_PART = 256  # histories that a thread answers before it takes more
_PROPOSED = 4096  # histories whose candidates are proposed at a time


@dataclass(frozen=True, eq=False)
class Proposals:
    """Where candidates come from instead of the inverted index.

    propose  histories (q sessions), count → (q, ≤ count) int32: sessions by their place in the model's arrays, each
             once, −1 for missing; those that share no item with the history are no candidates
    count    how many are asked for
    """

    propose: Callable[[Sessions, int], np.ndarray]
    count: int


@dataclass(frozen=True, eq=False)
class SessionKnnModel:
    """The training sessions, which answer. An empty history, or one of unknown items, has no neighbours and no answers:
    all results are missing; a history with few neighbours has fewer than k. Items that no neighbour holds are missing.

    arrays     what a `SessionStore` keeps: "offsets" (S+1,) int64, "items" (E,) int32, "numbers" (S,) int32 and, where
               the sessions or the variant have them, "times", "weights", "found" (S,)
    index      the inverted index, and what is derived from the sessions beside it
    way        the formulas
    rebuild    model, vocabulary that begins with its items, store → a model of the same recipe of other sessions
    threads    how many answer a batch of histories
    proposals  where candidates come from, None for the index
    """

    PARTIAL: ClassVar[bool] = True

    recipe: SessionKnnSettings
    vocab: Vocab
    arrays: Arrays
    index: Index
    way: KnnFormula
    rebuild: Callable[[SessionKnnModel, Vocab, SessionStore], SessionKnnModel]
    threads: int = 1
    proposals: Proposals | None = None
    pads: deque[Scratch] = field(default_factory=deque, repr=False)  # scratch, one for every thread at work

    def with_threads(self, threads: int) -> SessionKnnModel:
        """The same model, answering batches with so many threads. Raises SettingsError when there are none."""
        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        return replace(self, threads=threads)

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`.

        Sums are made in float64 and compared as float32. Where the settings let sessions fade with their age, a history
        is as late as its last event; one without times is as late as the newest training session.
        """
        rows, scores = self._answers(histories, k, exclude_seen, single=True)
        return TopK(rows, scores, self.vocab)

    def weights(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """As `recommend`, in double precision: rows (S, k) int64 and scores (S, k) float64, −1 and −inf for missing.

        Scores are compared, and given, to 40 bits (1 in 10¹²); those that are equal so far stand by rising row.
        """
        return self._answers(histories, k, exclude_seen, single=False)

    def neighbours(self, histories: Sessions, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most similar training sessions of each history: numbers (S, k) int64 and similarities (S, k) float64.

        Numbers say which of the sessions that were given to `fit` it is, from 0; −1 and −inf for missing. Best first,
        ties by recency; only sessions with a similarity above 0 among the `sample` candidates.
        Raises SettingsError when k is not in 1 … number of training sessions.
        """
        from embedrec.kernels.session_knn import nearest

        numbers = self.arrays["numbers"]
        if not 1 <= k <= len(numbers):
            raise SettingsError(f"k must lie between 1 and the {len(numbers)} sessions there are, but is {k}")
        histories = histories.reindex(self.vocab)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf)
        offsets, items, now = locked(histories.offsets), locked(histories.items), self._now(histories)

        def run(part: slice, proposed: np.ndarray, pad: Scratch) -> None:
            ends = slice(part.start, part.stop + 1)
            nearest(self.index, self.way, offsets[ends], items, now[part], proposed, pad, rows[part], scores[part])

        self._each(histories, run)
        return np.where(rows < 0, -1, numbers[rows]), scores

    def standings(
        self,
        histories: Sessions,
        offsets: np.ndarray,
        targets: np.ndarray,
        sizes: Sequence[int],
        *,
        exclude_seen: bool = True,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the best target of each history stands if only so many neighbours are listened to: three (S, g) int64.

        offsets, targets  (S+1,), (T,) int64: the targets of each history, rows; −1 is never answered
        sizes             g ascending numbers of neighbours

        Of the items that `recommend` of a model of so many neighbours answers: how many have a higher score than the
        best of the targets, how many have its score, and how many of the latter are targets; 0 of them where no target
        is answered. Candidates are looked for once. Raises SettingsError for a model that fills its lists at random.
        """
        from embedrec.kernels.session_knn_grid import stand

        if self.recipe.fills:
            raise SettingsError(f"{self.recipe.name} fills its lists at random, so that its answers have no rank")
        way = self.way._replace(neighbours=int(sizes[-1]))
        histories, include_seen = histories.reindex(self.vocab), self.recipe.includes_seen(exclude_seen)
        higher, equal, own = np.zeros((3, len(histories), len(sizes)), dtype=np.int64)
        starts, items, now = locked(histories.offsets), locked(histories.items), self._now(histories)
        ends, wanted, many = locked(offsets), locked(targets), locked(np.array(sizes, dtype=np.int64))

        def run(part: slice, proposed: np.ndarray, pad: Scratch) -> None:
            to = slice(part.start, part.stop + 1)
            asked = (starts[to], items, now[part], proposed, ends[to], wanted, many, include_seen)
            stand(self.index, way, *asked, pad, higher[part], equal[part], own[part])

        self._each(histories, run)
        return higher, equal, own

    def update(self, sessions: Sessions) -> SessionKnnModel:
        """The model of the training sessions and these newer ones; the same as a fresh `fit` of both, in this order,
        but that FAISS, where it proposes, keeps its cells.

        Their numbers go on from the last. Items that the model does not know come at the end of its vocabulary.
        Raises DataError when they lack times, weights or kinds that the others have.
        """
        vocab = _grown(self.vocab, sessions)
        store = SessionStore.restored(self.arrays, len(self.vocab)).joined(self.recipe.store(sessions.reindex(vocab)))
        return self.rebuild(self, vocab, store)

    def aged(self, *, before_ms: int | None = None, newest: int | None = None) -> SessionKnnModel:
        """The model without old sessions: without those whose time is before a moment, or with the newest n only.

        The same as a fresh `fit` of the others, which are numbered anew; the vocabulary stays as it is.
        Raises SettingsError unless one of both is given, or when the sessions have no times to compare.
        """
        if (before_ms is None) == (newest is None):
            raise SettingsError("say which sessions are too old: either before_ms or newest must be given")
        store = SessionStore.restored(self.arrays, len(self.vocab))
        if before_ms is not None:
            if store.times is None:
                raise SettingsError("the model's sessions have no times; say how many are kept with newest")
            keep = store.times >= before_ms
        else:
            keep = store.newest(max(0, newest or 0))
        return self.rebuild(self, self.vocab, store.where(keep))

    def _answers(
        self, histories: Sessions, k: int, exclude_seen: bool, *, single: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        from embedrec.kernels.session_scores import answer

        check_k(k, len(self.vocab))
        histories, include_seen = histories.reindex(self.vocab), self.recipe.includes_seen(exclude_seen)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf)
        offsets, items, now = locked(histories.offsets), locked(histories.items), self._now(histories)

        def run(part: slice, proposed: np.ndarray, pad: Scratch) -> None:
            ends = slice(part.start, part.stop + 1)
            asked = (offsets[ends], items, now[part], proposed, include_seen, single)
            answer(self.index, self.way, *asked, pad, rows[part], scores[part])

        self._each(histories, run)
        if self.recipe.fills:
            _fill(histories, len(self.vocab), self.way.seed, include_seen, rows, scores)
        return rows, scores

    def _each(self, histories: Sessions, run: Callable[[slice, np.ndarray, Scratch], None]) -> None:
        """Run parts of the histories, each with what is proposed for it, (q, c) int32 rows, and a scratch pad."""
        step = max(1, len(histories)) if self.proposals is None else _PROPOSED
        for start in range(0, len(histories), step):
            block = slice(start, min(start + step, len(histories)))
            proposed = self._proposed(histories, block)

            def part(part: slice, pad: Scratch, start: int = start, proposed: np.ndarray = proposed) -> None:
                run(part, proposed[part.start - start : part.stop - start], pad)

            self._in_parts(block, part)

    def _proposed(self, histories: Sessions, block: slice) -> np.ndarray:
        """The candidates of a block of histories: (q, c) int32 rows, −1 for none; c is 0 where the index is asked."""
        if self.proposals is None:
            return locked(np.empty((block.stop - block.start, 0), dtype=np.int32))
        asked = histories.take(np.arange(block.start, block.stop))
        return locked(self.proposals.propose(asked, max(1, min(self.proposals.count, len(self.arrays["numbers"])))))

    def _in_parts(self, block: slice, run: Callable[[slice, Scratch], None]) -> None:
        """Run parts of a block of histories, each with a scratch pad that no other thread uses."""

        def alone(part: slice) -> None:
            from embedrec.kernels.session_formulas import new_pad

            try:
                pad = self.pads.pop()
            except IndexError:
                pad = new_pad(len(self.arrays["numbers"]), len(self.vocab))
            run(part, pad)
            self.pads.append(pad)

        starts = range(block.start, block.stop, _PART)
        parts = [slice(start, min(start + _PART, block.stop)) for start in starts]
        if self.threads == 1 or len(parts) < 2:
            alone(block)
            return
        with ThreadPoolExecutor(min(self.threads, len(parts))) as pool:
            for _ in pool.map(alone, parts):
                pass

    def _now(self, histories: Sessions) -> np.ndarray:
        """The time of each history in ms: (S,) int64."""
        times = self.arrays.get("times", NO_SESSIONS)
        now = np.full(len(histories), times[-1] if len(times) else 0, dtype=np.int64)
        if self.way.fade > 0 and histories.times is not None:
            some = histories.lengths > 0
            now[some] = histories.times[histories.offsets[1:][some] - 1]
        return now


def _fill(histories: Sessions, n: int, seed: int, include_seen: bool, rows: np.ndarray, scores: np.ndarray) -> None:
    """Write random other items, score 0, where rows (q, k) are missing; a longer list begins as a shorter one."""
    from embedrec.kernels.first_unseen import shuffle
    from embedrec.kernels.topk import empty_best

    k = rows.shape[1]
    others, places = empty_best(len(rows), min(2 * k, n))  # k of them at most are answers already
    shuffle(histories.offsets, histories.items, n, seed, include_seen, others, places)
    for q in np.flatnonzero(rows[:, -1] < 0):
        there = int((rows[q] >= 0).sum())
        more = others[q][(others[q] >= 0) & ~np.isin(others[q], rows[q, :there])][: k - there]
        rows[q, there : there + len(more)] = more
        scores[q, there : there + len(more)] = 0.0


def _grown(vocab: Vocab, sessions: Sessions) -> Vocab:
    """The vocabulary with the items of these sessions that it lacks, and with their mentions counted."""
    used = np.bincount(sessions.items, minlength=len(sessions.vocab))
    at = vocab.rows_of(sessions.vocab.ids)
    new = np.flatnonzero((at < 0) & (used > 0))
    ids = one_kind(vocab.ids, sessions.vocab.ids[new])
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
