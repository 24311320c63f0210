"""Training of rankers: what it learns, when it stops, and what it cannot learn from."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import lightgbm
import numpy as np
import pytest

from embedrec.errors import DataError, SettingsError, TrainingError
from embedrec.ranking import boosting
from embedrec.ranking.boosting import BoostingSettings, LabelledCandidates, train_trees
from embedrec.ranking.trees import Trees
from tests.conftest import read_only

NAMES = ["rank of vstan", "share, 7 days", "größe"]
SMALL = BoostingSettings(trees=8, leaves=7, min_leaf=5, feature_share=0.7, patience=4)


def labelled(seed: int, questions: int = 60, *, noise: float = 0.2) -> LabelledCandidates:
    """The relevant candidate of a question has the largest sum of two features, one of which is often missing."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(2, 30, questions))])
    features = rng.normal(size=(offsets[-1], len(NAMES))).astype(np.float32)
    features[rng.random(offsets[-1]) < 0.3, 0] = np.nan
    truth = np.nan_to_num(features[:, 0]) + features[:, 1] + noise * rng.normal(size=len(features))
    relevant = np.zeros(len(features), np.uint8)
    for start, stop in pairwise(offsets):
        relevant[start + truth[start:stop].argmax()] = 1
    return LabelledCandidates(*map(read_only, (features, relevant, offsets)))


def train(settings: BoostingSettings = SMALL, **options: Any) -> Trees:
    return train_trees(labelled(1), labelled(2), settings, **{"seed": 1, "threads": 1, "names": NAMES, **options})


def mean_reciprocal_rank(scores: np.ndarray, data: LabelledCandidates) -> float:
    ranks = []
    for start, stop in pairwise(data.offsets):
        target = start + data.relevant[start:stop].argmax()
        ranks.append(1 + (scores[start:stop] > scores[target]).sum())
    return float(np.mean(1 / np.array(ranks)))


def test_relevant_candidates_come_first() -> None:
    test = labelled(3)
    scores = train().predict(test.features)
    alone = mean_reciprocal_rank(np.nan_to_num(test.features[:, 1]), test)
    assert mean_reciprocal_rank(scores, test) > max(0.75, alone + 0.1)


def test_the_same_seed_gives_the_same_bytes_at_any_number_of_threads() -> None:
    one = train(threads=1)
    assert train(threads=2).text == one.text
    assert train(seed=2).text != one.text
    assert train(seed=2**63 - 1).features == 3


def test_training_stops_when_validation_no_longer_improves() -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    settings = BoostingSettings(trees=400, patience=3, learning_rate=1.0, leaves=31, min_leaf=1)
    trees = train(settings, report=lambda event, **numbers: events.append((event, numbers)))
    ends = [numbers for event, numbers in events if event == "ranker"]
    assert [numbers["objective"] for numbers in ends] == ["lambdarank", "rank_xendcg"]
    first, second = (numbers["trees"] for numbers in ends)
    assert len(trees) in (first, first + second) and all(0 < numbers["ndcg"] <= 1 for numbers in ends)
    progress = [numbers for event, numbers in events if event == "progress"]
    assert len(progress) + len(ends) + 1 == len(events) and {numbers["total"] for numbers in progress} == {800}
    done = [numbers["done"] for numbers in progress]
    assert done == [*range(1, first + 4), *range(401, 401 + second + 3)]


def test_the_text_names_the_features_and_is_of_lightgbm() -> None:
    trees = train()
    model = lightgbm.Booster(model_str=trees.text.decode())
    assert model.feature_name() == ["f0_rank_of_vstan", "f1_share_7_days", "f2_gr_e"]
    features = labelled(4).features
    assert np.array_equal(trees.predict(features), model.predict(features).astype(np.float32))


