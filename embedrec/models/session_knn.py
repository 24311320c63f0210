"""Session kNN: the nearest past sessions say what comes next.

Jannach & Ludewig 2017 ("When Recurrent Neural Networks meet the Neighborhood for Session-Based Recommendation"). Of the
sessions that share an item with the history, some are candidates, the most similar of them are neighbours, and their
items are scored by what the neighbours are worth. The variants stand in `session_knn_recipes` and `wsknn`; here is what
they share: the recipe, and the model, which is the training sessions and an inverted index of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.base import Arrays
from embedrec.models.session_store import Order, SessionStore
from embedrec.reporting import Report, quiet
from embedrec.topk import TopK, check_k

if TYPE_CHECKING:
    from embedrec.kernels.session_knn import Index, Pad, Way

DAY = 86_400_000  # milliseconds
_PART = 256  # histories that a thread answers before it takes more
_NO_ITEMS, _NO_SESSIONS = np.zeros(0), np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class SessionKnn(ABC):
    """What all session kNNs share.

    neighbours  sessions that are listened to, the most similar; ties by recency
    sample      sessions among which they are looked for: the newest that share an item with the history; 0 for all

    A session is as new as its last event; where there are no times, as new as it stands late. Among sessions of one
    time the one that stands later is newer.
    """

    name: ClassVar[str]

    neighbours: int = 100
    sample: int = 1000

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise SettingsError(f"neighbours must be at least 1, but is {self.neighbours}")
        if self.sample < 0:
            raise SettingsError(f"sample must be a number of sessions, or 0 for all, but is {self.sample}")

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
        return store.found

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

        seed     of samples and items that are drawn, where a variant draws
        threads  how many answer a batch; the answers do not depend on it
        report   hears nothing: there are no epochs

        Raises DataError or SettingsError when the sessions lack times, weights or kinds that the settings need.
        """
        arrays = self.store(sessions).arrays
        if self.draws:
            arrays["seed"] = np.array([seed], dtype=np.int64)
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
        return SessionKnnModel(self, vocab, arrays, _indexed(self, store, way, len(vocab)), way)


@dataclass(frozen=True, eq=False)
class SessionKnnModel:
    """The training sessions, which answer. An empty history, or one of unknown items, has no neighbours and no answers:
    all results are missing; a history with few neighbours has fewer than k. Items that no neighbour holds are missing.

    arrays   what a `SessionStore` keeps: "offsets" (S+1,) int64, "items" (E,) int32, "numbers" (S,) int32 and, where
             the sessions or the variant have them, "times", "weights", "found" (S,)
    index    the inverted index, and what is derived from the sessions beside it
    way      the formulas
    threads  how many answer a batch of histories
    """

    recipe: SessionKnn
    vocab: Vocab
    arrays: Arrays
    index: Index
    way: Way
    threads: int = 1
    pads: deque[Pad] = field(default_factory=deque, repr=False)  # scratch, one for every thread at work

    def with_threads(self, threads: int) -> SessionKnnModel:
        """The same model, answering batches with so many threads. Raises SettingsError when there are none."""
        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        return replace(self, threads=threads)

    def recommend(self, histories: Sessions, k: int, *, seen: bool = False) -> TopK:
        """See `Model.recommend`.

        Sums are made in float64 and compared as float32. Where the settings let sessions fade with their age, a history
        is as late as its last event; one without times is as late as the newest training session.
        """
        rows, scores = self._answers(histories, k, seen, single=True)
        return TopK(rows, scores, self.vocab)

    def weights(self, histories: Sessions, k: int, *, seen: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """As `recommend`, in double precision: rows (S, k) int64 and scores (S, k) float64, −1 and −inf for missing.

        Scores are compared, and given, to 40 bits (1 in 10¹²); those that are equal so far stand by rising row.
        """
        return self._answers(histories, k, seen, single=False)

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
        histories = histories.recoded(self.vocab)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf)
        offsets, items, now = _locked(histories.offsets), _locked(histories.items), self._now(histories)

        def run(part: slice, pad: Pad) -> None:
            ends = slice(part.start, part.stop + 1)
            nearest(self.index, self.way, offsets[ends], items, now[part], pad, rows[part], scores[part])

        self._in_parts(len(histories), run)
        return np.where(rows < 0, -1, numbers[rows]), scores

    def update(self, sessions: Sessions) -> SessionKnnModel:
        """The model of the training sessions and these newer ones; the same as a fresh `fit` of both, in this order.

        Their numbers go on from the last. Items that the model does not know come at the end of its vocabulary.
        Raises DataError when they lack times, weights or kinds that the others have.
        """
        vocab = _grown(self.vocab, sessions)
        arrays = dict(self.arrays)
        store = SessionStore.restored(arrays, len(self.vocab)).joined(self.recipe.store(sessions.recoded(vocab)))
        return self.recipe.restore(vocab, arrays | store.arrays).with_threads(self.threads)

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
        arrays = dict(self.arrays) | store.where(keep).arrays
        return self.recipe.restore(self.vocab, arrays).with_threads(self.threads)

    def _answers(self, histories: Sessions, k: int, seen: bool, *, single: bool) -> tuple[np.ndarray, np.ndarray]:
        from embedrec.kernels.session_scores import answer

        check_k(k, len(self.vocab))
        histories, seen = histories.recoded(self.vocab), self.recipe.returned(seen)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf)
        offsets, items, now = _locked(histories.offsets), _locked(histories.items), self._now(histories)

        def run(part: slice, pad: Pad) -> None:
            ends = slice(part.start, part.stop + 1)
            asked = (offsets[ends], items, now[part], seen, single)
            answer(self.index, self.way, *asked, pad, rows[part], scores[part])

        self._in_parts(len(histories), run)
        if self.recipe.fills:
            _fill(histories, len(self.vocab), self.way.seed, seen, rows, scores)
        return rows, scores

    def _in_parts(self, count: int, run: Callable[[slice, Pad], None]) -> None:
        """Run parts of `count` histories, each with a scratch pad that no other thread uses."""

        def alone(part: slice) -> None:
            from embedrec.kernels.session_knn import new_pad

            try:
                pad = self.pads.pop()
            except IndexError:
                pad = new_pad(len(self.arrays["numbers"]), len(self.vocab))
            run(part, pad)
            self.pads.append(pad)

        parts = [slice(start, min(start + _PART, count)) for start in range(0, count, _PART)]
        if self.threads == 1 or len(parts) < 2:
            alone(slice(0, count))
            return
        with ThreadPoolExecutor(min(self.threads, len(parts))) as pool:
            for _ in pool.map(alone, parts):
                pass

    def _now(self, histories: Sessions) -> np.ndarray:
        """The time of each history in ms: (S,) int64."""
        times = self.arrays.get("times", _NO_SESSIONS)
        now = np.full(len(histories), times[-1] if len(times) else 0, dtype=np.int64)
        if self.way.fade > 0 and histories.times is not None:
            some = histories.lengths > 0
            now[some] = histories.times[histories.offsets[1:][some] - 1]
        return now


