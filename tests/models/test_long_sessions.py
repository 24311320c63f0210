"""Training whose work is mostly the pairs of a few long sessions reports these before it begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.models import long_sessions
from embedrec.models.baselines.rules import AssociationRules, SequentialRules
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.cooccurrence.svd import Spectral
from embedrec.models.long_sessions import report_long
from embedrec.models.word2vec.recipe import Word2Vec
from tests.conftest import of_lists

SESSIONS = of_lists([[1, 2], [1, 3], [2, 3]])
FOR_SHORT = {"epochs": 1, "dim": 2, "min_count": 1, "sample": 0.0}


def reported(lengths: list[int], reach: int = 0) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def report(event: str, **numbers: Any) -> None:
        calls.append({"event": event, **numbers})

    report_long(SESSIONS, np.array(lengths), reach, report)
    return calls


def test_the_longest_session_is_named() -> None:
    (call,) = reported([100_000, 20, 50_000])
    assert {**call, "share": round(call["share"], 6), "advice": ""} == {
        "event": "long_sessions",
        "sessions": 2,
        "share": 1.0,
        "pairs": 100_000 * 99_999 + 50_000 * 49_999,
        "longest": 0,
        "items": 100_000,
        "advice": "",
    }
    assert "--max-length" in call["advice"]


@pytest.mark.parametrize(
    ("lengths", "reach"),
    [([900, 900, 900], 0), ([40_000, 2, 2], 0), ([1_000_000, 2, 2], 25)],
    ids=["short ones", "not many pairs", "a window"],
)
def test_short_work_is_not_reported(lengths: list[int], reach: int) -> None:
    assert reported(lengths, reach) == []


def test_many_short_sessions_are_not_reported() -> None:
    many = np.append(np.full(1_000_000, 1000), 40_000)
    report_long(SESSIONS, many, 0, lambda *_, **__: pytest.fail("reported"))


@pytest.mark.parametrize(
    "recipe",
    [
        AssociationRules(),
        SequentialRules(),
        Cooccurrence(min_count=1),
        Spectral(dim=2, min_count=1),
        Word2Vec(window=0, **FOR_SHORT),  # type: ignore[arg-type]
    ],
    ids=lambda recipe: recipe.name,
)
def test_models_of_pairs_report_it_before_they_count(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_sessions, "LONG_SESSION", 5)
    monkeypatch.setattr(long_sessions, "MANY_PAIRS", 10)
    events: list[str] = []
    recipe.fit(of_lists([range(9), [1, 2]]), report=lambda event, **_: events.append(event))
    assert events.index("long_sessions") < events.index("epoch" if recipe.name == "word2vec" else "progress")


def test_repeated_items_do_not_make_a_session_long() -> None:
    sessions = of_lists([np.tile([1, 2, 3], 40_000).tolist()])
    AssociationRules().fit(sessions, report=lambda event, **_: event != "long_sessions" or pytest.fail("reported"))
