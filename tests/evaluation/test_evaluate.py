from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate, reindex_test_cases
from embedrec.evaluation.target_ranks import rank
from embedrec.models.baselines.popular import Popular
from embedrec.models.baselines.rules import AssociationRules
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import LastItem
from embedrec.splitting.test_cases import next_items, remaining_items
from embedrec.workflows.compare import metric_names
from tests.conftest import of_lists, tiny_sessions
from tests.evaluation.scored_model import Case, ScoredModel, cases, make_test_cases, numbered_vocab


def test_metrics_of_popular_by_hand() -> None:
    train, test = LastItem().split(of_lists(["aab", "aba", "bca", "xb"]))
    # trained on aa, ab, bc, x: a 3, b 2, c 1, x 1; test cases aa → b, ab → a, bc → a, x → b
    test_cases = next_items(test, "last")
    model = Popular().fit(train)
    result = evaluate(model, test_cases, train, EvaluationSettings(at=(1, 4), exclude_seen=True, draws=0))
    assert result.ranks.tolist() == [1, np.inf, 1, 2]
    assert result.metrics["hit_rate@1"] == 2 / 4 and result.metrics["mrr@4"] == (1 + 1 + 1 / 2) / 4
    seen = evaluate(model, test_cases, train, EvaluationSettings(at=(4,), exclude_seen=False, draws=0))
    assert seen.ranks.tolist() == [2, 1, 1, 2]
    assert train.vocab.ids[seen.lists].tolist() == [["a", "b", "c", "x"]] * 4
    assert seen.scores.tolist() == [[3, 2, 1, 1]] * 4
    assert seen.intervals == {}


@given(cases(), st.sampled_from([(1,), (2, 5), (1, 3, 9)]), st.booleans())
def test_metrics_are_those_of_the_ranks(case: Case, at: tuple[int, ...], exclude_seen: bool) -> None:
    train, test_cases = case.train(), case.test_cases()
    settings = EvaluationSettings(at=at, exclude_seen=exclude_seen, draws=20)
    if at[-1] > case.n:
        with pytest.raises(SettingsError) as error:
            evaluate(case.model(), test_cases, train, settings)
        assert (
            str(error.value) == f"lists of {at[-1]} are longer than the catalogue of {case.n} items; use shorter ones"
        )
        return
    result = evaluate(case.model(), test_cases, train, settings)
    ranks = rank(case.model(), test_cases, case.n, exclude_seen=exclude_seen).ranks
    for key, column in ranked_metrics(ranks, test_cases.offsets, at).items():
        assert result.values[key].tolist() == column.tolist(), key
        assert result.metrics[key] == pytest.approx(float(column.mean()))
        low, high = result.intervals[key]
        assert column.min() - 1e-9 <= low <= high <= column.max() + 1e-9
    assert list(result.metrics) == [*result.values, *result.aggregate] == metric_names(settings, labelled=False)
    assert result.lists.shape[0] == len(test_cases) and result.lists.shape[1] >= at[-1]
    assert ((result.lists < 0) == np.isneginf(result.scores)).all()


def test_a_model_with_fewer_and_other_items() -> None:
    """The model knows c, z, a; training knows a to d: z uses a position, but is in no list; d is never recommended."""
    train = of_lists(["abcd", "abc"])
    model = ScoredModel(Vocab(["c", "z", "a"]), np.array([[3.0, 2.0, 1.0]] * 3))
    test_cases = next_items(HeldOut(of_lists(["bacd"]), np.zeros(1)))  # b → a, ba → c, bac → d
    result = evaluate(model, test_cases, train, EvaluationSettings(at=(4,), exclude_seen=False, draws=0))
    assert result.ranks.tolist() == [3, 1, np.inf]
    rows = train.vocab.rows(["c", "a"]).tolist()
    assert [[i for i in own if i >= 0] for own in result.lists.tolist()] == [rows] * 3
    assert result.metrics["coverage@4"] == 2 / 4


def test_unknown_targets_are_misses_or_dropped() -> None:
    train = of_lists(["ab", "ab", "ba"])
    test = HeldOut(of_lists(["axb", "xy", "ab"]), np.zeros(3))
    test_cases = remaining_items(test, 1)  # a → x, b; x → y; a → b
    model = Popular().fit(train)
    miss = evaluate(model, test_cases, train, EvaluationSettings(at=(2,), exclude_seen=True, draws=0))
    assert len(miss.test_cases) == 3 and miss.test_cases.targets.tolist().count(-1) == 2
    assert miss.values["recall@2"].tolist() == [1 / 2, 0, 1]
    drop = evaluate(model, test_cases, train, EvaluationSettings(at=(2,), exclude_seen=True, unknown="drop", draws=0))
    assert drop.values["recall@2"].tolist() == [1, 1]
    assert drop.test_cases.session.tolist() == [0, 2]


