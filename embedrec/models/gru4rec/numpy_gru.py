"""Inference of the recurrent network in NumPy, over whole sessions or one step at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import valid_rows

BLOCK_SESSIONS = 1 << 16  # sessions at a time
BLOCK_STATES = 1 << 12  # states of one matrix product, which then fits the cache


@dataclass(frozen=True, eq=False)
class State:
    """The states of q sessions.

    layers    (q, h) float32 of each layer
    begun     (q,) bool: whether the session has an item yet
    rotation  (h, h) float32 from the last layer to the space of the items, or None if that is the layer's
    """

    layers: tuple[np.ndarray, ...]
    begun: np.ndarray
    rotation: np.ndarray | None = None

    @property
    def queries(self) -> np.ndarray:
        """(q, h + 1) float32: the last layer, and 1 for the bias; zero before the first item."""
        last = self.layers[-1]
        queries = np.zeros((len(last), last.shape[1] + 1), dtype=np.float32)
        queries[:, :-1] = last if self.rotation is None else last @ self.rotation
        queries[:, -1] = self.begun
        return queries


@dataclass(frozen=True, eq=False)
class Layer:
    """Gated recurrent units: r, z and the candidate c side by side in 3h columns.

    r = σ(x + h), z = σ(x + h), c = tanh(x + r · h), then h becomes c + z · (h − c); x and h are the
    pre-activations from input and state. Cho et al. 2014, with r applied after the product as in torch.

    input        (m, 3h) float32; None if an input is these 3h values already
    hidden       (h, 3h)
    input_bias, hidden_bias  (3h,)
    """

    input: np.ndarray | None
    hidden: np.ndarray
    input_bias: np.ndarray
    hidden_bias: np.ndarray

    def __call__(self, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        """States (q, h) → (q, h), of inputs (q, m)."""
        from_input = (x if self.input is None else x @ self.input) + self.input_bias
        from_state = before @ self.hidden
        from_state += self.hidden_bias
        h = before.shape[1]
        gates = from_input[:, : 2 * h] + from_state[:, : 2 * h]
        gates *= 0.5
        np.tanh(gates, out=gates)  # σ(x) = (1 + tanh(x / 2)) / 2, which cannot overflow
        gates += 1
        gates *= 0.5
        candidate = from_state[:, 2 * h :]
        candidate *= gates[:, :h]
        candidate += from_input[:, 2 * h :]
        np.tanh(candidate, out=candidate)
        after = before - candidate
        after *= gates[:, h:]
        after += candidate
        return after


@dataclass(frozen=True, eq=False)
class Recurrent:
    """An `Encoder`: histories → queries (S, h + 1) float32, zero for an empty one.

    inputs    (n, m) float32, the input of each item
    layers    see `Layer`
    rotation  see `State`
    """

    inputs: np.ndarray
    layers: tuple[Layer, ...]
    rotation: np.ndarray | None = None

    def start(self, count: int = 1) -> State:
        """The initial state of `count` sessions."""
        layers = tuple(np.zeros((count, len(layer.hidden)), dtype=np.float32) for layer in self.layers)
        return State(layers, np.zeros(count, dtype=bool), self.rotation)

    def step(self, state: State, rows: np.ndarray) -> State:
        """The state after one more item each, rows (q,); −1 leaves a session unchanged."""
        rows, n = np.asarray(rows), len(self.inputs)
        valid_rows(rows[rows != -1] if rows.dtype.kind in "iu" else rows, n)
        known = rows >= 0
        x, layers = self.inputs[np.maximum(rows, 0)], []
        for layer, before in zip(self.layers, state.layers, strict=True):
            x = layer(x, before)
            if not known.all():
                x = np.where(known[:, None], x, before)
            layers.append(x)
        return State(tuple(layers), state.begun | known, self.rotation)

    def __call__(self, histories: Sessions) -> np.ndarray:
        queries = np.zeros((len(histories), len(self.layers[-1].hidden) + 1), dtype=np.float32)
        for start in range(0, len(histories), BLOCK_SESSIONS):
            stop = min(start + BLOCK_SESSIONS, len(histories))
            self._walk(histories, start, stop, queries[start:stop])
        return queries

    def _walk(self, histories: Sessions, start: int, stop: int, queries: np.ndarray) -> None:
        """Histories start … stop − 1 → queries. Common prefixes are computed once."""
        lengths = histories.lengths[start:stop]
        longest = np.argsort(-lengths, kind="stable")
        firsts = histories.offsets[start:stop][longest]
        lengths = lengths[longest]
        node = np.zeros(len(lengths), dtype=np.int64)  # state of each history
        state = self.start(1)
        for place in range(int(lengths[0]) if len(lengths) else 0):
            alive = int(np.searchsorted(-lengths, -place))  # histories longer than `place`
            step = node[:alive] * len(self.inputs) + histories.items[firsts[:alive] + place]
            distinct, node = np.unique(step, return_inverse=True)
            before, rows = np.divmod(distinct, len(self.inputs))
            state = self._step_nodes(state, before, rows)
            ended = int(np.searchsorted(-lengths, -(place + 1)))
            queries[longest[ended:alive]] = state.queries[node[ended:]]

    def _step_nodes(self, state: State, before: np.ndarray, rows: np.ndarray) -> State:
        """The states after items (q,), each from state number `before` (q,)."""
        parts = []
        for first in range(0, len(rows), BLOCK_STATES):
            part = before[first : first + BLOCK_STATES]
            states = State(tuple(layer[part] for layer in state.layers), state.begun[part], self.rotation)
            parts.append(self.step(states, rows[first : first + BLOCK_STATES]))
        layers = tuple(np.concatenate(same) for same in zip(*(p.layers for p in parts), strict=True))
        return State(layers, np.concatenate([p.begun for p in parts]), self.rotation)
