"""The query tower as an ONNX graph, see `models.onnx_graph`."""

from __future__ import annotations

import numpy as np

from embedrec.models.onnx_graph import FLOAT, INT64, OnnxGraph
from embedrec.models.two_tower.query_tower import QueryTower


def add_query_tower(graph: OnnxGraph, tower: QueryTower, items: np.ndarray) -> str:
    """Queries (b, d) of the histories of `OnnxGraph.known_items` over item vectors (n, d).

    With users, a second input "user" (b,) int64 is the row of the user; −1 for an unknown one.
    """
    rows, known = graph.known_items()
    one = graph.constant(np.array([1]))
    zero = graph.constant(np.float32(0))
    sums = _mean(graph, tower, items, rows, known)
    counts = graph.add("ReduceSum", graph.add("Cast", known, to=FLOAT), one, keepdims=1)
    encoded = graph.add("Greater", counts, zero)  # (b, 1)
    if tower.users is not None:
        user = graph.input("user", "batch")
        first = graph.constant(np.int64(0))
        known_user = graph.add("Unsqueeze", graph.add("GreaterOrEqual", user, first), one)  # (b, 1)
        vector = graph.add("Gather", graph.constant(tower.users), graph.add("Max", user, first))
        sums = graph.add("Add", sums, graph.add("Mul", vector, graph.add("Cast", known_user, to=FLOAT)))
        encoded = graph.add("Or", encoded, known_user)
    hidden = sums
    for number, (matrix, bias) in enumerate(tower.layers):
        hidden = graph.add("Relu", hidden) if number else hidden
        hidden = graph.add("Add", graph.add("MatMul", hidden, graph.constant(matrix)), graph.constant(bias))
    query = graph.add("Add", sums, hidden) if tower.layers else sums
    return graph.add("Where", encoded, query, zero)


def add_bias_coordinate(graph: OnnxGraph, query: str, *, cosine: bool) -> str:
    """Queries with one more coordinate of 1, see `session_encoders.add_bias`."""
    if cosine:
        norm = graph.add("ReduceL2", query, axes=[1], keepdims=1)
        positive = graph.add("Greater", norm, graph.constant(np.float32(0)))
        query = graph.add("Div", query, graph.add("Where", positive, norm, graph.constant(np.float32(1))))
    return graph.add("Pad", query, graph.constant(np.array([0, 0, 0, 1])), graph.constant(np.float32(1)))


def _mean(graph: OnnxGraph, tower: QueryTower, items: np.ndarray, rows: str, known: str) -> str:
    """The weighted means of the last items: (b, d)."""
    one = graph.constant(np.array([1]))
    flags = graph.add("Cast", known, to=INT64)
    age = graph.add("CumSum", flags, graph.constant(np.int64(1)), exclusive=1, reverse=1)  # known items after it
    last = len(tower.places)
    places = np.zeros(last + 1, dtype=np.float32)  # 0 for items that are too old
    places[:-1] = np.exp(tower.places - tower.places.max(initial=-np.inf))  # a common factor of all weights cancels
    logits = items.astype(np.float64) @ tower.attention
    weights = graph.add(
        "Mul",
        graph.add("Gather", graph.constant(places), graph.add("Min", age, graph.constant(np.int64(last)))),
        graph.add("Gather", graph.constant(np.exp(logits - logits.max()).astype(np.float32)), rows),
    )
    weights = graph.add("Mul", weights, graph.add("Cast", known, to=FLOAT))  # (b, m)
    vectors = graph.add("Gather", graph.constant(items), rows)  # (b, m, d)
    sums = graph.add("Squeeze", graph.add("MatMul", graph.add("Unsqueeze", weights, one), vectors), one)
    total = graph.add("ReduceSum", weights, one, keepdims=1)
    positive = graph.add("Greater", total, graph.constant(np.float32(0)))
    return graph.add("Div", sums, graph.add("Where", positive, total, graph.constant(np.float32(1))))
