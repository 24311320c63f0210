"""The self-attentive network under ONNX Runtime, against torch's; unknown items and users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.models.onnx_graph import OnnxGraph
from tests.models.onnx import known_only, run_graph
from tests.models.transformer.toy_learner import NETWORKS, torch_queries


@pytest.mark.parametrize("settings", NETWORKS)
def test_against_torch(settings: Any) -> None:
    learner, histories, expected = torch_queries(**settings)
    model, graph, users = learner.model(), OnnxGraph(), {}
    query = model.recipe.add_onnx_encoder(graph, model)  # type: ignore[attr-defined]
    if learner.user_ids is not None and histories.users is not None:
        users["user"] = learner.user_ids.rows_of(histories.users)
    found = run_graph(graph, query, 8, [histories[q].tolist() for q in range(len(histories))], **users)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_unknown_items_and_users() -> None:
    model: Any = torch_queries(users=True, history=3)[0].model()
    items, user = [[0, -1, 1], [-1, -1], [], [2, 3, -1, 4, -1, 5, -1]], np.array([-1, 1, -1, 0])
    ids = np.array(["nobody", "u1", "nobody", "u0"], dtype=object)
    graph = OnnxGraph()
    found = run_graph(graph, model.recipe.add_onnx_encoder(graph, model), 8, items, user=user)
    expected = model.encoder(known_only(items, model.vocab, users=ids))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not expected[2].any() and expected[1].any()