@pytest.mark.parametrize("unknown", ["miss", "drop"])
def test_only_unknown_targets_are_misses_or_an_error(unknown: Any) -> None:
    train = of_lists(["ab", "ba"])
    test_cases = next_items(HeldOut(of_lists([[1, 2], [3, 4]]), np.zeros(2)))
    settings = EvaluationSettings(at=(1, 2), unknown=unknown, draws=10)
    if unknown == "drop":
        with pytest.raises(DataError) as error:
            evaluate(Popular().fit(train), test_cases, train, settings)
        assert str(error.value) == "no test case is left, as training knows none of the targets; check the split"
        return
    result = evaluate(Popular().fit(train), test_cases, train, settings)
    assert result.metrics["recall@2"] == 0 and result.intervals["recall@2"] == (0, 0)
    assert result.metrics["coverage@2"] == 1  # the lists are not empty


def test_metrics_of_empty_lists_are_undefined() -> None:
    """Rules recommend nothing for unknown histories, so that metrics of listed items have no value."""
    train = of_lists(["abc", "bca"])
    test_cases = next_items(HeldOut(of_lists(["xa", "yb"]), np.zeros(2)))
    result = evaluate(AssociationRules().fit(train), test_cases, train, EvaluationSettings(at=(1, 3), draws=10))
    assert (result.lists == -1).all() and result.metrics["recall@3"] == 0 == result.metrics["coverage@3"]
    assert isnan(result.metrics["popularity@3"]) and isnan(result.metrics["diversity@3"])
    assert all(isnan(end) for end in result.intervals["novelty@3"])


def test_more_targets_than_list_positions() -> None:
    """R-precision uses as many positions as targets."""
    vocab = numbered_vocab(10)
    model = ScoredModel(vocab, -np.arange(10.0)[None])
    test_cases = make_test_cases([[]], [[0, 2, 4, 6]], vocab)
    train = of_lists([vocab.ids], vocab)
    result = evaluate(model, test_cases, train, EvaluationSettings(at=(1,), draws=0))
    assert result.metrics["r_precision"] == 2 / 4 and result.metrics["precision@1"] == 1


def test_cases_of_one_session_are_resampled_together() -> None:
    """Two sessions, one all hits and one all misses: a resample holds hits only, or half, or none."""
    train = of_lists(["abcd", "abcd"])
    scores = np.zeros((6, 4))
    test_cases = next_items(HeldOut(of_lists(["abcd", "dcba"]), np.zeros(2)))
    recoded = reindex_test_cases(test_cases, train, EvaluationSettings())
    scores[np.arange(3), recoded.targets[:3]] = 1
    scores[np.arange(3, 6), recoded.targets[3:]] = -1
    result = evaluate(ScoredModel(train.vocab, scores), test_cases, train, EvaluationSettings(at=(1,), draws=100))
    column = list(result.values).index("hit_rate@1")
    assert set(result.resampled[:, column].tolist()) == {0.0, 0.5, 1.0}


@pytest.mark.parametrize(("at", "expected"), [((20, 5, 5, 1), (1, 5, 20)), ((3,), (3,))])
def test_list_lengths_are_sorted(at: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert EvaluationSettings(at=at).at == expected


@pytest.mark.parametrize("at", [(), (0,), (5, -1)])
def test_invalid_list_lengths_are_refused(at: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError) as error:
        EvaluationSettings(at=at)
    assert str(error.value) == f"list lengths must be at least 1, but are {at}"


def test_the_same_seed_gives_the_same_intervals() -> None:
    train, test = LastItem().split(tiny_sessions())

    def run(seed: int) -> Evaluation:
        return evaluate(
            Popular().fit(train), next_items(test), train, EvaluationSettings(at=(1, 3), draws=50, seed=seed)
        )

    assert run(1).intervals == run(1).intervals != run(2).intervals
    assert run(1).metrics == run(1).metrics


def test_metrics_become_frames() -> None:
    train, test = LastItem().split(tiny_sessions())
    result = evaluate(Popular().fit(train), next_items(test), train, EvaluationSettings(at=(1, 3), draws=20))
    figures = result.to_frame()
    lengths = ["" if np.isnan(k) else f"@{k:.0f}" for k in figures["k"]]
    assert [*(figures["metric"] + lengths)] == [*result.metrics]
    assert figures["value"].tolist() == pytest.approx([*result.metrics.values()], nan_ok=True)
    recall = figures[(figures["metric"] == "recall") & (figures["k"] == 3)].iloc[0]
    assert (recall["low"], recall["high"]) == result.intervals["recall@3"]
    assert figures[figures["metric"] == "coverage"]["low"].isna().all()
    each = result.cases_to_frame()
    assert list(each) == ["session", "history", *result.values]
    assert each["session"].tolist() == result.test_cases.sessions.ids[result.test_cases.session].tolist()
    assert each["recall@3"].mean() == pytest.approx(result.metrics["recall@3"])
    none = evaluate(Popular().fit(train), next_items(test), train, EvaluationSettings(at=(1,), draws=0))
    assert none.to_arrow()["low"].null_count == len(none.metrics)
