"""Fusion: one list of several, without training beyond weights.

Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009) sums 1 / (60 + rank) over the lists; CombSUM (Fox & Shaw 1994)
sums the scores of each list, normalised to 0 … 1. Both sums are weighted here, with weights that are chosen on the last
window of the training sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import shaped
from embedrec.models.base import Arrays
from embedrec.progress import Report
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.composite import CompositeRecipe, retrieve
from embedrec.ranking.parts import Part
from embedrec.ranking.scorer import Scorer
from embedrec.ranking.window import Purpose, Window, all_histories, relevant_items

_METHODS = ("scores", "rrf")
_GRID = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0)  # weights that are tried, one list at a time
_K = 20
_ROUNDS = 10
_BLOCK = 1024  # questions at a time


@dataclass(frozen=True, eq=False)
class FusionScorer:
    """Weighted sums over lists.

    names     of the parts
    weights   (P,) float32
    by_rank   reciprocal ranks instead of normalised scores
    constant  of reciprocal rank fusion
    """

    names: tuple[str, ...]
    weights: np.ndarray
    by_rank: bool
    constant: float

    def values(self, candidates: Candidates) -> np.ndarray:
        """What each list contributes to each candidate, before weights: (N, P) float32."""
        from embedrec.kernels.fuse_lists import list_values

        values = np.empty(candidates.ranks.shape, dtype=np.float32)
        list_values(candidates.offsets, candidates.ranks, candidates.scores, self.constant, self.by_rank, values)
        return values

    def scores(self, histories: Sessions, candidates: Candidates) -> np.ndarray:
        """See `Scorer.scores`."""
        return (self.values(candidates) * self.weights).sum(axis=1, dtype=np.float64).astype(np.float32)

    def contributions(self, histories: Sessions, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
        """See `Scorer.contributions`: what each part adds."""
        return self.names, (self.values(candidates) * self.weights).astype(np.float64)


@dataclass(frozen=True)
class Fusion(CompositeRecipe):
    """The lists of several models as one: weighted sums of reciprocal ranks, or of normalised scores.

    candidates  models and how many items each proposes, as in vstan=100,mf=100; empty for a choice by the data. A model
                of the workspace has its own settings, a recipe its defaults
    parts       settings of these models over their defaults, by name; `recipe` among them for a name that is no recipe
    method      "rrf" sums reciprocal ranks, "scores" normalised scores, "best" is the one that is better on the window
    weights     of the lists: "learned" on the window, or "equal"
    constant    of reciprocal rank fusion: 1 / (constant + rank)
    window      share of the training sessions, the last ones, whose questions it learns from
    questions   most questions that are drawn from the window
    of          what it ranks: "next" items of a history, or items "similar" to one

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Fusion, Sessions
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]] * 10)
    >>> model = Fusion("sr=10,popular=10").fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]]), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "fusion"
    SPACE: ClassVar[dict[str, str]] = {"method": "best,rrf,scores", "constant": "5..100 log"}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"method": "rrf", "weights": "equal"},)
    LEARNED: ClassVar[tuple[str, ...]] = ("weights", "by_rank")

    method: Literal["best", "rrf", "scores"] = field(default="best", kw_only=True)
    weights: Literal["learned", "equal"] = field(default="learned", kw_only=True)
    constant: float = field(default=60.0, kw_only=True)
    of: Purpose = field(default="next", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"constant": (1e-6, 1e6)})

    @property
    def purpose(self) -> Purpose:
        """See `CompositeRecipe.purpose`."""
        return self.of

    def check(self) -> None:
        """See `CompositeRecipe.check`."""

    def learn(
        self, window: Window, parts: Sequence[Part], *, seed: int, threads: int, report: Report
    ) -> tuple[dict[str, np.ndarray], Scorer]:
        """See `CompositeRecipe.learn`."""
        names = tuple(part.name for part in parts)
        methods = _METHODS if self.method == "best" else (self.method,)
        scorers = [FusionScorer(names, _equal(len(parts)), m == "rrf", self.constant) for m in methods]
        blocks: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in scorers]
        for cases in (window.learning, window.stopping):
            histories, targets = all_histories(cases), relevant_items(cases)
            for start in range(0, len(cases), _BLOCK):
                block = np.arange(start, min(start + _BLOCK, len(cases)))
                candidates = retrieve(parts, histories.take(block), exclude_seen=window.exclude_seen)
                question = candidates.question_of
                hits = np.flatnonzero(candidates.items == targets[block][question])
                target = np.full(len(block), -1, dtype=np.int64)
                target[question[hits]] = hits
                for scorer, own in zip(scorers, blocks, strict=True):
                    own.append((candidates.offsets, scorer.values(candidates), target))
        learned = self.weights == "learned"
        chosen = [_choose(own, len(parts), learned=learned) for own in blocks]
        best = max(range(len(chosen)), key=lambda m: chosen[m][1])
        by_rank = scorers[best].by_rank
        arrays: dict[str, np.ndarray] = {
            "weights": chosen[best][0].astype(np.float32),
            "by_rank": np.array([by_rank], dtype=np.uint8),
        }
        report("fusion", method=methods[best], **dict(zip(names, arrays["weights"].round(4).tolist(), strict=True)))
        return arrays, FusionScorer(names, arrays["weights"], by_rank, self.constant)

    def tables(self, sessions: Sessions, parts: Sequence[Part], *, threads: int, report: Report) -> Arrays:
        """See `CompositeRecipe.tables`: none."""
        return {}

    def scorer(self, vocab: Vocab, parts: Sequence[Part], arrays: Arrays) -> Scorer:
        """See `CompositeRecipe.scorer`."""
        weights = shaped(arrays, "weights", (len(parts),), self.name)
        by_rank = shaped(arrays, "by_rank", (1,), self.name, "uint8")
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise DataError("weights of a fusion model must be finite and not negative, and one above 0")
        return FusionScorer(tuple(part.name for part in parts), weights, bool(by_rank[0]), self.constant)


def _equal(count: int) -> np.ndarray:
    return np.full(count, 1 / count)


def _quality(blocks: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], weights: np.ndarray) -> float:
    """The mean nDCG@20 and reciprocal rank of the targets of all questions, added."""
    from embedrec.kernels.fuse_lists import target_gains

    gains = [sum(target_gains(*block[:2], weights, block[2], _K)) for block in blocks]
    return sum(gains) / max(1, sum(len(block[2]) for block in blocks))


def _choose(
    blocks: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], count: int, *, learned: bool
) -> tuple[np.ndarray, float]:
    """Weights (P,), and their quality: the best of a coordinate search, or equal ones.

    The search starts from equal weights and from each list alone.
    """
    if not learned:
        return _equal(count), _quality(blocks, _equal(count))
    starts = [_equal(count), *np.eye(count)]
    quality, weights = max(((_quality(blocks, start), start) for start in starts), key=lambda pair: pair[0])
    for _ in range(_ROUNDS):
        before = quality
        for p in range(count):
            for weight in _GRID:
                tried = weights.copy()
                tried[p] = weight * max(weights.max(), 1e-9)
                if not tried.any():
                    continue
                value = _quality(blocks, tried / tried.sum())
                if value > quality:
                    quality, weights = value, tried / tried.sum()
        if quality - before < 1e-5:
            break
    return weights, quality
