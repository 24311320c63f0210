"""Features of candidates for a ranker: the declared list, their tables, and their computation for whole batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, Model
from embedrec.progress import Report, quiet
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.feature_groups.clock import ClockFeatures
from embedrec.ranking.feature_groups.group import Feature, FeatureGroup, QuestionBatch
from embedrec.ranking.feature_groups.history import HistoryFeatures
from embedrec.ranking.feature_groups.items import CategoryFeatures, NumberFeatures
from embedrec.ranking.feature_groups.pairs import PairFeatures
from embedrec.ranking.feature_groups.parts import PartFeatures
from embedrec.ranking.feature_groups.popularity import PopularityFeatures
from embedrec.ranking.feature_groups.queries import QueryFeatures
from embedrec.ranking.feature_groups.runs import RunFeatures
from embedrec.ranking.feature_groups.users import UserItemFeatures, UserNumberFeatures
from embedrec.ranking.feature_groups.vectors import VectorFeatures

RECENT = 10  # last distinct items of a history that candidates are compared with
TASK_QUESTIONS = 32  # of a batch; their features stay in the cache between groups
NO_TIMES = locked(np.zeros(0, dtype=np.int64))

FEATURES: tuple[Feature, ...] = (
    *PartFeatures.FEATURES,
    *PartFeatures.COMMON,
    *QueryFeatures.FEATURES,
    *VectorFeatures.FEATURES,
    *VectorFeatures.TIMED,
    *PairFeatures.FEATURES,
    *PairFeatures.TIMED,
    *RunFeatures.FEATURES,
    *PopularityFeatures.FEATURES,
    *HistoryFeatures.FEATURES,
    *HistoryFeatures.TIMED,
    *ClockFeatures.FEATURES,
    *CategoryFeatures.FEATURES,
    *NumberFeatures.FEATURES,
    *UserItemFeatures.USERS,
    *UserItemFeatures.CATEGORIES,
    *UserNumberFeatures.FEATURES,
)


@dataclass(frozen=True, eq=False)
class FeatureTables:
    """Everything that the features of candidates are computed from.

    vocab   n items; candidates and histories are rows of it
    groups  in the order of their columns
    scale   of weights by time, in milliseconds, see `HistoryFeatures`
    """

    vocab: Vocab
    groups: tuple[FeatureGroup, ...]
    scale: float
    scratch: deque[np.ndarray] = field(default_factory=deque, repr=False)  # one for each active thread

    @classmethod
    def fit(
        cls,
        sessions: Sessions,
        parts: Sequence[tuple[str, Model]],
        *,
        threads: int = 1,
        report: Report = quiet,
    ) -> FeatureTables:
        """The tables of training sessions.

        sessions  whose vocabulary is that of candidates and histories
        parts     names and models, in the order of the candidates' ranks; every name once
        threads   number of threads; results do not depend on it
        report    called as report("progress", done=, total=, unit="events")
        """
        history, users = HistoryFeatures.fit(sessions), UserItemFeatures.fit(sessions)
        groups: tuple[FeatureGroup, ...] = (
            PartFeatures(tuple(name for name, _ in parts)),
            *QueryFeatures.of(sessions.vocab, parts),
            *VectorFeatures.fit(sessions.vocab, parts, history.timed),
            *PairFeatures.fit(sessions, threads=threads, report=report),
            RunFeatures.fit(sessions),
            PopularityFeatures.fit(sessions),
            history,
            *ClockFeatures.fit(sessions),
            *CategoryFeatures.fit(sessions),
            *NumberFeatures.fit(sessions),
            *users,
            *UserNumberFeatures.fit(sessions, users),
        )
        return cls(sessions.vocab, groups, history.scale)

    @classmethod
    def from_arrays(cls, vocab: Vocab, parts: Sequence[tuple[str, Model]], arrays: Arrays) -> FeatureTables:
        """The tables of `arrays`. Raises DataError when they do not fit."""
        history, n = HistoryFeatures.from_arrays(arrays), len(vocab)
        users = UserItemFeatures.from_arrays(n, arrays)
        groups: tuple[FeatureGroup, ...] = (
            PartFeatures(tuple(name for name, _ in parts)),
            *QueryFeatures.of(vocab, parts),
            *VectorFeatures.from_arrays(vocab, parts, arrays, history.timed),
            *PairFeatures.from_arrays(n, arrays, history.timed),
            RunFeatures.from_arrays(n, arrays),
            PopularityFeatures.from_arrays(n, arrays, history.timed),
            history,
            *ClockFeatures.from_arrays(n, arrays),
            *CategoryFeatures.from_arrays(n, arrays),
            *NumberFeatures.from_arrays(n, arrays),
            *users,
            *UserNumberFeatures.from_arrays(arrays, users),
        )
        return cls(vocab, groups, history.scale)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the F features, in the order of columns."""
        return tuple(name for group in self.groups for name in group.names)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first column of each group."""
        return tuple(accumulate((len(group.names) for group in self.groups[:-1]), initial=0))

    @property
    def arrays(self) -> Arrays:
        """Everything `from_arrays` needs besides the vocabulary and the parts."""
        return {name: array for group in self.groups for name, array in group.arrays.items()}

    def compute(self, histories: Sessions, candidates: Candidates, *, threads: int = 1) -> np.ndarray:
        """The features of candidates: (N, F) float32, NaN for absent.

        histories   Q sessions in the vocabulary of these tables
        candidates  of Q questions, in the same order
        threads     number of threads; results do not depend on it
        """
        out = np.empty((len(candidates.items), len(self.names)), dtype=np.float32)
        starts = range(0, len(candidates), TASK_QUESTIONS)
        parts = [slice(start, min(start + TASK_QUESTIONS, len(candidates))) for start in starts]
        batch = QuestionBatch(
            slice(0, len(candidates)),
            histories,
            locked(candidates.offsets),
            locked(candidates.items),
            locked(candidates.ranks),
            locked(candidates.scores),
            candidates.queries,
            locked(histories.offsets),
            locked(histories.items),
            NO_TIMES if histories.times is None else locked(histories.times),
        )
        if threads == 1 or len(parts) < 2:
            for part in parts:
                self._compute_part(batch, part, out)
        else:
            with ThreadPoolExecutor(min(threads, len(parts))) as pool:
                for _ in pool.map(lambda part: self._compute_part(batch, part, out), parts):
                    pass
        return out

    def _compute_part(self, whole: QuestionBatch, part: slice, out: np.ndarray) -> None:
        """The features of the candidates of some questions."""
        from embedrec.kernels.ranking_features import recent_items

        try:
            place = self.scratch.pop()
        except IndexError:
            place = np.full(len(self.vocab), -1, dtype=np.int32)
        ends, count = slice(part.start, part.stop + 1), part.stop - part.start
        recent = np.full((count, RECENT), -1, dtype=np.int32)
        weights = np.empty((count, 2, RECENT), dtype=np.float32)
        history_offsets = whole.history_offsets[ends]
        recent_items(history_offsets, whole.history, whole.times, self.scale, recent, weights)
        batch = whole._replace(
            questions=part,
            offsets=whole.offsets[ends],
            history_offsets=history_offsets,
            recent=recent,
            weights=weights,
            place=place,
        )
        for group, at in zip(self.groups, self.starts, strict=True):
            group.write(batch, out, at)
        self.scratch.append(place)