def test_the_weight_of_the_second_objective_is_the_best_on_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    valid, offsets = labelled(2), labelled(2).offsets
    events: list[dict[str, Any]] = []
    train(report=lambda event, **numbers: events.append(numbers) if event == "weights" else None)
    scores = {}
    for weight in (*boosting.WEIGHTS, 1000.0):
        monkeypatch.setattr(boosting, "WEIGHTS", (weight,))
        scores[weight] = train().predict(valid.features)

    def quality(scores: np.ndarray) -> float:
        gains = []
        for start, stop in pairwise(offsets):
            target = start + valid.relevant[start:stop].argmax()
            rank = int((scores[start:stop] >= scores[target]).sum())
            gains.append((1 / np.log2(rank + 1) + 1 / rank) if rank <= 20 else 0)
        return float(np.mean(gains))

    def spread(values: np.ndarray) -> float:
        return float(np.concatenate([part - part.mean() for part in np.split(values, offsets[1:-1])]).std())

    first, second = scores[0.0], (scores[1000.0] - scores[0.0]) / 1000
    assert spread(second) == pytest.approx(spread(first), rel=1e-3)
    np.testing.assert_allclose(scores[2.0], first + 2 * second, rtol=1e-3, atol=1e-3)
    best = max((0.0, 0.25, 0.5, 1.0, 2.0), key=lambda weight: quality(first + weight * second))
    assert events == [{"lambdarank": 1.0, "rank_xendcg": best}]


def test_features_that_say_nothing_give_equal_scores() -> None:
    same = LabelledCandidates(np.zeros((20, 1), np.float32), np.tile([1, 0], 10).astype(np.uint8), 2 * np.arange(11))
    trees = train_trees(same, same, SMALL, seed=1, threads=1, names=["f"])
    assert np.unique(trees.predict(same.features)).size == 1


def test_questions_without_relevant_candidates_change_nothing() -> None:
    data = labelled(1)
    more = LabelledCandidates(
        np.concatenate([np.ones((40, 3), np.float32), data.features, np.ones((2, 3), np.float32)]),
        np.concatenate([np.zeros(40, np.uint8), data.relevant, np.ones(2, np.uint8)]),
        np.concatenate([[0, 30], data.offsets + 40, [data.offsets[-1] + 42] * 2]),
    )
    trees = train_trees(more, labelled(2), SMALL, seed=1, threads=1, names=NAMES)
    assert trees.text == train().text


def test_without_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(SettingsError) as error:
        train()
    assert str(error.value) == (
        "training a ranker needs the package lightgbm; install it with `pip install 'embedrec[rank]'`"
    )


@pytest.mark.parametrize("part", ["training", "validation"])
def test_no_question_with_relevant_candidates(part: str) -> None:
    data = labelled(1)
    none = LabelledCandidates(data.features, np.zeros_like(data.relevant), data.offsets)
    pair = (none, data) if part == "training" else (data, none)
    with pytest.raises(DataError) as error:
        train_trees(*pair, SMALL, seed=1, threads=1, names=NAMES)
    assert str(error.value) == (
        f"no question of {part} has both relevant candidates and others among its {len(data.features)} candidates; "
        "take more candidates of each model, or a longer window"
    )


def test_too_many_candidates() -> None:
    many = LabelledCandidates(np.zeros((10_001, 3), np.float32), np.arange(10_001) == 0, np.array([0, 10_001]))
    with pytest.raises(
        DataError, match="a question of training has 10001 candidates, but a ranker learns from at most"
    ):
        train_trees(many, labelled(2), SMALL, seed=1, threads=1, names=NAMES)


def test_what_lightgbm_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise lightgbm.basic.LightGBMError("bad allocation\nmore")

    monkeypatch.setattr(lightgbm, "train", fail)
    with pytest.raises(TrainingError, match=r"^LightGBM cannot train the ranker \(bad allocation\)$"):
        train()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"leaves": 65}, "leaves must be between 2 and 64, but is 65"),
        ({"leaves": 1}, "leaves must be between 2 and 64, but is 1"),
        ({"trees": 0}, "trees must be between 1 and 100000, but is 0"),
        ({"learning_rate": 0.0}, "learning_rate must be between 1e-06 and 1, but is 0.0"),
        ({"feature_share": 1.5}, "feature_share must be between 0.001 and 1, but is 1.5"),
    ],
)  # fmt: skip
def test_settings_out_of_bounds(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}$"):
        BoostingSettings(**values)
