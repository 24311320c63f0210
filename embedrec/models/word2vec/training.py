"""The training loops of word2vec: epochs, threads, learning rate and progress around the kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, TrainingError
from embedrec.kernels.row_blas import padded
from embedrec.kernels.sampling import alias_table, keep_probabilities, noise_weights
from embedrec.kernels.skipgram import FILLERS, SIGMOID, cbow, plan, skipgram
from embedrec.kernels.skipgram_deterministic import add_changes, learn_lane, split_lanes
from embedrec.progress import Report
from embedrec.training import shares
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext

if TYPE_CHECKING:
    from embedrec.models.word2vec.settings import Word2VecSettings, WordVectors
    from embedrec.training.distributed import Processes

# Largest learning rate × weight of a step. Much larger steps overshoot for negatives: at 0.5 long sessions diverge.
HEAVIEST_STEP = 0.1
CHUNK = 2048  # events of a task of a thread, about: tasks are whole sessions
# Deterministic training: number of lanes that learn independently, and the rows (a share of all items, and at most)
# that each updates before lanes are merged. Popular items move in every lane; at six times the share their summed
# changes overshoot and training diverges.
LANES, LANE_SHARE, LANE_ROWS = 8, 1.0, 30_000
# Several processes exchange the changes of their vectors after about so many events of each, at most so often an epoch.
# Changes of short rounds are summed, as if their steps had been taken one after another. In longer ones the vectors of
# popular items would overshoot, and the changes of a row are averaged, which loses quality (scripts/bench/shares.py).
ROUND_EVENTS, MOST_ROUNDS = 8192, 256
_TICK = 0.1  # seconds between two reports of progress


@dataclass(frozen=True)
class Corpus:
    """Input of the kernels: settings, sessions, and sampling tables."""

    recipe: Word2VecSettings
    sessions: Sessions
    seed: int
    keep: np.ndarray  # (n,) float32
    threshold: np.ndarray  # (n,) uint32
    other: np.ndarray  # (n,) int32

    @classmethod
    def of(cls, recipe: Word2VecSettings, sessions: Sessions, mentions: np.ndarray, seed: int) -> Corpus:
        table = alias_table(noise_weights(mentions, recipe.ns_exponent))
        return cls(recipe, sessions, seed, keep_probabilities(mentions, recipe.sample), *table)

    def chunks(self, size: int) -> list[tuple[int, int]]:
        """Ranges of sessions with about `size` events each, and at least one session."""
        offsets = self.sessions.offsets
        cuts = np.searchsorted(offsets, np.arange(0, offsets[-1], size))
        cuts = np.unique(np.append(cuts, len(self.sessions)))
        return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))

    def plan(self, chunk: tuple[int, int], epoch: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The kernel's plan of a chunk, without session numbers, and the learning rate (t,) of its tiles."""
        r, s = self.recipe, self.sessions
        heaviest = max(1, int(HEAVIEST_STEP / r.alpha + 1e-9))
        centre, left, right, tiles, session, drawn, noise = plan(
            s.offsets, s.items, *chunk, self.seed, epoch, r.window, r.shrink_windows, not r.ordered, r.negative,
            heaviest, r.architecture == "skip-gram", self.keep, self.threshold, self.other,
        )  # fmt: skip
        progress = (epoch + s.offsets[session] / s.offsets[-1]) / r.epochs
        rate = (r.alpha + (r.min_alpha - r.alpha) * progress).astype(np.float32)
        return (centre, left, right, tiles, drawn, noise), rate


class Tally:
    """Sums of loss, pairs and events of an epoch; threads add to them."""

    def __init__(self) -> None:
        self.loss, self.pairs, self.events = 0.0, 0, 0
        self._lock = Lock()

    def add(self, loss: float, pairs: int, events: int) -> None:
        with self._lock:
            self.loss, self.pairs, self.events = self.loss + loss, self.pairs + pairs, self.events + events


Chunks = Sequence[tuple[int, int]]


