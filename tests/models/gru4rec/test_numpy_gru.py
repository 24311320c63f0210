"""The recurrent network in NumPy: against torch's, and a live session against its whole history."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.models.gru4rec import numpy_gru
from embedrec.models.gru4rec.numpy_gru import Layer, Recurrent, State
from tests.conftest import of_lists

N = 5


def network(sizes: tuple[int, ...] = (4, 3), width: int | None = 2, seed: int = 0) -> Recurrent:
    """Of random weights; without a width, items say what follows from them for the gates."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(N, width or 3 * sizes[0])).astype(np.float32)
    layers, before = [], width
    for h in sizes:
        shapes = ((h, 3 * h), (3 * h,), (3 * h,))
        hidden, *biases = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
        matrix = None if before is None else rng.normal(size=(before, 3 * h)).astype(np.float32)
        layers.append(Layer(matrix, hidden, *biases))
        before = h
    return Recurrent(inputs, tuple(layers))


def histories(lists: list[list[int]]) -> Sessions:
    return of_lists(lists, Vocab(np.arange(N)))


def slow(net: Recurrent, items: list[int]) -> list[float]:
    """The query of one history, by torch's own cells."""
    x = [torch.from_numpy(net.inputs[i]) for i in items]
    for layer in net.layers:
        matrix = np.eye(len(x[0]) if x else 1) if layer.input is None else layer.input
        h = len(layer.hidden)
        cell = torch.nn.GRUCell(matrix.shape[0], h)
        with torch.no_grad():
            for name, array in (("weight_ih", matrix.T), ("weight_hh", layer.hidden.T),
                                ("bias_ih", layer.input_bias), ("bias_hh", layer.hidden_bias)):  # fmt: skip
                getattr(cell, name).copy_(torch.tensor(array))
            state, states = torch.zeros(h), []
            for one in x:
                state = cell(one[None], state[None])[0]
                states.append(state)
        x = states
    return [*x[-1].tolist(), 1.0] if x else [0.0] * (len(net.layers[-1].hidden) + 1)


LISTS = [[0, 1, 2], [], [3], [0, 1], [0, 1, 2], [2, 1, 2, 2, 4], [3, 3], [0]]


@pytest.mark.parametrize("net", [network(), network((3,), None), network((2, 2, 2), 1)])
def test_states_equal_those_of_torch(net: Recurrent) -> None:
    want = np.array([slow(net, items) for items in LISTS])
    np.testing.assert_allclose(net(histories(LISTS)), want, rtol=1e-5, atol=1e-6)


@given(st.lists(st.lists(st.integers(0, N - 1), max_size=5), max_size=8), st.integers(1, 4))
def test_batches_equal_single_histories(lists: list[list[int]], block: int) -> None:
    net = network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_gru, "BLOCK_SESSIONS", block)
        patch.setattr(numpy_gru, "BLOCK_STATES", 2)
        together = net(histories(lists))
    assert together.shape == (len(lists), 4) and together.dtype == np.float32
    for row, items in zip(together, lists, strict=True):
        np.testing.assert_allclose(row, net(histories([items]))[0], rtol=1e-5, atol=1e-6)


def test_common_prefixes_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = Recurrent.step

    def counted(self: Recurrent, state: State, rows: np.ndarray) -> State:
        steps.append(len(rows))
        return step(self, state, rows)

    monkeypatch.setattr(Recurrent, "step", counted)
    network()(histories(LISTS))
    assert steps == [3, 3, 2, 1, 1]  # 0 2 3, then 01 21 33, then 012 212, then 2122, then 21224


def test_a_live_session_continues_from_its_state() -> None:
    net = network()
    state = net.start(3)
    assert not state.queries.any() and state.queries.shape == (3, 4)
    lists: list[list[int]] = [[], [], []]
    for rows in ([0, 3, -1], [1, -1, -1], [-1, 3, 2], [4, 4, 4]):
        before = state
        kept = [layer.copy() for layer in before.layers]
        state = net.step(before, np.array(rows))
        assert all((a == b).all() for a, b in zip(kept, before.layers, strict=True))  # a state is not written into
        for session, row in enumerate(rows):
            lists[session] += [row] if row >= 0 else []
        np.testing.assert_allclose(state.queries, net(histories(lists)), rtol=1e-5, atol=1e-6)
    assert net.step(net.start(), [2]).queries.shape == (1, 4)
