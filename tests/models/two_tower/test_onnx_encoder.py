"""The query tower under ONNX Runtime: against torch's towers, and the bias coordinate of a trend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.data.events import DAY
from embedrec.models.onnx_graph import OnnxGraph
from embedrec.models.two_tower.recipe import TwoTower
from tests.models.onnx import known_only, run_graph
from tests.models.two_tower.toy_learner import SMALL, TOWERS, torch_queries
from tests.training.toy import clustered_sessions


@pytest.mark.parametrize("settings", TOWERS)
def test_onnx_queries_equal_those_of_torch(settings: Any) -> None:
    learner, histories, want, _ = torch_queries(**settings)
    model, graph = learner.model(), OnnxGraph()
    query = model.recipe.add_onnx_encoder(graph, model)
    users = {}
    if settings.get("users"):
        users["user"] = learner.user_ids.rows_of(histories.users)
    got = run_graph(graph, query, want.shape[1], [histories[q].tolist() for q in range(len(histories))], **users)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scoring", ["cosine", "dot"])
def test_unknown_items_users_and_a_trend(scoring: Any) -> None:
    plain = clustered_sessions(20)
    sessions = replace(plain, times=np.arange(len(plain.items)) * DAY)
    settings: dict[str, Any] = {"scoring": scoring, "temperature": 0.5, "patience": None, "users": True}
    model = TwoTower(**{**SMALL, **settings, "trend": 5.0}).fit(sessions)
    items, user = [[0, -1, 1], [-1, -1], [], [2, 3, -1, 4]], np.array([-1, 1, -1, 0])
    ids = np.array(["nobody", "u1", "nobody", "u0"], dtype=object)
    graph = OnnxGraph()
    query = model.recipe.add_onnx_encoder(graph, model)
    got = run_graph(graph, query, model.answers.dim, items, user=user)
    want = model.encoder(known_only(items, model.vocab, users=ids))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    assert not want[2, :-1].any() and want[1, :-1].any()  # nothing known; a user without known items
