from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import embedrec.evaluate.next_item as module
from embedrec.data import Sessions, Vocab
from embedrec.data.splits import NextItem, last_item_out
from embedrec.errors import DataError, SettingsError
from embedrec.evaluate.next_item import next_item, target_ranks
from embedrec.models.popular import Popular
from embedrec.topk import TopK, best_first
from tests.conftest import read_only, tiny_sessions

VOCAB = Vocab(list("abcdef"), counts=np.array([9, 7, 5, 5, 2, 1]))


@dataclass(frozen=True)
class Told:
    """A model that answers what it was told, whatever the history."""

    rows: list[list[int]]
    scores: list[list[float]]
    asked: list[Any] = field(default_factory=list)

    vocab = VOCAB
    recipe = Popular()
    arrays: Any = field(default_factory=dict)

    def recommend(self, histories: Sessions, k: int, *, seen: bool = False) -> TopK:
        self.asked.append((len(histories), k, seen))
        at = histories.ids
        return best_first(np.array(self.rows)[at], np.array(self.scores, dtype=np.float32)[at], VOCAB).first(k)


def questions(targets: list[int]) -> NextItem:
    histories = Sessions.of_lists([["a"]] * len(targets), VOCAB)
    return NextItem(histories, read_only(np.array(targets, dtype=np.int64)))


def test_worked_by_hand() -> None:
    #                first        third        not there     unknown      missing results
    model = Told(
        [[4, 1, 2], [4, 1, 2], [4, 1, 2], [4, 1, 2], [4, -1, -1]],
        [[3.0, 2.0, 1.0]] * 4 + [[3.0, 0.0, 0.0]],
    )
    test = questions([4, 2, 0, -1, -1])
    assert target_ranks(model, test, 3).tolist() == [1, 3, math.inf, math.inf, math.inf]
    scores = next_item(model, test, 3)
    assert (scores.k, scores.questions) == (3, 5)
    assert scores.hit_rate == 2 / 5
    assert scores.mrr == pytest.approx((1 + 1 / 3) / 5)
    at_2 = next_item(model, test, 2)
    assert (at_2.hit_rate, at_2.mrr) == (1 / 5, 1 / 5)


def test_ties_go_by_row() -> None:
    model = Told([[5, 3, 2]], [[1.0, 1.0, 1.0]])
    assert [target_ranks(model, questions([t]), 3).tolist() for t in (2, 3, 5)] == [[1], [2], [3]]


def test_popular_by_hand() -> None:
    train, test = last_item_out(Sessions.of_lists(["aab", "aba", "bca", "xb"]))
    # trained on aa, ab, bc, x: a 3, b 2, c 1, x 1; asked after aa → b, ab → a, bc → a, x → b
    assert test.targets.tolist() == [1, 0, 0, 1]
    model = Popular().fit(train)
    assert target_ranks(model, test, 4).tolist() == [1, math.inf, 1, 2]
    assert target_ranks(model, test, 4, seen=True).tolist() == [2, 1, 1, 2]
    assert target_ranks(model, test, 1).tolist() == [1, math.inf, 1, math.inf]
    assert next_item(model, test, 1).hit_rate == 0.5


def test_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    split = last_item_out(tiny_sessions())
    model = Popular().fit(split.train)
    whole = target_ranks(model, split.test, 3)
    monkeypatch.setattr(module, "_BLOCK", 2)
    assert (target_ranks(model, split.test, 3) == whole).all()


def test_the_model_is_asked_for_what_was_asked_for() -> None:
    model = Told([[0]] * 3, [[1.0]] * 3)
    next_item(model, questions([0, 0, 0]), 1, seen=True)
    assert model.asked == [(3, 1, True)]


def test_no_questions_and_no_room() -> None:
    with pytest.raises(DataError, match="there are no questions to ask"):
        next_item(Told([], []), questions([]), 3)
    split = last_item_out(tiny_sessions())
    with pytest.raises(SettingsError, match="k must lie between 1 and the"):
        next_item(Popular().fit(split.train), split.test, 20)
