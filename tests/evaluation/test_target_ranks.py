"""Ranks of targets against a slow reference that uses all scores."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import SettingsError
from embedrec.evaluation import case_blocks, target_ranks
from embedrec.evaluation.target_ranks import Ties, rank
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.test_cases import TestCases
from tests.conftest import of_lists, some_embeddings, tiny_sessions
from tests.evaluation.scored_model import Case, ScoredModel, cases, make_test_cases, numbered_vocab

TIES: list[Ties] = ["standard", "conservative", "median"]


def slow_ranks(case: Case, k: int, *, exclude_seen: bool, ties: Ties) -> list[float]:
    """The rank of every target: the number of better items, then its position among items of equal score."""
    ranks: list[float] = []
    for history, targets, scores in zip(case.histories, case.targets, case.scores, strict=True):
        scored = {i: s for i, s in enumerate(scores) if s > -inf and (not exclude_seen or i not in history)}
        for t in targets:
            if t not in scored:
                ranks.append(inf)
                continue
            better = sum(s > scored[t] for s in scored.values())
            beside = sorted(i for i in targets if scored.get(i) == scored[t])
            others = sum(s == scored[t] for s in scored.values()) - len(beside)
            before = {"standard": 0, "conservative": others, "median": others / 2}[ties]
            place = better + before + beside.index(t) + 1
            ranks.append(place if place <= k else inf)
    return ranks


@given(cases(), st.integers(1, 15), st.booleans(), st.sampled_from(TIES))
def test_ranks_and_lists_equal_a_slow_reference(case: Case, k: int, exclude_seen: bool, ties: Ties) -> None:
    ranking = rank(case.model(), case.test_cases(), k, exclude_seen=exclude_seen, ties=ties)
    expected = slow_ranks(case, min(k, case.n), exclude_seen=exclude_seen, ties=ties)
    assert ranking.ranks.tolist() == expected
    places = iter(expected)
    assert ranking.rows.shape == ranking.scores.shape == (len(case.histories), min(k, case.n))
    assert ranking.offsets.tolist() == case.test_cases().offsets.tolist()
    for q, (history, scores) in enumerate(zip(case.histories, case.scores, strict=True)):
        scored = [i for i in range(case.n) if scores[i] > -inf and (not exclude_seen or i not in history)]
        best = sorted(scored, key=lambda i: (-scores[i], i))
        # a list that ends within a tie excludes targets that the tie rule ranks beyond its end
        beyond = [t for t in case.targets[q] if next(places) == inf and t in best]
        cut = len(best) > k and scores[best[k - 1]] == scores[best[k]]
        best = [i for i in best if not (cut and i in beyond and scores[i] == scores[best[k]])][:k]
        missing = min(k, case.n) - len(best)
        assert ranking.rows[q].tolist() == best + [-1] * missing
        assert ranking.scores[q].tolist() == [scores[i] for i in best] + [-inf] * missing


@given(cases(), st.integers(1, 5), st.sampled_from(TIES))
def test_results_do_not_depend_on_block_sizes(case: Case, k: int, ties: Ties) -> None:
    whole = rank(case.model(), case.test_cases(), k, exclude_seen=False, ties=ties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case_blocks, "BLOCK_CASES", 2)
        patch.setattr(target_ranks, "GROWTH_FACTOR", 2)
        patch.setattr(target_ranks, "BLOCK_RESULTS", 4)
        reported: list[dict[str, Any]] = []
        parts = rank(
            case.model(),
            case.test_cases(),
            k,
            exclude_seen=False,
            ties=ties,
            report=lambda event, **n: reported.append(n),
        )
    for name in ("rows", "scores", "ranks"):
        assert (getattr(parts, name) == getattr(whole, name)).all()
    count = len(case.histories)
    assert [n["done"] for n in reported] == [*range(2, count, 2), count]
    assert {(n["total"], n["unit"]) for n in reported} == {(count, "test cases")}


@pytest.mark.parametrize(
    ("ties", "expected"), [("standard", [2, 3]), ("conservative", [31, 32]), ("median", [16.5, 17.5])]
)
def test_ties_that_extend_beyond_the_list_count(ties: Ties, expected: list[float]) -> None:
    """One item is better; of the other 31 of equal score, two are targets. Lists have 20 or 40 items."""
    model = ScoredModel(numbered_vocab(60), np.array([[1.0] * 31 + [2.0] + [0.0] * 28] * 2))
    test_cases = make_test_cases([[], []], [[30, 4], [31]], model.vocab)
    at_20 = rank(model, test_cases, 20, exclude_seen=False, ties=ties).ranks.tolist()
    assert at_20 == [*(sorted((e if e <= 20 else inf for e in expected), reverse=True)), 1]
    at_40 = rank(model, test_cases, 40, exclude_seen=False, ties=ties).ranks.tolist()
    assert at_40 == [expected[1], expected[0], 1]  # the lower row is the first in a list


def test_only_undecided_cases_get_longer_lists() -> None:
    n = 100
    scores = np.zeros((3, n))
    scores[0] = -np.arange(n)  # no ties
    scores[1, :4] = [4, 3, 2, 1]  # ties below the list only
    model = ScoredModel(numbered_vocab(n), scores)  # the last row is one tie
    rank(model, make_test_cases([[], [], []], [[5], [6], [7]], model.vocab), 4, exclude_seen=False)
    assert model.calls == [(3, 5), (1, 40), (1, 100)]
    model.calls.clear()
    rank(model, make_test_cases([[], []], [[5], [6]], model.vocab), 4, exclude_seen=False)
    assert model.calls == [(2, 5)]


@pytest.mark.parametrize("k", [6, 7, 1000])
def test_lists_may_be_longer_than_the_catalogue(k: int) -> None:
    model = Popular().fit(tiny_sessions())
    test_cases = make_test_cases([[0], [1]], [[2], [5]], model.vocab)
    ranking = rank(model, test_cases, k, exclude_seen=True)
    assert ranking.rows.shape == (2, 6) and (ranking.rows[:, -1] == -1).all()


def test_a_catalogue_of_one_item_is_evaluated() -> None:
    vocab = Vocab(["only"])
    model = ScoredModel(vocab, np.array([[1.0], [1.0], [-np.inf]]))
    test_cases = make_test_cases([[], [0], []], [[0], [0], [0]], vocab)
    assert rank(model, test_cases, 5, exclude_seen=False).ranks.tolist() == [1, 1, inf]
    assert rank(model, test_cases, 5, exclude_seen=True).ranks.tolist() == [1, inf, inf]


def test_unknown_targets_are_misses_and_unknown_items_ignored() -> None:
    """The model knows b, c, x; the unknown a and d are never hits and do not change a history."""
    model = ScoredModel(Vocab(["x", "c", "b"]), np.array([[3.0, 2.0, 1.0]] * 4))
    sessions = of_lists(["abcd"])
    lengths = np.array([1, 2, 3, 1])
    targets = sessions.vocab.rows(["a", "b", "c", "d"])
    test_cases = TestCases(sessions, np.zeros(4, np.int64), lengths, np.arange(5), targets)
    assert rank(model, test_cases, 3, exclude_seen=False).ranks.tolist() == [inf, 3, 2, inf]
    assert rank(model, test_cases, 3, exclude_seen=True).rows.tolist() == [
        [0, 1, 2],
        [0, 1, -1],
        [0, -1, -1],
        [0, 1, 2],
    ]


def test_no_test_cases_have_no_ranks() -> None:
    model = Popular().fit(tiny_sessions())
    none = make_test_cases([], [], model.vocab)
    ranking = rank(model, none, 3, exclude_seen=False)
    assert ranking.rows.shape == (0, 3) and ranking.ranks.shape == (0,)


def test_a_model_without_items_is_refused() -> None:
    model = ScoredModel(Vocab([]), np.zeros((1, 0)))
    with pytest.raises(SettingsError, match="k must be between 1 and 0, the number of items"):
        rank(model, make_test_cases([[]], [[-1]], model.vocab), 3, exclude_seen=False)


def test_vectors_and_an_index_of_them_give_the_same_ranks() -> None:
    from embedrec.index.build import build_index
    from embedrec.models.imported import Vectors

    embeddings = some_embeddings(60, 8)
    model = Vectors().from_arrays(embeddings.vocab, {"items": embeddings.vectors})
    rng = np.random.default_rng(0)
    histories = [rng.choice(60, 3, replace=False).tolist() for _ in range(30)]
    test_cases = make_test_cases(histories, [rng.choice(60, 4, replace=False).tolist() for _ in range(30)], model.vocab)
    exact = rank(model, test_cases, 20, exclude_seen=True)
    ranking = rank(model.using(build_index(model.answers, "flat")), test_cases, 20, exclude_seen=True)
    assert exact.ranks.tolist() == ranking.ranks.tolist() and np.isfinite(exact.ranks).any()
    scores = (
        model.encoder(test_cases.sessions)
        @ (embeddings.vectors / np.linalg.norm(embeddings.vectors, axis=1, keepdims=True)).T
    )
    case = Case(60, histories, np.split(test_cases.targets, test_cases.offsets[1:-1]), scores.tolist())
    assert exact.ranks.tolist() == slow_ranks(case, 20, exclude_seen=True, ties="conservative")
