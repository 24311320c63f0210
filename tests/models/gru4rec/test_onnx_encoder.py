"""The recurrent network under ONNX Runtime: against cells of torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.models.gru4rec.numpy_gru import Recurrent
from embedrec.models.gru4rec.onnx_encoder import add_recurrent
from embedrec.models.onnx_graph import OnnxGraph
from tests.models.gru4rec.test_numpy_gru import N, network, slow
from tests.models.onnx import run_graph

UNKNOWN = [[0, -1, 1, 2], [-1], [3, -1, -1], [], [-1, 0, 1], [2, 1, 2, 2, 4], [-1, -1, 3, 3]]


def encode(net: Recurrent, items: list[list[int]]) -> np.ndarray:
    graph = OnnxGraph()
    return run_graph(graph, add_recurrent(graph, net), len(net.layers[-1].hidden) + 1, items)


@pytest.mark.parametrize("net", [network(), network((3,), None), network((2, 2, 2), 1)])
def test_onnx_states_equal_those_of_torch(net: Recurrent) -> None:
    expected = [slow(net, [row for row in items if row >= 0]) for items in UNKNOWN]
    np.testing.assert_allclose(encode(net, UNKNOWN), expected, atol=1e-5)


@given(st.lists(st.lists(st.integers(-1, N - 1), max_size=6), min_size=1, max_size=5))
def test_histories_of_any_length_are_encoded(items: list[list[int]]) -> None:
    net = network((3, 2))
    expected = [slow(net, [row for row in history if row >= 0]) for history in items]
    np.testing.assert_allclose(encode(net, items), expected, atol=1e-5)
