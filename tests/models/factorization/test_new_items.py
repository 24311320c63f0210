"""New items of matrix factorisation against a dense solution."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec import MatrixFactorisation
from embedrec.errors import SettingsError
from embedrec.models.factorization.least_squares import cells
from embedrec.models.factorization.new_items import solve_new_items
from embedrec.models.frozen import NewItems, extend_frozen
from embedrec.progress import quiet
from tests.models.test_frozen import sessions_with_new_items
from tests.training.toy import clustered_sessions


def dense(recipe: MatrixFactorisation, items: NewItems) -> np.ndarray:
    """Sessions given the items, then new items given all sessions; twice."""
    matrix = cells(items.sessions, recipe.plays).toarray().astype(np.float64)
    y, a0 = items.extended("items").astype(np.float64), float(items.arrays["unobserved"][0])

    def solved(weights: np.ndarray, other: np.ndarray) -> np.ndarray:
        ridge = recipe.regularisation * (weights.sum(1) + a0 * weights.shape[1]) ** recipe.nu
        rows = []
        for w, r in zip(weights, ridge, strict=True):
            system = (other.T * w) @ other + a0 * other.T @ other + r * np.eye(other.shape[1])
            rows.append(np.linalg.solve(system, other.T @ w))
        return np.array(rows)

    before = y.copy()
    for _ in range(2):
        x = solved(matrix, y)
        everywhere = solved(matrix, before)  # the vectors of all sessions, as they are without the new items
        touched = matrix[:, items.new].any(axis=1)
        ridge = recipe.regularisation * (matrix.sum(0) + a0 * len(matrix)) ** recipe.nu
        for item in np.flatnonzero(items.new):
            w = np.where(touched, matrix[:, item], 0)
            system = (x.T * w) @ x + a0 * everywhere.T @ everywhere + ridge[item] * np.eye(x.shape[1])
            y[item] = np.linalg.solve(system, x.T @ w)
    return with_contexts(items, y)


def with_contexts(items: NewItems, vectors: np.ndarray) -> np.ndarray:
    """New vectors turned half-way to the mean of the directions beside their mentions, one by one."""
    turned, units = vectors.copy(), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for item in np.flatnonzero(items.new):
        means = []
        for s in range(len(items.sessions)):
            session = items.sessions[s].tolist()
            for at in (at for at, other in enumerate(session) if other == item):
                beside = [other for place, other in enumerate(session) if 0 < abs(place - at) <= 2]
                means.append(units[beside].mean(axis=0))
        mean = np.mean(means, axis=0)
        total = units[item] + mean / np.linalg.norm(mean)
        turned[item] = np.linalg.norm(vectors[item]) * total / np.linalg.norm(total)
    return turned


def test_new_items_equal_a_dense_solution() -> None:
    recipe = MatrixFactorisation(dim=6, min_count=1)
    model, sessions = recipe.fit(clustered_sessions()), sessions_with_new_items()
    extended = extend_frozen(model, sessions)
    old = model.vocab.rows_of(extended.vocab.ids)
    items = NewItems(model.arrays, sessions.reindex(extended.vocab), old)
    np.testing.assert_allclose(extended.arrays["items"], dense(recipe, items), rtol=1e-3, atol=1e-4)
    again = solve_new_items(recipe, items, seed=0, report=quiet)
    assert again["items"].tobytes() == extended.arrays["items"].tobytes()


def test_the_axes_are_those_of_all_items() -> None:
    model = extend_frozen(MatrixFactorisation(dim=6, min_count=1).fit(clustered_sessions()), sessions_with_new_items())
    turned = model.arrays["items"] @ model.arrays["axes"]
    products = turned.T @ turned
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-3)


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_other_losses_are_refused(loss: str) -> None:
    model = MatrixFactorisation(dim=4, min_count=1, loss=loss, epochs=1).fit(clustered_sessions())
    with pytest.raises(
        SettingsError, match=f"^mf with loss={loss} has no least squares to solve new items with; use --align"
    ):
        extend_frozen(model, sessions_with_new_items())
