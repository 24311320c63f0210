"""Every noun and model has a repr of one short line, and HTML without tags from the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec import Embeddings, Events, Features, Sessions, TopK, Vocab, build_index
from embedrec.data.features import Categories, Lists
from embedrec.data.sessions import sessionize
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models import MODELS, recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.rules import LastItem
from embedrec.splitting.test_cases import next_items
from tests.conftest import some_embeddings, tiny_sessions
from tests.text.test_representation import texts_of

SCRIPT = "<script>alert(1)</script>"
VOCAB = Vocab(["a", SCRIPT, "c"], names=np.array([SCRIPT, "", "Sea"], dtype=object), counts=np.array([3, 2, 1]))
EVENTS = Events.of(
    [SCRIPT, SCRIPT, "t"],
    ["a", SCRIPT, "c"],
    user=[SCRIPT, SCRIPT, "v"],
    time=[0, 86_400_000, 3 * 86_400_000],
    weight=[1, 2, 3],
    kind=[SCRIPT, "buy", "buy"],
    names={"a": SCRIPT},
)
FEATURES = Features(
    VOCAB,
    numeric={SCRIPT: np.array([1.5, np.nan, 2])},
    categorical={"key": Categories(np.array([0, -1, 0]), np.array([SCRIPT], dtype=object))},
    lists={"genres": Lists(np.array([0, 2, 2, 3]), np.array([0, 1, 0]), np.array([SCRIPT, "rock"], dtype=object))},
)
RESULTS = TopK(np.array([[1, 0], [2, -1]]), np.array([[0.5, 0.25], [1, -np.inf]]), VOCAB)


@pytest.mark.parametrize(
    ("noun", "line"),
    [
        (VOCAB, "Vocab(3 ids, names, counts)"),
        (Vocab([]), "Vocab(0 ids)"),
        (EVENTS, "Events(3 events, 2 sessions, 3 items, 2 users, 1970-01-01 to 1970-01-04, weights, kinds)"),
        (
            sessionize(EVENTS),
            "Sessions(2 sessions, 3 events, 3 items, 1970-01-01 to 1970-01-04, users, weights, kinds)",
        ),
        (Sessions.of_lists([]), "Sessions(0 sessions, 0 events, 0 items)"),
        (FEATURES, f"Features(3 ids, numeric {SCRIPT}, categorical key, lists genres)"),
        (Embeddings(np.eye(3), VOCAB), "Embeddings(3 vectors, 3 dimensions, cosine)"),
        (RESULTS, "TopK(2 queries, k=2, 3 items)"),
        (TopK(np.zeros((0, 3)), np.zeros((0, 3)), VOCAB), "TopK(0 queries, k=3, 3 items)"),
    ],
    ids=lambda value: value.split("(")[0] if isinstance(value, str) else "",
)
def test_nouns_have_a_repr_of_one_line_and_escaped_html(noun: Any, line: str) -> None:
    assert repr(noun) == line
    texts, tags = texts_of(noun._repr_html_())
    assert "script" not in tags
    assert (len(noun) == 0) or any(SCRIPT in text for text in texts)


def test_an_index_shows_its_recall() -> None:
    index = build_index(some_embeddings(), "flat")
    assert repr(index) == "Index(Flat, 60 vectors, 8 dimensions, cosine, recall@20 1)"
    assert "recall@20" in texts_of(index._repr_html_())[0]
    assert repr(replace(index, measurements={})) == "Index(Flat, 60 vectors, 8 dimensions, cosine)"


def test_an_evaluation_shows_its_metrics() -> None:
    train, test = LastItem().split(tiny_sessions())
    result = evaluate(Popular().fit(train), next_items(test), train, EvaluationSettings(at=(1, 3), draws=20))
    cases = len(result.test_cases)
    figures = ", ".join(f"{name}@3 {result.metrics[f'{name}@3']:.4f}" for name in ("recall", "mrr", "ndcg"))
    assert repr(result) == f"Evaluation({cases} cases, {figures})"
    assert {"metric", "low", "recall@1", "coverage@3"} <= set(texts_of(result._repr_html_())[0])


@pytest.mark.parametrize("name", MODELS)
def test_models_and_recipes_have_a_repr_and_html(name: str) -> None:
    kind = recipe_class(name)
    recipe = kind(**getattr(kind, "SMALL", {}))
    assert texts_of(recipe._repr_html_())[0][0] == type(recipe).__name__
    sessions, items = [c for c in "rstuvwxy" for _ in range(3)], list("abcacbbac" * 2 + "abcacb")
    events = Events.of(sessions, items, time=range(24), weight=[1] * 24, kind=["buy"] * 24)
    model = recipe.fit(sessionize(events), seed=0)
    assert repr(model).startswith(f"{type(model).__name__}({name}, 3 items")
    assert len(repr(model)) < 120
    texts, _ = texts_of(model._repr_html_())
    assert texts[0] == type(model).__name__
