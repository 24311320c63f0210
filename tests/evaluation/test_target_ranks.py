"""The place of every target, against a twin that sees all scores."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec.evaluation.target_ranks as module
from embedrec.data import Vocab
from embedrec.errors import SettingsError
from embedrec.evaluation.target_ranks import Ties, rank
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.test_cases import TestCases
from tests.conftest import of_lists, some_embeddings, tiny_sessions
from tests.evaluation.told import Case, Told, cases, questions_of, some_vocab

TIES: list[Ties] = ["standard", "conservative", "median"]


def slow_ranks(case: Case, k: int, *, exclude_seen: bool, ties: Ties) -> list[float]:
    """Of every target: how many items are better; then its place among those of its score."""
    ranks: list[float] = []
    for history, targets, scores in zip(case.histories, case.targets, case.scores, strict=True):
        said = {i: s for i, s in enumerate(scores) if s > -inf and (not exclude_seen or i not in history)}
        for t in targets:
            if t not in said:
                ranks.append(inf)
                continue
            better = sum(s > said[t] for s in said.values())
            beside = sorted(i for i in targets if said.get(i) == said[t])
            others = sum(s == said[t] for s in said.values()) - len(beside)
            before = {"standard": 0, "conservative": others, "median": others / 2}[ties]
            place = better + before + beside.index(t) + 1
            ranks.append(place if place <= k else inf)
    return ranks


@given(cases(), st.integers(1, 15), st.booleans(), st.sampled_from(TIES))
def test_against_a_plain_twin(case: Case, k: int, exclude_seen: bool, ties: Ties) -> None:
    found = rank(case.model(), case.questions(), k, exclude_seen=exclude_seen, ties=ties)
    expected = slow_ranks(case, min(k, case.n), exclude_seen=exclude_seen, ties=ties)
    assert found.ranks.tolist() == expected
    places = iter(expected)
    assert found.rows.shape == found.scores.shape == (len(case.histories), min(k, case.n))
    assert found.offsets.tolist() == case.questions().offsets.tolist()
    for q, (history, scores) in enumerate(zip(case.histories, case.scores, strict=True)):
        said = [i for i in range(case.n) if scores[i] > -inf and (not exclude_seen or i not in history)]
        best = sorted(said, key=lambda i: (-scores[i], i))
        # a list that ends among items of equal score has no targets that these ties put behind its end
        behind = [t for t in case.targets[q] if next(places) == inf and t in best]
        cut = len(best) > k and scores[best[k - 1]] == scores[best[k]]
        best = [i for i in best if not (cut and i in behind and scores[i] == scores[best[k]])][:k]
        missing = min(k, case.n) - len(best)
        assert found.rows[q].tolist() == best + [-1] * missing
        assert found.scores[q].tolist() == [scores[i] for i in best] + [-inf] * missing


@given(cases(), st.integers(1, 5), st.sampled_from(TIES))
def test_blocks_and_narrow_widening_change_nothing(case: Case, k: int, ties: Ties) -> None:
    whole = rank(case.model(), case.questions(), k, exclude_seen=False, ties=ties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_CASES", 2)
        patch.setattr(module, "GROWTH_FACTOR", 2)
        patch.setattr(module, "BLOCK_RESULTS", 4)
        told: list[dict[str, Any]] = []
        parts = rank(
            case.model(), case.questions(), k, exclude_seen=False, ties=ties, report=lambda event, **n: told.append(n)
        )
    for name in ("rows", "scores", "ranks"):
        assert (getattr(parts, name) == getattr(whole, name)).all()
    count = len(case.histories)
    assert [n["done"] for n in told] == [*range(2, count, 2), count]
    assert {(n["total"], n["unit"]) for n in told} == {(count, "questions")}


@pytest.mark.parametrize(
    ("ties", "expected"), [("standard", [2, 3]), ("conservative", [31, 32]), ("median", [16.5, 17.5])]
)
def test_ties_beyond_the_list_are_followed(ties: Ties, expected: list[float]) -> None:
    """One item is better; of the other 31 of equal score, two are targets, and the list is of 20 or of 40."""
    model = Told(some_vocab(60), np.array([[1.0] * 31 + [2.0] + [0.0] * 28] * 2))
    questions = questions_of([[], []], [[30, 4], [31]], model.vocab)
    at_20 = rank(model, questions, 20, exclude_seen=False, ties=ties).ranks.tolist()
    assert at_20 == [*(sorted((e if e <= 20 else inf for e in expected), reverse=True)), 1]
    at_40 = rank(model, questions, 40, exclude_seen=False, ties=ties).ranks.tolist()
    assert at_40 == [expected[1], expected[0], 1]  # the lower row is the first in a list


def test_only_what_is_undecided_is_asked_again() -> None:
    n = 100
    scores = np.zeros((3, n))
    scores[0] = -np.arange(n)  # no ties
    scores[1, :4] = [4, 3, 2, 1]  # ties, but none that reaches into the list
    model = Told(some_vocab(n), scores)  # the last is all ties
    rank(model, questions_of([[], [], []], [[5], [6], [7]], model.vocab), 4, exclude_seen=False)
    assert model.asked == [(3, 5), (1, 40), (1, 100)]
    model.asked.clear()
    rank(model, questions_of([[], []], [[5], [6]], model.vocab), 4, exclude_seen=False)
    assert model.asked == [(2, 5)]


@pytest.mark.parametrize("k", [6, 7, 1000])
def test_lists_longer_than_the_catalogue(k: int) -> None:
    model = Popular().fit(tiny_sessions())
    questions = questions_of([[0], [1]], [[2], [5]], model.vocab)
    found = rank(model, questions, k, exclude_seen=True)
    assert found.rows.shape == (2, 6) and (found.rows[:, -1] == -1).all()


def test_one_item() -> None:
    vocab = Vocab(["only"])
    model = Told(vocab, np.array([[1.0], [1.0], [-np.inf]]))
    questions = questions_of([[], [0], []], [[0], [0], [0]], vocab)
    assert rank(model, questions, 5, exclude_seen=False).ranks.tolist() == [1, 1, inf]
    assert rank(model, questions, 5, exclude_seen=True).ranks.tolist() == [1, inf, inf]


def test_targets_and_histories_of_another_vocabulary() -> None:
    """The model knows b, c, x; a and d are unknown to it: never found, and of no help."""
    model = Told(Vocab(["x", "c", "b"]), np.array([[3.0, 2.0, 1.0]] * 4))
    sessions = of_lists(["abcd"])
    lengths = np.array([1, 2, 3, 1])
    targets = sessions.vocab.rows(["a", "b", "c", "d"])
    questions = TestCases(sessions, np.zeros(4, np.int64), lengths, np.arange(5), targets)
    assert rank(model, questions, 3, exclude_seen=False).ranks.tolist() == [inf, 3, 2, inf]
    assert rank(model, questions, 3, exclude_seen=True).rows.tolist() == [[0, 1, 2], [0, 1, -1], [0, -1, -1], [0, 1, 2]]


def test_no_questions() -> None:
    model = Popular().fit(tiny_sessions())
    none = questions_of([], [], model.vocab)
    found = rank(model, none, 3, exclude_seen=False)
    assert found.rows.shape == (0, 3) and found.ranks.shape == (0,)


def test_no_items_to_answer() -> None:
    model = Told(Vocab([]), np.zeros((1, 0)))
    with pytest.raises(SettingsError, match="k must be between 1 and 0, the number of items"):
        rank(model, questions_of([[]], [[-1]], model.vocab), 3, exclude_seen=False)


def test_vectors_and_an_index_of_them_give_the_same_ranks() -> None:
    from embedrec.index.build import build_index
    from embedrec.models.imported import Vectors

    embeddings = some_embeddings(60, 8)
    model = Vectors().from_arrays(embeddings.vocab, {"items": embeddings.vectors})
    rng = np.random.default_rng(0)
    histories = [rng.choice(60, 3, replace=False).tolist() for _ in range(30)]
    questions = questions_of(histories, [rng.choice(60, 4, replace=False).tolist() for _ in range(30)], model.vocab)
    exact = rank(model, questions, 20, exclude_seen=True)
    found = rank(model.using(build_index(model.answers, "flat")), questions, 20, exclude_seen=True)
    assert exact.ranks.tolist() == found.ranks.tolist() and np.isfinite(exact.ranks).any()
    scores = (
        model.encoder(questions.sessions)
        @ (embeddings.vectors / np.linalg.norm(embeddings.vectors, axis=1, keepdims=True)).T
    )
    case = Case(60, histories, np.split(questions.targets, questions.offsets[1:-1]), scores.tolist())
    assert exact.ranks.tolist() == slow_ranks(case, 20, exclude_seen=True, ties="conservative")


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4), st.integers(1, 20))
def test_blocks_are_bounded_in_questions_and_in_events(length: list[int], questions: int, events: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_CASES", questions)
        patch.setattr(module, "BLOCK_EVENTS", events)
        blocks = list(module.case_blocks(np.array(length, dtype=np.int64)))
    assert [q for start, stop in blocks for q in range(start, stop)] == list(range(len(length)))
    for start, stop in blocks:
        assert 0 < stop - start <= questions
        assert sum(length[start:stop]) <= events or stop - start == 1