def exchanges(events: int, context: TrainingContext) -> tuple[int, bool]:
    """How often processes, of which this one has so many events, exchange changes in an epoch; whether these are
    summed."""
    if context.processes is None:
        return 1, False
    each = int(shares.total(np.array([events]), context)[0]) // context.processes.count
    count = min(MOST_ROUNDS, max(1, -(-each // ROUND_EVENTS)))
    return count, each <= 2 * ROUND_EVENTS * count


def exchange(vectors: np.ndarray, before: np.ndarray, processes: Processes, *, summed: bool) -> None:
    """Add the changes of all processes to the vectors (n, w) in place, which were `before` in every process.

    summed  whether a row changes by the sum of its changes; otherwise by the mean over the processes that changed it,
            since items of few mentions occur in one share only
    """
    import torch

    vectors -= before
    changed = torch.from_numpy(vectors.any(axis=1).astype(np.float32))
    processes.sum(torch.from_numpy(vectors))
    if not summed:
        vectors /= processes.sum(changed).clamp(min=1).numpy()[:, None]
    vectors += before


def _parts(chunks: list[tuple[int, int]], count: int) -> list[Chunks]:
    """Chunks in so many parts, some of which may be empty."""
    bounds = [len(chunks) * part // count for part in range(count + 1)]
    return [chunks[first:last] for first, last in pairwise(bounds)]


def train(
    recipe: Word2VecSettings,
    sessions: Sessions,
    start: WordVectors,
    mentions: np.ndarray,
    *,
    seed: int,
    threads: int,
    report: Report,
    context: TrainingContext = DEFAULT_CONTEXT,
) -> tuple[np.ndarray, np.ndarray]:
    """Train from initial vectors; returns the new input and output vectors, (n, d) each.

    mentions  (n,) of the items, in these and further sessions: for the noise and sub-sampling
    context   other processes of the training, each with its sessions, which start with the same vectors

    Raises TrainingError, with the epoch, when vectors or the loss are not finite.
    """
    (n, d), r = start.input.shape, recipe
    corpus = Corpus.of(recipe, sessions, mentions, seed)
    x, y = padded(start.input, n), padded(start.output, n + FILLERS)
    learn = skipgram if r.architecture == "skip-gram" else cbow
    train_epoch = (_Lanes if r.deterministic else _SharedVectors)(corpus, learn, x, y)
    total = len(sessions.items)
    pairs = 0
    count, summed = exchanges(total, context)
    rounds = _parts(corpus.chunks(CHUNK), count)
    with ThreadPoolExecutor(threads) as pool:
        for epoch in range(r.epochs):
            started, tally = perf_counter(), Tally()

            def tick(epoch: int = epoch, tally: Tally = tally) -> None:
                report("progress", done=epoch * total + tally.events, total=r.epochs * total, unit="events")

            for chunks in rounds:
                before = None if context.processes is None else (x.copy(), y.copy())
                train_epoch(pool, threads, epoch, chunks, tally, tick)
                if context.processes is not None and before is not None:
                    for vectors, old in zip((x, y), before, strict=True):
                        exchange(vectors, old, context.processes, summed=summed)
            tick()
            seconds = perf_counter() - started
            sums = shares.total(np.array([tally.loss, tally.pairs, total]), context)
            loss, pairs = float(sums[0] / max(sums[1], 1)), pairs + int(sums[1])
            report(
                "epoch", epoch=epoch + 1, epochs=r.epochs, loss=loss, seconds=seconds,
                events_per_second=float(sums[2]) / seconds,
            )  # fmt: skip
            if not (np.isfinite(loss) and np.isfinite(x).all() and np.isfinite(y).all()):
                raise TrainingError(
                    f"training diverged in epoch {epoch + 1} of {r.epochs}; lower alpha, which is {r.alpha:g}"
                )
    if not pairs and not start.output.any():  # a warm start keeps its vectors
        raise DataError(
            f"sub-sampling (sample={r.sample:g}) left no pair of the {total} events to learn from; set sample=0"
        )
    return x[:, :d].copy(), y[:n, :d].copy()


class _SharedVectors:
    """Trains an epoch in chunks; all threads update the same vectors without locks."""

    def __init__(self, corpus: Corpus, learn: Callable, x: np.ndarray, y: np.ndarray) -> None:
        self.corpus, self.learn, self.x, self.y = corpus, learn, x, y

    def __call__(
        self, pool: ThreadPoolExecutor, threads: int, epoch: int, chunks: Chunks, tally: Tally, tick: Callable[[], None]
    ) -> None:
        remaining = iter(chunks)
        workers = [pool.submit(self._work, remaining, epoch, tally) for _ in range(threads)]
        try:
            while wait(workers, _TICK, FIRST_EXCEPTION).not_done:
                tick()
        finally:
            for _ in remaining:  # after an error or Ctrl-C no thread starts another chunk
                pass
        for worker in workers:
            worker.result()

    def _work(self, chunks: Iterator[tuple[int, int]], epoch: int, tally: Tally) -> None:
        offsets, negative = self.corpus.sessions.offsets, self.corpus.recipe.negative
        for chunk in chunks:
            chunk_plan, rate = self.corpus.plan(chunk, epoch)
            loss, pairs = self.learn(self.x, self.y, *chunk_plan, rate, negative, SIGMOID)
            tally.add(loss, pairs, int(offsets[chunk[1]] - offsets[chunk[0]]))


class _Lanes:
    """Trains an epoch with the same result, byte by byte, at any number of threads.

    Plans are divided into lanes of a fixed size, eight at a time. Each lane learns on a copy of the rows it needs; the
    changes are added in the order of lanes, with rows divided among threads.
    """

    def __init__(self, corpus: Corpus, learn: Callable, x: np.ndarray, y: np.ndarray) -> None:
        self.corpus, self.x, self.y = corpus, x, y
        self.fixed = (corpus.recipe.negative, SIGMOID, learn is skipgram)
        self.budget = int(min(LANE_ROWS, max(1, LANE_SHARE * len(x))))
        self.slots = [np.full(len(x), -1, dtype=np.int32) for _ in range(LANES)]

    def __call__(
        self, pool: ThreadPoolExecutor, threads: int, epoch: int, chunks: Chunks, tally: Tally, tick: Callable[[], None]
    ) -> None:
        ticked, offsets = perf_counter(), self.corpus.sessions.offsets
        for c in range(0, len(chunks), threads):
            plans = list(pool.map(self.corpus.plan, chunks[c : c + threads], [epoch] * threads))
            for (start, stop), (chunk_plan, rate) in zip(chunks[c : c + threads], plans, strict=True):
                cuts = split_lanes(*chunk_plan[1:5], self.budget).tolist()
                for at in range(0, len(cuts) - 1, LANES):
                    self._train_lanes(pool, threads, cuts[at : at + LANES + 1], chunk_plan, rate, tally)
                    if perf_counter() - ticked > _TICK:
                        ticked = perf_counter()
                        tick()
                tally.add(0.0, 0, int(offsets[stop] - offsets[start]))

    def _train_lanes(
        self, pool: ThreadPoolExecutor, threads: int, cuts: list[int], chunk_plan: tuple, rate: np.ndarray, tally: Tally
    ) -> None:
        lanes: list[tuple] = [()] * (len(cuts) - 1)

        def learn(part: int) -> None:
            for i in range(part, len(lanes), threads):
                lanes[i] = learn_lane(
                    self.x, self.y, *chunk_plan, rate, *self.fixed, cuts[i], cuts[i + 1], self.slots[i]
                )

        def merge(part: int) -> None:
            for *changes, _, _ in lanes:
                add_changes(self.x, self.y, *changes, part, threads)

        for step in (learn, merge):
            if threads == 1:
                step(0)
            else:
                list(pool.map(step, range(threads)))
        for *_, loss, pairs in lanes:
            tally.add(loss, pairs, 0)
