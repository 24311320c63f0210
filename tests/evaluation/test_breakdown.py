"""Tables by kind of question, against twins in plain Python."""

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
from tests.evaluation.told import Told, questions_of, some_vocab

N = 200
TRAIN = of_lists([some_vocab(N).ids, *(some_vocab(N).ids[: N - r] for r in range(N))], some_vocab(N))
METRICS = ("recall@20", "mrr@20")


def evaluated(lengths: list[int], targets: list[list[int]]) -> Evaluation:
    """Items stand in the vocabulary by falling count; histories of these lengths."""
    model = Told(TRAIN.vocab, np.random.default_rng(0).random((len(lengths), N)))
    questions = questions_of([list(range(n)) for n in lengths], targets, TRAIN.vocab)
    return evaluate(model, questions, TRAIN, EvaluationSettings(at=(20,), draws=0))


def slow(kinds: list[str], order: list[str], what: str, result: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for kind in order:
        here = [q for q, k in enumerate(kinds) if k == kind]
        if here:
            means = {m: pytest.approx(float(np.mean([result.values[m][q] for q in here]))) for m in METRICS}
            rows.append({what: kind, "questions": len(here), **means})
    return rows


LENGTHS = ["0", "1", "2", "3", "4", "5-9", "10-19", "20-49", "50+"]


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 9, 10, 19, 20, 49, 50, 77]), min_size=1, max_size=8))
def test_by_length(lengths: list[int]) -> None:
    result = evaluated(lengths, [[q] for q in range(len(lengths))])
    starts = {0: "0", 1: "1", 2: "2", 3: "3", 4: "4", 5: "5-9", 10: "10-19", 20: "20-49", 50: "50+"}
    kinds = [next(label for start, label in reversed(starts.items()) if n >= start) for n in lengths]
    assert list(by_length(result, METRICS)) == slow(kinds, LENGTHS, "length", result)


def test_only_known_items_make_a_history_long() -> None:
    train = of_lists(["ab", "ba"])
    questions = next_items(HeldOut(of_lists(["xyab"]), np.zeros(1)))
    result = evaluate(Popular().fit(train), questions, train, EvaluationSettings(at=(2,), draws=0))
    assert [(row["length"], row["questions"]) for row in by_length(result, ["recall@2"])] == [("0", 2), ("1", 1)]


SHARES = ["most popular 1%", "1-10%", "10-50%", "50-100%", "unknown"]


def share_of(targets: list[int]) -> str:
    """Item r is the most popular but r, of 200."""
    known = [t + 1 for t in targets if t >= 0]
    if not known:
        return SHARES[4]
    place = sum(known) / len(known)
    return SHARES[0] if place <= 2 else SHARES[1] if place <= 20 else SHARES[2] if place <= 100 else SHARES[3]


one = st.sampled_from([-1, 0, 1, 2, 10, 19, 20, 50, 99, 100, 150, 199])


@given(st.lists(st.lists(one, min_size=1, max_size=4, unique=True), min_size=1, max_size=8))
def test_by_popularity(targets: list[list[int]]) -> None:
    result = evaluated([3] * len(targets), targets)
    kinds = [share_of(own) for own in targets]
    assert list(by_popularity(result, TRAIN, METRICS)) == slow(kinds, SHARES, "target", result)


def test_a_metric_without_a_value_in_a_kind() -> None:
    """No item is listed after the first question: the popularity of what is listed has no mean there."""
    vocab = some_vocab(3)
    model = Told(vocab, np.array([[-np.inf] * 3, [1.0, 0.0, 0.0]]))
    questions = questions_of([[0], [0, 1]], [[2], [2]], vocab)
    result = evaluate(model, questions, of_lists([vocab.ids], vocab), EvaluationSettings(at=(1,), draws=0))
    first, second = by_length(result, ["popularity@1"])
    assert np.isnan(first["popularity@1"]) and second["popularity@1"] == 1
