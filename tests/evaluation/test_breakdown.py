"""Metrics by kind of test case against slow references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.evaluation.breakdown import by_length, by_popularity
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import next_items
from tests.conftest import of_lists
from tests.evaluation.scored_model import ScoredModel, make_test_cases, numbered_vocab

N = 200
TRAIN = of_lists([numbered_vocab(N).ids, *(numbered_vocab(N).ids[: N - r] for r in range(N))], numbered_vocab(N))
METRICS = ("recall@20", "mrr@20")


def evaluate_random(lengths: list[int], targets: list[list[int]]) -> Evaluation:
    """The evaluation of random scores for histories of these lengths; item counts descend with the row."""
    model = ScoredModel(TRAIN.vocab, np.random.default_rng(0).random((len(lengths), N)))
    test_cases = make_test_cases([list(range(n)) for n in lengths], targets, TRAIN.vocab)
    return evaluate(model, test_cases, TRAIN, EvaluationSettings(at=(20,), draws=0))


def slow(kinds: list[str], order: list[str], what: str, result: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for kind in order:
        members = [q for q, k in enumerate(kinds) if k == kind]
        if members:
            means = {m: pytest.approx(float(np.mean([result.values[m][q] for q in members]))) for m in METRICS}
            rows.append({what: kind, "questions": len(members), **means})
    return rows


LENGTHS = ["0", "1", "2", "3", "4", "5-9", "10-19", "20-49", "50+"]


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 9, 10, 19, 20, 49, 50, 77]), min_size=1, max_size=8))
def test_metrics_by_length_equal_a_slow_reference(lengths: list[int]) -> None:
    result = evaluate_random(lengths, [[q] for q in range(len(lengths))])
    starts = {0: "0", 1: "1", 2: "2", 3: "3", 4: "4", 5: "5-9", 10: "10-19", 20: "20-49", 50: "50+"}
    kinds = [next(label for start, label in reversed(starts.items()) if n >= start) for n in lengths]
    assert list(by_length(result, METRICS)) == slow(kinds, LENGTHS, "length", result)


def test_unknown_items_do_not_count_as_history() -> None:
    train = of_lists(["ab", "ba"])
    test_cases = next_items(HeldOut(of_lists(["xyab"]), np.zeros(1)))
    result = evaluate(Popular().fit(train), test_cases, train, EvaluationSettings(at=(2,), draws=0))
    assert [(row["length"], row["questions"]) for row in by_length(result, ["recall@2"])] == [("0", 2), ("1", 1)]


SHARES = ["most popular 1%", "1-10%", "10-50%", "50-100%", "unknown"]


def share_of(targets: list[int]) -> str:
    """The label of targets, where item r of 200 has popularity rank r + 1."""
    known = [t + 1 for t in targets if t >= 0]
    if not known:
        return SHARES[4]
    place = sum(known) / len(known)
    return SHARES[0] if place <= 2 else SHARES[1] if place <= 20 else SHARES[2] if place <= 100 else SHARES[3]


one = st.sampled_from([-1, 0, 1, 2, 10, 19, 20, 50, 99, 100, 150, 199])


@given(st.lists(st.lists(one, min_size=1, max_size=4, unique=True), min_size=1, max_size=8))
def test_metrics_by_popularity_equal_a_slow_reference(targets: list[list[int]]) -> None:
    result = evaluate_random([3] * len(targets), targets)
    kinds = [share_of(own) for own in targets]
    assert list(by_popularity(result, TRAIN, METRICS)) == slow(kinds, SHARES, "target", result)


def test_a_metric_may_be_undefined_in_a_group() -> None:
    """The list of the first test case is empty, so its popularity has no mean."""
    vocab = numbered_vocab(3)
    model = ScoredModel(vocab, np.array([[-np.inf] * 3, [1.0, 0.0, 0.0]]))
    test_cases = make_test_cases([[0], [0, 1]], [[2], [2]], vocab)
    result = evaluate(model, test_cases, of_lists([vocab.ids], vocab), EvaluationSettings(at=(1,), draws=0))
    first, second = by_length(result, ["popularity@1"])
    assert np.isnan(first["popularity@1"]) and second["popularity@1"] == 1
