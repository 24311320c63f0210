from __future__ import annotations

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from embedrec.evaluation.paired_differences import differences
from embedrec.models.baselines.popular import Popular
from embedrec.models.baselines.random import Random
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import LastItem, Tail
from embedrec.splitting.test_cases import next_items
from tests.conftest import tiny_sessions

SPLIT = LastItem().split(tiny_sessions())
TERMS = EvaluationSettings(at=(1, 3), draws=200)


def evaluate_model(
    model: str = "popular", settings: EvaluationSettings = TERMS, test: HeldOut = SPLIT.test
) -> Evaluation:
    recipe = Popular() if model == "popular" else Random()
    return evaluate(recipe.fit(SPLIT.train), next_items(test), SPLIT.train, settings)


def test_differences_of_a_model_with_itself_are_0() -> None:
    one = evaluate_model()
    result = differences(one, evaluate_model())
    assert [d.metric for d in result] == list(one.values)
    assert all((d.value, d.low, d.high, d.excludes_zero) == (0, 0, 0, False) for d in result)


def test_intervals_are_paired() -> None:
    """The interval is that of the differences per test case, with the same resamples."""
    one, other = evaluate_model(), evaluate_model("random")
    for d, back in zip(differences(one, other), differences(other, one), strict=True):
        gap = one.values[d.metric] - other.values[d.metric]
        assert d.value == pytest.approx(one.metrics[d.metric] - other.metrics[d.metric]) == pytest.approx(gap.mean())
        assert d.low is not None and d.high is not None and back.low is not None and back.high is not None
        assert gap.min() - 1e-9 <= d.low <= d.value <= d.high <= gap.max() + 1e-9
        assert (back.value, back.low, back.high) == pytest.approx((-d.value, -d.high, -d.low))
        assert d.excludes_zero == (d.low > 0 or d.high < 0)
    wide = np.ptp(one.intervals["recall@3"]) + np.ptp(other.intervals["recall@3"])
    recall = next(d for d in differences(one, other) if d.metric == "recall@3")
    assert recall.high is not None and recall.low is not None and recall.high - recall.low < wide


def test_without_draws_there_are_no_intervals() -> None:
    settings = EvaluationSettings(at=(1, 3), draws=0)
    result = differences(evaluate_model(settings=settings), evaluate_model("random", settings))
    assert all(d.low is None and d.high is None and not d.excludes_zero for d in result)
    assert any(d.value for d in result)


def test_other_settings_or_test_cases_are_refused() -> None:
    message = "a comparison needs the same test cases and settings of both models; evaluate both again"
    other_part = Tail(0.5).split(tiny_sessions()).test
    as_many = SPLIT.test.sessions.take(np.arange(len(SPLIT.test))[::-1])
    others = [
        evaluate_model(settings=EvaluationSettings(at=(1, 3), draws=200, seed=1)),
        evaluate_model(settings=EvaluationSettings(at=(3,), draws=200)),
        evaluate_model(test=other_part),
        evaluate_model(test=HeldOut(as_many, as_many.lengths - 1)),  # as many test cases, but others
    ]
    for other in others:
        with pytest.raises(DataError) as error:
            differences(evaluate_model(), other)
        assert str(error.value) == message
