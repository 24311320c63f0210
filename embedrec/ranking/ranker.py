"""The ranker: several models propose items, and trees rank them by features of item, history and proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, need_package
from embedrec.models.base import Arrays, Model
from embedrec.progress import Report
from embedrec.ranking.boosting import BoostingSettings, LabelledCandidates, train_trees
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.composite import CompositeRecipe, retrieve
from embedrec.ranking.features import FeatureTables
from embedrec.ranking.parts import Part
from embedrec.ranking.scorer import Scorer
from embedrec.ranking.trees import Trees
from embedrec.ranking.window import Window, all_histories, relevant_items
from embedrec.splitting.test_cases import TestCases

_PREFIX = "features."  # of the names of the arrays of tables
_BLOCK = 512  # questions at a time
_STOPPING = 200  # candidates beside the target of a question that says when to stop


@dataclass(frozen=True, eq=False)
class TreeScorer:
    """Scores candidates by trees over their features."""

    tables: FeatureTables
    trees: Trees

    def scores(self, histories: Sessions, candidates: Candidates) -> np.ndarray:
        """See `Scorer.scores`."""
        return self.trees.predict(self.tables.compute(histories, candidates))

    def contributions(self, histories: Sessions, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
        """See `Scorer.contributions`. Raises SettingsError if LightGBM is not installed."""
        return self.tables.names, self.trees.contributions(self.tables.compute(histories, candidates))[:, :-1]


@dataclass(frozen=True)
class Ranker(BoostingSettings, CompositeRecipe):
    """Items that several models propose, ranked by trees: the sum of LambdaMART (Burges 2010) and XE-NDCG (Bruch 2021),
    trained with LightGBM (Ke et al. 2017).

    The parts and the features of the questions are of the sessions before the last window, so that the ranker learns
    from questions that neither has seen; then both are trained again on all sessions.

    candidates     models and how many items each proposes, as in vstan=100,mf=100; empty for a choice by the data. A
                   model of the workspace has its own settings, a recipe its defaults
    parts          settings of these models over their defaults, by name; `recipe` among them for a name that is no
                   recipe
    trees          most trees of an objective
    patience       stop after this many trees without improvement of the nDCG@20 of later questions, and use the best
                   number
    leaves         most leaves of a tree, up to 64
    min_leaf       fewest candidates in a leaf
    learning_rate  factor of each tree
    feature_share  share of the features that a tree uses, drawn at random
    truncation     of LambdaMART: pairs of candidates count if one of them is among this many first
    window         share of the training sessions, the last ones, whose questions it learns from
    questions      most questions that are drawn from the window
    negatives      candidates beside the target that a question teaches, drawn at random

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Ranker, Sessions
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]] * 20)
    >>> model = Ranker("sr=10,popular=10").fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]]), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "ranker"
    SPACE: ClassVar[dict[str, str]] = {
        "learning_rate": "0.02..0.2 log",
        "leaves": "8..64 log",
        "min_leaf": "10..500 log",
        "feature_share": "0.3..1",
    }
    SMALL: ClassVar[dict[str, object]] = {**CompositeRecipe.SMALL, "trees": 5, "min_leaf": 1, "leaves": 4}
    LEARNED: ClassVar[tuple[str, ...]] = ("trees",)

    questions: int = field(default=80_000, kw_only=True)
    negatives: int = field(default=60, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"negatives": (1, 10_000)})

    def check(self) -> None:
        """See `CompositeRecipe.check`."""
        need_package("lightgbm", "training a ranker")

    def learn(
        self, window: Window, parts: Sequence[Part], *, seed: int, threads: int, report: Report
    ) -> tuple[dict[str, np.ndarray], Scorer]:
        """See `CompositeRecipe.learn`."""
        tables = FeatureTables.fit(window.train, _named(parts), threads=threads, report=report)
        train, valid = (
            _label(tables, parts, cases, window.exclude_seen, negatives, seed=seed, threads=threads)
            for cases, negatives in (
                (window.learning, self.negatives),
                (window.stopping, max(self.negatives, _STOPPING)),
            )
        )
        trees = train_trees(train, valid, self, seed=seed, threads=threads, names=tables.names, report=report)
        return {"trees": np.frombuffer(trees.text, dtype=np.uint8)}, TreeScorer(tables, trees)

    def tables(self, sessions: Sessions, parts: Sequence[Part], *, threads: int, report: Report) -> Arrays:
        """See `CompositeRecipe.tables`: what features are computed from."""
        tables = FeatureTables.fit(sessions, _named(parts), threads=threads, report=report)
        return {f"{_PREFIX}{name}": array for name, array in tables.arrays.items()}

    def scorer(self, vocab: Vocab, parts: Sequence[Part], arrays: Arrays) -> Scorer:
        """See `CompositeRecipe.scorer`."""
        own = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
        tables = FeatureTables.from_arrays(vocab, _named(parts), own)
        text = arrays["trees"]
        if text.dtype != np.uint8 or text.ndim != 1:
            raise DataError(f"trees of a ranker must be bytes, but are {text.dtype} of shape {text.shape}")
        return TreeScorer(tables, Trees.parse(text.tobytes(), features=len(tables.names)))


def _named(parts: Sequence[Part]) -> list[tuple[str, Model]]:
    return [(part.name, part.model) for part in parts]


def _label(
    tables: FeatureTables,
    parts: Sequence[Part],
    cases: TestCases,
    exclude_seen: bool,
    negatives: int,
    *,
    seed: int,
    threads: int,
) -> LabelledCandidates:
    """The candidates of the questions whose target is one of them, with features.

    negatives  most other candidates of a question, drawn at random
    """
    histories, targets, rng = all_histories(cases), relevant_items(cases), np.random.default_rng(seed)
    features = [np.zeros((0, len(tables.names)), dtype=np.float32)]
    relevant, sizes = [np.zeros(0, dtype=np.uint8)], [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(cases), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(cases)))
        candidates = retrieve(parts, histories.take(block), exclude_seen=exclude_seen)
        hit = candidates.items == targets[block][candidates.question_of]
        answered = np.bincount(candidates.question_of[hit], minlength=len(block)) > 0
        useful = answered[candidates.question_of]
        candidates, hit = candidates.filter(useful), hit[useful]
        values = tables.compute(histories.take(block), candidates, threads=threads)
        keep = hit | _sample(candidates, negatives, rng)
        features.append(values[keep])
        relevant.append(hit[keep].astype(np.uint8))
        sizes.append(np.bincount(candidates.question_of[keep], minlength=len(block)))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
    return LabelledCandidates(np.concatenate(features), np.concatenate(relevant), offsets)


def _sample(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
    """A mask (N,) of `count` candidates of each question, drawn at random; of all if there are no more."""
    order = np.lexsort((rng.random(len(candidates.items)), candidates.question_of))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - candidates.offsets[candidates.question_of]
    return place < count
