"""The self-attentive network as an ONNX graph, see `models.onnx_graph`; tokens are in order of age, the last first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.models.onnx_graph import FLOAT, INT64, OnnxGraph
from embedrec.models.transformer.numpy_transformer import EPSILON, Linear, Transformer

_MASKED = np.float32(-1e9)


def add_transformer(graph: OnnxGraph, network: Transformer) -> str:
    """Queries (b, d) of the histories of `OnnxGraph.known_items`; zero for an empty one.

    With users, a second input "user" (b,) int64 is the row of the user; −1 for an unknown one.
    """
    rows, known = graph.known_items()
    rows, known = _last_first(graph, rows, known, network.recipe.history)
    attention = _Attention(graph, known)
    vectors = graph.add("Gather", graph.constant(network.items), rows)  # (b, l, d)
    if network.rotation is not None:
        vectors = graph.add("MatMul", vectors, graph.constant(network.rotation.T))
    states = graph.add("Mul", vectors, graph.constant(np.float32(network.recipe.dim**0.5)))
    if network.places is not None:
        place = graph.add("Sub", graph.add("Sub", attention.count, attention.age), graph.constant(np.int64(1)))
        place = graph.add("Max", place, graph.constant(np.int64(0)))  # (b, l)
        states = graph.add("Add", states, graph.add("Gather", graph.constant(network.places), place))
    for block in network.blocks:
        joint = _linear(graph, _normalised(graph, states), block.attend)
        added = _linear(graph, attention.add(joint, None, network.recipe.heads, block.distances), block.merge)
        states = graph.add("Add", states, _gated(graph, added, states, block.gate_attention))
        hidden = graph.add("Relu", _linear(graph, _normalised(graph, states), block.widen))
        added = _gated(graph, _linear(graph, hidden, block.narrow), states, block.gate_feed)
        states = graph.add("Add", states, added)
    states = _normalised(graph, states)
    if network.recipe.query == "last":
        scale, shift = (graph.constant(array) for array in network.final)
        states = graph.add("Add", graph.add("Mul", states, scale), shift)
    else:
        joint = _linear(graph, states, network.final)
        states = attention.add(joint, vectors, 1, network.distances)
    first = graph.constant(np.array([0]))
    query = graph.add("Squeeze", graph.add("Gather", states, first, axis=1), graph.constant(np.array([1])))  # (b, d)
    begun = graph.add("Greater", attention.count, graph.constant(np.int64(0)))  # (b, 1)
    query = graph.add("Mul", query, graph.add("Cast", begun, to=FLOAT))
    if network.rotation is not None:
        query = graph.add("MatMul", query, graph.constant(network.rotation))
    if network.users is None:
        return query
    user = graph.input("user", "batch")
    known_user = graph.add("Unsqueeze", graph.add("GreaterOrEqual", user, first), graph.constant(np.array([1])))
    vector = graph.add("Gather", graph.constant(network.users), graph.add("Max", user, first))
    return graph.add("Add", query, graph.add("Mul", vector, graph.add("Cast", known_user, to=FLOAT)))


def _last_first(graph: OnnxGraph, rows: str, known: str, history: int) -> tuple[str, str]:
    """The last known items (b, l ≤ history), the last one first, then unknown ones."""
    one, ones = graph.constant(np.int64(1)), graph.constant(np.array([1]))
    length = graph.add("Gather", graph.add("Shape", rows), one)
    place = graph.add("Range", graph.constant(np.int64(0)), length, one)  # (m,)
    unknown = graph.add("Cast", graph.add("Not", known), to=INT64)
    key = graph.add("Sub", place, graph.add("Mul", unknown, length))  # (b, m), distinct in a row
    count = graph.add("Reshape", graph.add("Min", length, graph.constant(np.int64(history))), ones)
    _, order = graph.add_all("TopK", 2, key, count, axis=1, largest=1)
    flags = graph.add("Cast", known, to=INT64)
    return tuple(graph.add("GatherElements", tensor, order, axis=1) for tensor in (rows, flags))  # type: ignore[return-value]


@dataclass
class _Attention:
    """Attention of each token to itself and to older ones.

    known  (b, l) int64, 1 for tokens that are items
    """

    graph: OnnxGraph
    known: str

    def __post_init__(self) -> None:
        graph, ones = self.graph, self.graph.constant(np.array([1]))
        zero, one = graph.constant(np.int64(0)), graph.constant(np.int64(1))
        self.count = graph.add("ReduceSum", self.known, ones, keepdims=1)  # (b, 1)
        self.age = graph.add("Range", zero, graph.add("Gather", graph.add("Shape", self.known), one), one)  # (l,)
        keys, queries = (graph.add("Unsqueeze", self.age, graph.constant(np.array([axis]))) for axis in (0, 1))
        distance = graph.add("Sub", keys, queries)
        self.distance = graph.add("Max", distance, zero)  # (l, l) of a query and a key, 0 for a later key
        later = graph.add("Cast", graph.add("Less", distance, zero), to=FLOAT)
        unknown = graph.add("Sub", graph.constant(np.float32(1)), graph.add("Cast", self.known, to=FLOAT))
        unknown = graph.add("Unsqueeze", unknown, graph.constant(np.array([1, 2])))  # (b, 1, 1, l)
        self.mask = graph.add("Mul", graph.add("Add", later, unknown), graph.constant(_MASKED))  # (b, 1, l, l)

    def add(self, joint: str, values: str | None, heads: int, distances: np.ndarray | None) -> str:
        """See `numpy_transformer`: (b, l, d) of `joint` (b, l, 2d or 3d)."""
        graph = self.graph
        parts = graph.add_all("Split", 3 if values is None else 2, joint, axis=2)
        q, k, v = (self._heads(part, heads) for part in (*parts, *([] if values is None else [values])))
        scores = graph.add("MatMul", q, graph.add("Transpose", k, perm=[0, 1, 3, 2]))
        size = graph.add("Shape", q)
        width = graph.add("Cast", graph.add("Gather", size, graph.constant(np.int64(3))), to=FLOAT)
        scores = graph.add("Div", scores, graph.add("Sqrt", width))
        if distances is not None:
            scores = graph.add("Add", scores, graph.add("Gather", graph.constant(distances), self.distance, axis=1))
        shares = graph.add("Softmax", graph.add("Add", scores, self.mask), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", shares, v), perm=[0, 2, 1, 3])
        return graph.add("Reshape", mixed, graph.constant(np.array([0, 0, -1])))

    def _heads(self, part: str, heads: int) -> str:
        """(b, l, d) → (b, heads, l, d / heads)."""
        split = self.graph.add("Reshape", part, self.graph.constant(np.array([0, 0, heads, -1])))
        return self.graph.add("Transpose", split, perm=[0, 2, 1, 3])


def _linear(graph: OnnxGraph, x: str, layer: Linear) -> str:
    return graph.add("Add", graph.add("MatMul", x, graph.constant(layer[0])), graph.constant(layer[1]))


def _normalised(graph: OnnxGraph, x: str) -> str:
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, axes=[-1], keepdims=1))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[-1], keepdims=1)
    return graph.add("Div", centred, graph.add("Sqrt", graph.add("Add", variance, graph.constant(np.float32(EPSILON)))))


def _gated(graph: OnnxGraph, added: str, x: str, gate: Linear | None) -> str:
    return added if gate is None else graph.add("Mul", added, graph.add("Sigmoid", _linear(graph, x, gate)))
