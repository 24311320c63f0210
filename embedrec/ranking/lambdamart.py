"""LambdaMART (Burges 2010), trained with LightGBM (Ke et al. 2017): trees that rank the candidates of a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.errors import DataError, TrainingError, need_package, reason
from embedrec.progress import Report, quiet
from embedrec.ranking.trees import MOST_LEAVES, Trees

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
class LambdaMARTSettings(Settings):
    """Size of the trees and speed of learning.

    trees          most trees
    patience       stop after this many trees without improvement of the nDCG@20 of validation, and use the best number
    leaves         most leaves of a tree, up to 64
    min_leaf       fewest candidates in a leaf
    learning_rate  factor of each tree
    feature_share  share of the features that a tree uses, drawn at random
    truncation     pairs of candidates count if one of them is among this many first

    Raises SettingsError for values that are not allowed.
    """

    trees: int = 500
    patience: int = 30
    leaves: int = 31
    min_leaf: int = 200
    learning_rate: float = 0.05
    feature_share: float = 0.7
    truncation: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)


_BOUNDS = {
    "trees": (1, 100_000), "patience": (1, 100_000), "leaves": (2, MOST_LEAVES), "min_leaf": (1, np.inf),
    "learning_rate": (1e-6, 1), "feature_share": (1e-3, 1), "truncation": (1, _MOST_CANDIDATES),
}  # fmt: skip


def train_lambdamart(
    train: LabelledCandidates,
    valid: LabelledCandidates,
    settings: LambdaMARTSettings,
    *,
    seed: int,
    threads: int,
    names: Sequence[str],
    report: Report = quiet,
) -> Trees:
    """Trees whose score ranks relevant candidates first, of as many trees as `valid` ranks best with.

    names    of the F features, for whoever reads the text of the trees
    seed     source of all randomness; the same seed gives the same bytes at any number of threads
    report   called as report("progress", done=, total=, unit="trees") after each tree, and at the end as
             report("ranker", trees=, ndcg=) with the nDCG@20 of the validation questions whose relevant items are among
             their candidates

    Raises SettingsError if LightGBM is not installed, DataError without a question in `train` and in `valid` that has
    relevant candidates and others, or with more than 10,000 candidates, TrainingError if LightGBM fails.
    """
    need_package("lightgbm", "training a ranker")
    import lightgbm

    train, valid = _informative(train, "training"), _informative(valid, "validation")
    labels = [f"f{number}_{re.sub('[^A-Za-z0-9]+', '_', name)}".strip("_") for number, name in enumerate(names)]
    # seconds of training matter less than the same bytes from any number of threads
    parameters = {
        "objective": "lambdarank",
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
    scores: list[float] = []

    def after_tree(state: Any) -> None:
        scores.append(state.evaluation_result_list[0][2])
        report("progress", done=len(scores), total=settings.trees, unit="trees")

    try:
        data = _dataset(train, labels, parameters)
        held_out = _dataset(valid, labels, parameters, reference=data)
        stop = lightgbm.early_stopping(settings.patience, verbose=False)
        booster = lightgbm.train(parameters, data, settings.trees, [held_out], callbacks=[after_tree, stop])
        text = booster.model_to_string(num_iteration=booster.best_iteration or -1)
    except lightgbm.basic.LightGBMError as e:
        raise TrainingError(f"LightGBM cannot train the ranker ({reason(e)})") from e
    report("ranker", trees=int(np.argmax(scores)) + 1, ndcg=max(scores))
    content, end, _ = text.partition("end of trees\n")  # importances and parameters follow
    return Trees.parse(f"{content}{end}".encode(), features=train.features.shape[1])


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
