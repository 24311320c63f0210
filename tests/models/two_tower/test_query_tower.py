"""The query tower in NumPy: against torch, against a slow loop, and the arrays that do not fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.models.array_packing import pack_ids
from embedrec.models.two_tower.query_tower import QueryTower
from embedrec.models.two_tower.recipe import TwoTower
from tests.conftest import read_only
from tests.models.two_tower.toy_learner import TOWERS, torch_queries

N, D, HISTORY = 6, 3, 2  # items, dimensions, items of a history that count
USERS = ["ann", "bob"]


@pytest.mark.parametrize("settings", TOWERS)
def test_queries_and_items_equal_those_of_torch(settings: Any) -> None:
    learner, histories, queries, vectors = torch_queries(**settings)
    model = learner.model()
    np.testing.assert_allclose(model.encoder(histories), queries, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.embeddings.vectors, vectors, rtol=1e-6)


def tower_arrays(layers: tuple[int, ...] = (), users: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {"places": rng.normal(size=HISTORY), "attention": rng.normal(size=D)}
    widths = [D, *layers, D]
    for number in range(len(widths) - 1 if layers else 0):
        arrays[f"layer{number}"] = rng.normal(size=(widths[number], widths[number + 1]))
        arrays[f"bias{number}"] = rng.normal(size=widths[number + 1])
    if users:
        arrays["users"] = rng.normal(size=(len(USERS), D))
    arrays = {name: read_only(array.astype(np.float32)) for name, array in arrays.items()}
    return arrays | (pack_ids(Vocab(USERS).ids, "user") if users else {})


def tower_of(layers: tuple[int, ...] = (), users: bool = False) -> QueryTower:
    recipe = TwoTower(dim=D, history=HISTORY, query_layers=",".join(map(str, layers)), users=users)
    return QueryTower.of(recipe, tower_arrays(layers, users))


def slow_query(tower: QueryTower, items: np.ndarray, history: list[int], user: str | None) -> list[float]:
    """The query of one history, number by number."""
    recent = history[::-1][: len(tower.places)]
    weights = []
    for age, row in enumerate(recent):
        weights.append(
            math.exp(tower.places[age] + sum(a * b for a, b in zip(items[row], tower.attention, strict=True)))
        )
    total = [sum(w * items[row][c] for w, row in zip(weights, recent, strict=True)) for c in range(D)]
    query = [value / sum(weights) if weights else 0.0 for value in total]
    known_user = tower.users is not None and user in USERS
    if known_user:
        assert tower.users is not None
        query = [a + b for a, b in zip(query, tower.users[USERS.index(str(user))], strict=True)]
    if not history and not known_user:
        return [0.0] * D
    hidden = query
    for number, (matrix, bias) in enumerate(tower.layers):
        if number:
            hidden = [max(0.0, value) for value in hidden]
        columns = range(matrix.shape[1])
        hidden = [sum(v * matrix[r][c] for r, v in enumerate(hidden)) + bias[c] for c in columns]
    return [a + b for a, b in zip(query, hidden, strict=True)] if tower.layers else query


def sessions_of(histories: list[list[int]], users: list[str] | None) -> Sessions:
    offsets = np.cumsum([0, *map(len, histories)])
    rows = np.array([row for history in histories for row in history], dtype=np.int32)
    columns = {} if users is None else {"users": read_only(np.array(users, dtype=object))}
    return Sessions(read_only(offsets), read_only(rows), Vocab(range(N)), np.arange(len(histories)), **columns)


drawn_histories = st.lists(st.lists(st.integers(0, N - 1), max_size=4), min_size=1, max_size=5)


@given(drawn_histories, st.sampled_from([(), (4,), (5, 2)]), st.booleans(), st.booleans(), st.data())
def test_queries_equal_those_of_a_slow_loop(
    histories: list[list[int]], layers: tuple[int, ...], users: bool, with_users: bool, data: st.DataObject
) -> None:
    tower = tower_of(layers, users)
    names = [data.draw(st.sampled_from([*USERS, "nobody"])) for _ in histories] if with_users else None
    items = read_only(np.random.default_rng(1).normal(size=(N, D)).astype(np.float32))
    encoded = tower.encoder(items)(sessions_of(histories, names))
    assert encoded.shape == (len(histories), D) and encoded.dtype == np.float32
    expected = [slow_query(tower, items, h, None if names is None else names[q]) for q, h in enumerate(histories)]
    np.testing.assert_allclose(encoded, expected, rtol=1e-4, atol=1e-5)


def test_only_the_last_items_count() -> None:
    encode = tower_of().encoder(read_only(np.random.default_rng(1).normal(size=(N, D)).astype(np.float32)))
    one, two = encode(sessions_of([[0, 1, 2, 3], [5, 5, 2, 3]], None))
    np.testing.assert_array_equal(one, two)
    assert (encode(sessions_of([[3, 2]], None))[0] != one).any()


@pytest.mark.parametrize(
    ("name", "given", "shape"),
    [
        ("places", np.zeros(HISTORY + 1, np.float32), "(3,)"),
        ("attention", np.zeros((D, 1), np.float32), "(3, 1)"),
        ("layer0", np.zeros((D, 3), np.float32), "(3, 3)"),
        ("bias0", np.zeros(3, np.float32), "(3,)"),
        ("layer1", np.zeros((3, D), np.float32), "(3, 3)"),
        ("bias1", np.zeros(D + 1, np.float32), "(4,)"),
        ("users", np.zeros((3, D), np.float32), "(3, 3)"),
    ],
)
def test_arrays_of_another_shape_are_refused(name: str, given: np.ndarray, shape: str) -> None:
    wanted = {"places": "(2,)", "attention": "(3,)", "layer0": "(3, 4)", "bias0": "(4,)", "layer1": "(4, 3)"}
    wanted |= {"bias1": "(3,)", "users": "(2, 3)"}
    recipe = TwoTower(dim=D, history=HISTORY, query_layers="4", users=True)
    with pytest.raises(DataError) as raised:
        QueryTower.of(recipe, tower_arrays((4,), users=True) | {name: given})
    assert str(raised.value) == f"{name} of a two-tower model must have shape {wanted[name]}, but is {shape}"


@pytest.mark.parametrize("name", ["places", "attention", "layer0", "layer1", "bias1"])
def test_missing_arrays_and_other_types_are_refused(name: str) -> None:
    arrays = tower_arrays((4,))
    recipe = TwoTower(dim=D, history=HISTORY, query_layers="4")
    with pytest.raises(DataError, match=rf"^{name} of a two-tower model must have shape .*, but is missing$"):
        QueryTower.of(recipe, {key: array for key, array in arrays.items() if key != name})
    with pytest.raises(DataError) as raised:
        QueryTower.of(recipe, arrays | {name: arrays[name].astype(np.float64)})
    assert str(raised.value) == f"{name} of a two-tower model must be float32, but is float64"
