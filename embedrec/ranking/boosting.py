"""Trees that rank the candidates of a question, trained with LightGBM (Ke et al. 2017) by two objectives.

LambdaMART (Burges 2010) is often better in recall, XE-NDCG (Bruch 2021), a cross-entropy over the candidates, in MRR,
and the sum of both better than either. The weight of XE-NDCG is chosen on validation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.errors import DataError, TrainingError, need_package, reason
from embedrec.progress import Report, quiet
from embedrec.ranking.join_trees import join_trees
from embedrec.ranking.trees import MOST_LEAVES, Trees

OBJECTIVES = ("lambdarank", "rank_xendcg")
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)  # of the second beside the first, at equal spread of scores
CUTOFF = 20  # of the nDCG on which training stops
_MOST_CANDIDATES = 10_000  # of a question, in LightGBM


@dataclass(frozen=True, eq=False)
class LabelledCandidates:
    """N candidates of Q questions with F features.

    features  (N, F) float32, NaN for missing
    relevant  (N,) uint8: 1 for the items that the question asks for, else 0
    offsets   (Q+1,) int64: the candidates of question q are rows offsets[q] … offsets[q + 1] − 1
    """

    features: np.ndarray
    relevant: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class BoostingSettings(Settings):
    """Size of the trees and speed of learning.

    trees          most trees of an objective
    patience       stop after this many trees without improvement of the nDCG@20 of validation, and use the best number
    leaves         most leaves of a tree, up to 64
    min_leaf       fewest candidates in a leaf
    learning_rate  factor of each tree
    feature_share  share of the features that a tree uses, drawn at random
    truncation     of LambdaMART: pairs of candidates count if one of them is among this many first

    Raises SettingsError for values that are not allowed.
    """

    trees: int = 500
    patience: int = 30
    leaves: int = 31
    min_leaf: int = 200
    learning_rate: float = 0.1
    feature_share: float = 0.7
    truncation: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)


_BOUNDS = {
    "trees": (1, 100_000), "patience": (1, 100_000), "leaves": (2, MOST_LEAVES), "min_leaf": (1, np.inf),
    "learning_rate": (1e-6, 1), "feature_share": (1e-3, 1), "truncation": (1, _MOST_CANDIDATES),
}  # fmt: skip


def train_trees(
    train: LabelledCandidates,
    valid: LabelledCandidates,
    settings: BoostingSettings,
    *,
    seed: int,
    threads: int,
    names: Sequence[str],
    report: Report = quiet,
) -> Trees:
    """Trees whose score ranks relevant candidates first: of each objective as many as rank `valid` best.

    names    of the F features, for whoever reads the text of the trees
    seed     source of all randomness; the same seed gives the same bytes at any number of threads
    report   called as report("progress", done=, total=, unit="trees") after each tree, and at the end of each objective
             as report("ranker", objective=, trees=, ndcg=) with the nDCG@20 of the validation questions whose relevant
             items are among their candidates; then as report("weights", lambdarank=, rank_xendcg=)

    Raises SettingsError if LightGBM is not installed, DataError without a question in `train` and in `valid` that has
    relevant candidates and others, or with more than 10,000 candidates, TrainingError if LightGBM fails.
    """
    need_package("lightgbm", "training a ranker")
    import lightgbm

    train, valid = _informative(train, "training"), _informative(valid, "validation")
    labels = [f"f{number}_{re.sub('[^A-Za-z0-9]+', '_', name)}".strip("_") for number, name in enumerate(names)]
    # seconds of training matter less than the same bytes from any number of threads
    parameters = {
        "metric": "ndcg",
        "eval_at": [CUTOFF],
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_leaf,
        "learning_rate": settings.learning_rate,
        "feature_fraction": settings.feature_share,
        "lambdarank_truncation_level": settings.truncation,
        "seed": seed % (2**31 - 1),
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    texts: list[str] = []
    scores: list[np.ndarray] = []  # of `valid`
    try:
        data = _dataset(train, labels, parameters)
        held_out = _dataset(valid, labels, parameters, reference=data)
        for objective in OBJECTIVES:
            gains: list[float] = []

            def after_tree(state: Any, gains: list[float] = gains, before: int = len(texts)) -> None:
                gains.append(state.evaluation_result_list[0][2])
                done, total = before * settings.trees + len(gains), len(OBJECTIVES) * settings.trees
                report("progress", done=done, total=total, unit="trees")

            stop = lightgbm.early_stopping(settings.patience, verbose=False)
            own = {**parameters, "objective": objective}
            booster = lightgbm.train(own, data, settings.trees, [held_out], callbacks=[after_tree, stop])
            texts.append(booster.model_to_string(num_iteration=booster.best_iteration or -1))
            scores.append(booster.predict(valid.features, num_threads=threads))
            report("ranker", objective=objective, trees=int(np.argmax(gains)) + 1, ndcg=max(gains))
    except lightgbm.basic.LightGBMError as e:
        raise TrainingError(f"LightGBM cannot train the ranker ({reason(e)})") from e
    first, second = (_spread(each, valid.offsets) for each in scores)
    scale = first / second if first > 0 and second > 0 else 1.0
    weight = max(WEIGHTS, key=lambda weight: _quality(scores[0] + weight * scale * scores[1], valid))
    report("weights", **dict(zip(OBJECTIVES, (1.0, weight), strict=True)))
    text = join_trees(texts, [1.0, weight * scale]) if weight else join_trees(texts[:1], [1.0])
    return Trees.parse(text, features=train.features.shape[1])


def _quality(scores: np.ndarray, part: LabelledCandidates) -> float:
    """The mean of nDCG@20 and reciprocal rank of the first relevant candidate, added; candidates of equal score rank
    before it. Every question has one; scores (N,)."""
    question = np.repeat(np.arange(len(part.offsets) - 1), np.diff(part.offsets))
    relevant, own = part.relevant > 0, np.full(len(part.offsets) - 1, -np.inf)
    np.maximum.at(own, question[relevant], scores[relevant])
    ranks = np.bincount(question[scores >= own[question]], minlength=len(own))
    return float(np.mean(np.where(ranks <= CUTOFF, 1 / np.log2(ranks + 1) + 1 / ranks, 0)))


def _spread(scores: np.ndarray, offsets: np.ndarray) -> float:
    """The root of the mean squared difference of scores (N,) from the mean of their question; offsets (Q+1,)."""
    sizes = np.diff(offsets)
    means = np.add.reduceat(scores, offsets[:-1]) / sizes
    return float(np.sqrt(np.mean((scores - np.repeat(means, sizes)) ** 2)))


def _dataset(part: LabelledCandidates, names: list[str], parameters: dict[str, Any], reference: Any = None) -> Any:
    from lightgbm import Dataset

    return Dataset(
        part.features,
        part.relevant,
        reference,
        group=np.diff(part.offsets),
        feature_name=names,
        categorical_feature=[],
        params=parameters,
    )


def _informative(part: LabelledCandidates, name: str) -> LabelledCandidates:
    """The questions that have relevant candidates and others; no other question changes a ranker."""
    sizes = np.diff(part.offsets)
    if sizes.max(initial=0) > _MOST_CANDIDATES:
        raise DataError(
            f"a question of {name} has {sizes.max()} candidates, but a ranker learns from at most {_MOST_CANDIDATES}; "
            "take fewer candidates of each model"
        )
    before = np.concatenate([[0], np.cumsum(part.relevant, dtype=np.int64)])
    relevant = np.diff(before[part.offsets])
    useful = (relevant > 0) & (relevant < sizes)
    if not useful.any():
        raise DataError(
            f"no question of {name} has both relevant candidates and others among its {sizes.sum()} candidates; "
            "take more candidates of each model, or a longer window"
        )
    if useful.all():
        return part
    rows = np.repeat(useful, sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes[useful])])
    return LabelledCandidates(part.features[rows], part.relevant[rows], offsets)
