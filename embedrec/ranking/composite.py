"""Composite models: several models retrieve candidates, and a scorer ranks their union.

The union of a history is the same for every number of results, so that a short list is the start of a longer one. Where
more results are requested than there are candidates, further items follow: those of the longer lists of the parts, in
order of rank, then the rest of the vocabulary. They score less than every candidate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.topk import TopK, check_k, check_neighbour_count
from embedrec.data.vocab import Vocab, valid_rows
from embedrec.errors import DataError, SettingsError
from embedrec.models.base import Arrays, Model, model_summary
from embedrec.models.filtered_recommend import recommend_filtered
from embedrec.progress import Report, quiet
from embedrec.ranking.candidates import Candidates, merge_lists
from embedrec.ranking.part_training import IN_MEMORY, PartStore, TrainedPart
from embedrec.ranking.parts import (
    Part,
    PartSettings,
    default_candidates,
    pack_parts,
    parse_candidates,
    part_settings,
    saved_settings,
    unpack_parts,
)
from embedrec.ranking.scorer import Scorer
from embedrec.ranking.validation import compare_with_parts
from embedrec.ranking.window import Purpose, Window, hold_out_window
from embedrec.storage.artifacts import Artifact
from embedrec.text import Described, Summary, counted

TASK_HISTORIES = 256  # histories of one task of a thread


@dataclass(frozen=True, eq=False, repr=False)
class CompositeModel(Described):
    """A model whose candidates come from other models.

    parts         the models that retrieve candidates
    scorer        ranks their union
    exclude_seen  whether parts leave out items of the history: True for training sessions without repeats. If such
                  items may be results all the same, they follow the candidates
    threads       threads of a batch of histories
    sources       the artifacts of parts, by prefix of their arrays; empty if they have none
    """

    recipe: CompositeRecipe
    vocab: Vocab
    arrays: Arrays
    parts: tuple[Part, ...]
    scorer: Scorer
    exclude_seen: bool
    threads: int = 1
    sources: Mapping[str, Artifact] = field(default_factory=dict)

    def _summary(self) -> Summary:
        names = " + ".join(part.name for part in self.parts)
        return model_summary(self.recipe, self.vocab, [*counted(parts=len(self.parts)), names])

    def with_threads(self, threads: int) -> CompositeModel:
        """The same model with `threads` threads for a batch. Raises SettingsError when threads is below 1."""
        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        return replace(self, threads=threads)

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`. Lists are never shorter than k."""
        check_k(k, len(self.vocab))
        histories = histories.reindex(self.vocab)
        rows = np.full((len(histories), k), -1, dtype=np.int64)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)

        def run(start: int) -> None:
            task = slice(start, min(start + TASK_HISTORIES, len(histories)))
            whole = task.stop - task.start == len(histories)
            queries = histories if whole else histories.take(np.arange(task.start, task.stop))
            self._recommend(queries, exclude_seen, rows[task], scores[task])

        starts = range(0, len(histories), TASK_HISTORIES)
        if self.threads == 1 or len(starts) < 2:
            for start in starts:
                run(start)
        else:
            with ThreadPoolExecutor(min(self.threads, len(starts))) as pool:
                for _ in pool.map(run, starts):
                    pass
        return TopK(rows, scores, self.vocab)

    def neighbours(self, rows: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
        """See `ItemNeighbours`: what is recommended after each item alone.

        allowed  items that may be results: (n,) bool or rows (m,); None for all
        """
        rows = valid_rows(rows, len(self.vocab))
        check_neighbour_count(k, len(self.vocab))
        alone = Sessions(np.arange(len(rows) + 1), rows.astype(np.int32), self.vocab, np.arange(len(rows)))
        return recommend_filtered(self, alone, k, allowed=allowed)

    def candidates(self, histories: Sessions) -> Candidates:
        """The candidates of histories in the model's vocabulary, in order of rank."""
        return retrieve(self.parts, histories, exclude_seen=self.exclude_seen)

    def _recommend(self, histories: Sessions, exclude_seen: bool, rows: np.ndarray, scores: np.ndarray) -> None:
        """Write the k best of a few histories into rows (q, k) and scores (q, k)."""
        from embedrec.kernels.fuse_lists import top_candidates

        candidates = self.candidates(histories)
        values = self.scorer.scores(histories, candidates)
        lowest = np.empty(len(histories))
        remove = exclude_seen and not self.exclude_seen
        top_candidates(
            candidates.offsets,
            candidates.items,
            values,
            histories.offsets,
            histories.items,
            remove,
            rows,
            scores,
            lowest,
        )
        missing = np.flatnonzero(rows[:, -1] < 0)
        if len(missing):
            self._append(histories, missing, candidates, exclude_seen, rows, scores, lowest)

    def _append(
        self,
        histories: Sessions,
        missing: np.ndarray,
        candidates: Candidates,
        exclude_seen: bool,
        rows: np.ndarray,
        scores: np.ndarray,
        lowest: np.ndarray,
    ) -> None:
        """Fill the ends of some lists with items that are no candidates."""
        n, k = len(self.vocab), rows.shape[1]
        queries = histories.take(missing)
        most = int(np.diff(candidates.offsets)[missing].max()) + int(queries.lengths.max(initial=0))
        depth = min(n, k + most)
        further = merge_lists([part.lists(queries, depth, exclude_seen=self.exclude_seen) for part in self.parts])
        place = np.where(further.ranks >= 0, further.ranks * len(self.parts) + np.arange(len(self.parts)), _LATE)
        places = place.min(axis=1)  # increasing
        for q, row in enumerate(missing.tolist()):
            own = slice(*candidates.offsets[row : row + 2])
            seen = np.unique(queries[q])
            taken = np.zeros(n, dtype=bool)
            taken[candidates.items[own]] = True
            taken[seen] |= exclude_seen
            count = int((rows[row] >= 0).sum())
            later: list[tuple[np.ndarray, np.ndarray]] = []  # items and what is taken from the lowest score
            if self.exclude_seen and not exclude_seen:
                recent = queries[q][::-1]
                recent = recent[np.sort(np.unique(recent, return_index=True)[1])]
                later.append((recent, np.arange(1, len(recent) + 1) / (len(recent) + 1)))
                taken[recent] = True
            listed = slice(*further.offsets[q : q + 2])
            items, at = further.items[listed], places[listed]
            free = ~taken[items]
            later.append((items[free], 2.0 + at[free]))
            taken[items] = True
            rest = np.flatnonzero(~taken)[: k - count]
            later.append((rest, 2.0 + n * len(self.parts) + rest))
            items = np.concatenate([items for items, _ in later])[: k - count]
            below = np.concatenate([below for _, below in later])[: k - count]
            rows[row, count : count + len(items)] = items
            scores[row, count : count + len(items)] = lowest[row] - below


_LATE = np.iinfo(np.int64).max


def retrieve(parts: Sequence[Part], histories: Sessions, *, exclude_seen: bool) -> Candidates:
    """The union of the lists of parts for histories in the composite's vocabulary."""
    return merge_lists([part.lists(histories, part.count, exclude_seen=exclude_seen) for part in parts])


@dataclass(frozen=True)
class CompositeRecipe(Settings, ABC):
    """Settings of models whose candidates come from other models.

    candidates  models and how many items each proposes, as in vstan=100,mf=100; empty for a choice by the data. A model
                of the workspace has its own settings, a recipe its defaults
    parts       settings of these models over their defaults, by name; `recipe` among them for a name that is no recipe
    window      share of the training sessions, the last ones, whose questions it learns from
    questions   most questions that are drawn from the window
    """

    name: ClassVar[str]
    SMALL: ClassVar[dict[str, object]] = {"candidates": "sr=3,popular=2", "window": 0.5}
    LEARNED: ClassVar[tuple[str, ...]]  # names of the arrays of `learn`

    candidates: str = ""
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    window: float = field(default=0.1, kw_only=True)
    questions: int = field(default=40_000, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"window": (1e-6, 0.9), "questions": (3, 2**62)})
        if self.candidates:
            parse_candidates(self.candidates)

    @property
    def purpose(self) -> Purpose:
        """What it ranks: "next" items of a history, or items "similar" to one."""
        return "next"

    @abstractmethod
    def check(self) -> None:
        """Raises SettingsError for a missing package; long work calls it first."""

    @abstractmethod
    def learn(
        self, window: Window, parts: Sequence[Part], *, seed: int, threads: int, report: Report
    ) -> tuple[dict[str, np.ndarray], Scorer]:
        """What the questions of a window teach: arrays, and a scorer of the candidates of these parts.

        parts  trained on `window.train`
        """

    @abstractmethod
    def tables(self, sessions: Sessions, parts: Sequence[Part], *, threads: int, report: Report) -> Arrays:
        """Further arrays, of all training sessions and the parts that are trained on them."""

    @abstractmethod
    def scorer(self, vocab: Vocab, parts: Sequence[Part], arrays: Arrays) -> Scorer:
        """The scorer of the arrays of `learn` and `tables`. Raises DataError when they do not fit."""

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        store: PartStore = IN_MEMORY,
    ) -> CompositeModel:
        """Train the parts and what ranks their candidates.

        seed    source of all randomness, also of the parts
        store   keeps trained parts, so that another composite reuses them
        report  called as report("part", name=, window=, seconds=), False for a part on all sessions, as
                report("validation", …) with the figures of `compare_with_parts`, and with "progress" and other events
                of training

        Raises SettingsError for parts that do not exist, DataError for sessions whose last window has no questions.
        """
        check_sessions(sessions)
        self.check()
        settings = self.resolved(sessions)
        window = hold_out_window(sessions, self.window, self.questions, seed=seed, of=self.purpose)
        early = settings._train(store, window.train, seed, threads, report, window=True)
        similar = self.purpose == "similar"
        trained = as_parts(early, window.train.vocab, seed, similar=similar)
        learned, scorer = settings.learn(window, trained, seed=seed, threads=threads, report=report)
        report("validation", **compare_with_parts(window, trained, scorer, threads=threads, seed=seed))
        final = settings._train(store, sessions, seed, threads, report, window=False)
        seen = {"exclude_seen": np.array([window.exclude_seen], dtype=np.uint8)}
        return settings._of_parts(final, {**learned, **seen}, sessions, seed=seed, threads=threads, report=report)

    def renewed(
        self,
        before: CompositeModel,
        parts: Sequence[TrainedPart],
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
    ) -> CompositeModel:
        """A model of this recipe with other versions of its parts; what it has learned about their lists stays.

        before  the model, with this recipe
        parts   in the order of its parts, trained on `sessions`
        """
        learned = {name: before.arrays[name] for name in (*self.LEARNED, "exclude_seen")}
        return self._of_parts(parts, learned, sessions, seed=seed, threads=threads, report=report)

    def _of_parts(
        self,
        trained: Sequence[TrainedPart],
        learned: Arrays,
        sessions: Sessions,
        *,
        seed: int,
        threads: int,
        report: Report,
    ) -> CompositeModel:
        """The model of parts that were trained on sessions, and of what was learned on a window."""
        settings, similar = [part.settings for part in trained], self.purpose == "similar"
        packed = pack_parts([part.model for part in trained], sessions.vocab, seed=seed, similar=similar)
        parts = unpack_parts(settings, sessions.vocab, packed, similar=similar)
        tables = self.tables(sessions, parts, threads=threads, report=report)
        recipe = replace(self, parts=saved_settings(settings)[1])
        model = recipe.from_arrays(sessions.vocab, {**packed, **learned, **tables}).with_threads(threads)
        sources = {str(p): part.source for p, part in enumerate(trained) if part.source is not None}
        return replace(model, sources=sources)

    def resolved(self, sessions: Sessions) -> Any:
        """The same recipe with the candidates and all settings of the parts written out."""
        candidates, settings = saved_settings(self.part_settings(sessions))
        return replace(self, candidates=candidates, parts=settings)

    def part_settings(self, sessions: Sessions) -> list[PartSettings]:
        """The parts for these sessions. Raises SettingsError as `parts.part_settings` does."""
        return part_settings(self.candidates or self.default_candidates(sessions), self.parts)

    def default_candidates(self, sessions: Sessions) -> str:
        """The candidates that suit sessions; see `parts.default_candidates`."""
        return default_candidates(sessions, similar=self.purpose == "similar")

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> CompositeModel:
        """See `ModelSettings.from_arrays`. Raises DataError when the arrays do not fit."""
        settings = part_settings(self.candidates, self.parts)
        parts = unpack_parts(settings, vocab, arrays, similar=self.purpose == "similar")
        seen = arrays["exclude_seen"]
        if seen.shape != (1,) or seen.dtype != np.uint8 or seen[0] > 1:
            raise DataError(f"exclude_seen of a {self.name} model must be one number, 0 or 1")
        return CompositeModel(self, vocab, arrays, parts, self.scorer(vocab, parts, arrays), bool(seen[0]))

    def _train(
        self, store: PartStore, sessions: Sessions, seed: int, threads: int, report: Report, *, window: bool
    ) -> list[TrainedPart]:
        parts = part_settings(self.candidates, self.parts)
        trained = store.train(parts, sessions, seed=seed, threads=threads, report=report, window=window)
        return [_as_trained(part) for part in trained]


def _as_trained(part: TrainedPart) -> TrainedPart:
    """The part with the settings of its model, which may hold what training chose."""
    recipe: Any = part.model.recipe
    return replace(part, settings=replace(part.settings, recipe=recipe))


def as_parts(trained: Sequence[TrainedPart], vocab: Vocab, seed: int, *, similar: bool = False) -> tuple[Part, ...]:
    """Trained parts of the same sessions, as they are in a model of that vocabulary."""
    models: list[Model] = [part.model for part in trained]
    packed = pack_parts(models, vocab, seed=seed, similar=similar)
    return unpack_parts([part.settings for part in trained], vocab, packed, similar=similar)
