"""ONNX encoders of all recipes that have one, under their declared variants; limits of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.models import onnx_graph, settings_class
from embedrec.models.onnx_graph import OnnxGraph
from tests.models.onnx import known_only, run_graph
from tests.models.test_contract import cases, label, train

CASES = [case for case in cases() if hasattr(settings_class(case[0]), "add_onnx_encoder")]


def test_recipes_with_an_encoder() -> None:
    assert {name for name, _ in CASES} == {"two-tower", "gru4rec", "sasrec"}


@pytest.mark.parametrize("case", CASES, ids=label)
def test_queries_equal_those_of_the_model(case: Any) -> None:
    model: Any = train(*case)
    items = [[0, 1, 2], [3], [], [-1], [5, -1, 0, 0], list(range(6)) * 3]
    graph = OnnxGraph()
    got = run_graph(graph, model.recipe.add_onnx_encoder(graph, model), model.answers.dim, items)
    np.testing.assert_allclose(got, model.encoder(known_only(items, model.vocab)), atol=1e-5)


def test_metadata_and_the_limit_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = OnnxGraph()
    query = graph.add("Cast", graph.known_items()[0], to=1)
    made = graph.model(query, 3, {"recipe": "gru4rec"})
    assert {p.key: p.value for p in made.metadata_props} == {"recipe": "gru4rec"}
    graph = OnnxGraph()
    query = graph.add("Add", graph.constant(np.zeros(10, dtype=np.float32)), graph.known_items()[0])
    monkeypatch.setattr(onnx_graph, "MAX_BYTES", 32)
    with pytest.raises(DataError, match="less than 2 GiB, but this encoder needs 88 bytes"):
        graph.model(query, 10, {})