def _indexed(recipe: SessionKnn, store: SessionStore, way: Way, n: int) -> Index:
    """The inverted index of a store, and what else the way looks up."""
    from embedrec.kernels import session_knn as kernels
    from embedrec.kernels.session_index import posted, sizes_of

    found = recipe.found(store)
    everyone = np.zeros(0, dtype=np.bool_)
    counted = way.weight == kernels.W_COUNT
    # what a list holds beyond the newest `sample` sessions is never looked at
    cut = way.sampling == kernels.NEWEST and not counted
    most = way.sample if cut else max(1, len(store.items))
    offsets, items = _locked(store.offsets), _locked(store.items)
    starts, postings, held = posted(offsets, items, n, _locked(everyone if found is None else found), counted, most)
    sizes = np.zeros(0, dtype=np.int32)
    if way.similarity != kernels.S_VEC:
        sizes = sizes_of(offsets, items, n, counted)
    followed, followers = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    if recipe.followers_only:
        followed, followers = _followers(store, n)
    nearness = recipe.nearness(int(np.diff(store.offsets).max(initial=1)))
    times = store.times if way.fade > 0 and store.times is not None else _NO_SESSIONS
    columns = (starts, postings, sizes, times, recipe.factors(store, held), followed, followers, nearness)
    return kernels.Index(offsets, items, *map(_locked, columns))


def _fill(histories: Sessions, n: int, seed: int, seen: bool, rows: np.ndarray, scores: np.ndarray) -> None:
    """Write random other items, score 0, where rows (q, k) are missing; a longer list begins as a shorter one."""
    from embedrec.kernels.topk import empty_best
    from embedrec.kernels.unseen import shuffle

    k = rows.shape[1]
    others, places = empty_best(len(rows), min(2 * k, n))  # k of them at most are answers already
    shuffle(histories.offsets, histories.items, n, seed, seen, others, places)
    for q in np.flatnonzero(rows[:, -1] < 0):
        there = int((rows[q] >= 0).sum())
        more = others[q][(others[q] >= 0) & ~np.isin(others[q], rows[q, :there])][: k - there]
        rows[q, there : there + len(more)] = more
        scores[q, there : there + len(more)] = 0.0


def _followers(store: SessionStore, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Items that come directly after each item: starts (n+1,) int64 and rows int32, each once an item."""
    rows = np.maximum(store.items, ~store.items).astype(np.int64)
    inside = np.ones(len(rows), dtype=bool)  # whether the event before is of the same session
    inside[store.offsets[:-1][np.diff(store.offsets) > 0]] = False
    after = np.flatnonzero(inside)
    pairs = np.unique(rows[after - 1] * n + rows[after])
    return np.searchsorted(pairs // max(n, 1), np.arange(n + 1)), (pairs % max(n, 1)).astype(np.int32)


def _grown(vocab: Vocab, sessions: Sessions) -> Vocab:
    """The vocabulary with the items of these sessions that it lacks, and with their mentions counted."""
    used = np.bincount(sessions.items, minlength=len(sessions.vocab))
    at = vocab.rows(sessions.vocab.ids)
    new = np.flatnonzero((at < 0) & (used > 0))
    if len(new) and len(vocab) and vocab.integer != sessions.vocab.integer:
        raise DataError(
            f"ids of the model's items are {_what(vocab)}, but those of the new sessions are {_what(sessions.vocab)}; "
            "prepare both alike"
        )
    ids = (
        np.concatenate([vocab.ids, sessions.vocab.ids[new]])
        if len(vocab) and len(new)
        else vocab.ids
        if len(vocab)
        else sessions.vocab.ids[new]
    )
    names = vocab.names
    if names is not None:
        more = np.full(len(new), "", dtype=object) if sessions.vocab.names is None else sessions.vocab.names[new]
        names = np.concatenate([names, more])
    counts = vocab.counts
    if counts is not None:
        known = at >= 0
        counts = np.concatenate([counts, used[new]])
        counts[at[known]] += used[known]
    return Vocab(ids, names, counts)


def _what(vocab: Vocab) -> str:
    return "numbers" if vocab.integer else "texts"


def _locked(array: np.ndarray) -> Any:
    """The array so that nothing can be written into it, whatever it was: compiled code then has one form."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
