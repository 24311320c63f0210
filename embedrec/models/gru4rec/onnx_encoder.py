"""The recurrent network as an ONNX graph, see `models.onnx_graph`."""

from __future__ import annotations

import numpy as np

from embedrec.models.gru4rec.numpy_gru import Layer, Recurrent
from embedrec.models.onnx_graph import FLOAT, INT32, INT64, OnnxGraph


def add_recurrent(graph: OnnxGraph, recurrent: Recurrent) -> str:
    """Queries (b, h + 1) of the histories of `OnnxGraph.known_items`: the last state and 1; zero for an empty one."""
    rows, known = graph.known_items()
    rows, known_count = _known_first(graph, rows, known)
    length = graph.add("Max", known_count, graph.constant(np.int64(1)))  # (b,)
    lengths = graph.add("Cast", length, to=INT32)
    inputs = graph.add("Gather", graph.constant(recurrent.inputs), rows)  # (b, m, w)
    states = graph.add("Transpose", inputs, perm=[1, 0, 2])
    last = ""
    for layer in recurrent.layers:
        weights = _weights(graph, layer, recurrent.inputs.shape[1])
        every, last = graph.add_all(
            "GRU", 2, states, *weights, lengths, hidden_size=len(layer.hidden), linear_before_reset=1
        )  # (m, 1, b, h) and (1, b, h)
        states = graph.add("Squeeze", every, graph.constant(np.array([1])))
    state = graph.add("Squeeze", last, graph.constant(np.array([0])))
    if recurrent.rotation is not None:
        state = graph.add("MatMul", state, graph.constant(recurrent.rotation))
    begun = graph.add("Cast", graph.add("Greater", known_count, graph.constant(np.int64(0))), to=FLOAT)
    begun = graph.add("Unsqueeze", begun, graph.constant(np.array([1])))  # (b, 1)
    return graph.add("Concat", graph.add("Mul", state, begun), begun, axis=1)


def _known_first(graph: OnnxGraph, rows: str, known: str) -> tuple[str, str]:
    """Rows (b, m) with the known items in front, in their order, and their number (b,)."""
    length = graph.add("Gather", graph.add("Shape", rows), graph.constant(np.int64(1)))
    one, ones = graph.constant(np.int64(1)), graph.constant(np.array([1]))
    place = graph.add("Range", graph.constant(np.int64(0)), length, one)  # (m,)
    unknown = graph.add("Cast", graph.add("Not", known), to=INT64)
    key = graph.add("Add", place, graph.add("Mul", unknown, length))  # (b, m), distinct in a row
    _, order = graph.add_all("TopK", 2, key, graph.add("Reshape", length, ones), axis=1, largest=0)
    count = graph.add("ReduceSum", graph.add("Cast", known, to=INT64), ones, keepdims=0)
    return graph.add("GatherElements", rows, order, axis=1), count


def _weights(graph: OnnxGraph, layer: Layer, width: int) -> tuple[str, str, str]:
    """The weights of a layer in the layout of ONNX: gates z, r, candidate; rows are units."""
    matrix = np.eye(width, dtype=np.float32) if layer.input is None else layer.input
    bias = np.concatenate([_gates(layer.input_bias[None])[0], _gates(layer.hidden_bias[None])[0]])
    return (
        graph.constant(_gates(matrix).T[None]),
        graph.constant(_gates(layer.hidden).T[None]),
        graph.constant(bias[None]),
    )


def _gates(matrix: np.ndarray) -> np.ndarray:
    """Columns (m, 3h) of r, z, candidate → z, r, candidate."""
    r, z, candidate = np.split(matrix, 3, axis=1)
    return np.hstack([z, r, candidate])
