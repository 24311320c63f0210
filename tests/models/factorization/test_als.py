"""Alternating least squares against a dense reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.data.session_changes import session_changes
from embedrec.errors import EmbedrecError
from embedrec.models.alignment import rotate_model
from embedrec.models.factorization import least_squares
from embedrec.models.factorization.least_squares import cells
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.vectors_of_ids import vectors_of_ids
from embedrec.vectors.exact_search import unit
from tests.models.factorization.dense_least_squares import (
    dense_cells,
    dense_objective,
    dense_solution,
    random_sessions,
)
from tests.models.planted_groups import clusters
from tests.vectors.test_procrustes import turn


@pytest.mark.parametrize(
    "settings", [{}, {"nu": 0.0, "plays": "each"}, {"nu": 0.5, "plays": "once", "unobserved": 1.0}]
)
def test_training_equals_dense_least_squares(settings: dict[str, Any]) -> None:
    """The same objective after each epoch, and the same item vectors."""
    sessions, losses = random_sessions(), []
    recipe = replace(MatrixFactorisation(dim=5, epochs=4, regularisation=0.05, min_count=1, steps=1000), **settings)
    model = recipe.fit(sessions, seed=3, report=lambda event, **n: event == "epoch" and losses.append(n["loss"]))
    w = dense_cells(sessions, recipe.plays)
    unobserved = recipe.unobserved * w.sum() / w.size
    assert model.arrays["unobserved"].tolist() == pytest.approx([unobserved])
    objective = recipe.objective(unobserved)
    y = vectors_of_ids(sessions.vocab.ids, 5, 0.1 / 5**0.5, 3).astype(np.float64)
    for loss in losses:
        x = dense_solution(objective, w, y)
        y = dense_solution(objective, w.T, x)
        assert loss == pytest.approx(dense_objective(objective, w, x, y), rel=1e-5)
    items = model.arrays["items"]
    np.testing.assert_allclose(items, y, rtol=1e-3, atol=1e-4)


def test_axes_are_the_principal_axes_of_the_items() -> None:
    arrays = MatrixFactorisation(dim=20, min_count=1).fit(clusters()).arrays
    items = (arrays["items"] @ arrays["axes"]).astype(np.float64)
    products = items.T @ items
    diagonal = np.diag(products)
    assert (np.diff(diagonal) <= 1e-6 * diagonal[0]).all()
    assert np.abs(products - np.diag(diagonal)).max() < 1e-5 * diagonal[0]


def test_threads_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "BLOCK_ROWS", 64)
    monkeypatch.setattr(least_squares, "TASK_CELLS", 200)
    models = [MatrixFactorisation(dim=20).fit(clusters(), seed=2, threads=threads) for threads in (1, 2, 3)]
    assert len({m.arrays["items"].tobytes() for m in models}) == 1


def test_progress_ends_at_the_total_and_loss_falls() -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    recipe = MatrixFactorisation(dim=16, epochs=6)
    recipe.fit(clusters(), threads=2, report=lambda event, **numbers: events.append((event, numbers)))
    epochs = [n for event, n in events if event == "epoch"]
    assert [set(e) for e in epochs] == [{"epoch", "epochs", "loss", "seconds"}] * 6
    losses = [e["loss"] for e in epochs]
    assert losses == sorted(losses, reverse=True)
    observed = cells(clusters(), "log").nnz
    done = [n for event, n in events if event == "progress"]
    assert done[-1] == {"done": 12 * observed, "total": 12 * observed, "unit": "cells"}
    assert events[0] == ("vocabulary", {"items": 96, "left_out": 0})


def test_an_error_in_report_stops_training() -> None:
    class StopHereError(EmbedrecError):
        pass

    def report(event: str, **numbers: object) -> None:
        raise StopHereError

    with pytest.raises(StopHereError):
        MatrixFactorisation(epochs=10**9).fit(clusters(), threads=2, report=report)


def test_a_warm_start_equals_dense_least_squares_in_the_old_coordinates() -> None:
    """One pass over all sessions from the old vectors, of which a rotated model has no principal axes."""
    old, new = random_sessions(), random_sessions(60, seed=1)
    recipe = MatrixFactorisation(dim=5, epochs=1, regularisation=0.05, min_count=1, steps=1000)
    model = rotate_model(recipe.fit(old, seed=3), turn(5))
    continued = recipe.continuing().fit(new, init=model)
    w = dense_cells(new, recipe.plays)
    objective = recipe.objective(recipe.unobserved * w.sum() / w.size)
    expected = dense_solution(objective, w.T, dense_solution(objective, w, model.arrays["items"].astype(np.float64)))
    np.testing.assert_allclose(continued.arrays["items"], expected, rtol=1e-3, atol=1e-4)


def test_with_changes_a_warm_start_is_a_full_training() -> None:
    old, new = random_sessions(), random_sessions(60, seed=1)
    recipe = MatrixFactorisation(dim=5, min_count=1)
    model, changes = recipe.fit(old, seed=3), session_changes(old, new)
    assert recipe.continuing(changes=True) == recipe
    continued, full = recipe.fit(new, seed=3, init=model, changes=changes), recipe.fit(new, seed=3)
    assert all((continued.arrays[name] == array).all() for name, array in full.arrays.items())


def test_trainings_of_two_days_share_a_space() -> None:
    """The same vectors but for what is new, as initial vectors depend on ids: neither on rows nor on other items."""
    sessions = clusters()
    lists = [sessions[s].tolist() for s in range(len(sessions))]
    more = Sessions.of_lists([[-5, *lists[0]], *lists[3:], [-5, -6, -7], [-6, -7]])
    recipe = MatrixFactorisation(dim=16, min_count=1)
    one, two = recipe.fit(sessions), recipe.fit(more)
    rows = two.vocab.rows(sessions.vocab.ids)
    assert not np.array_equal(rows, np.arange(len(rows)))
    a, b = unit(one.arrays["items"]), unit(two.arrays["items"][rows])
    assert np.median((a * b).sum(axis=1)) > 0.97
    other = unit(recipe.fit(more, seed=1).arrays["items"][rows])
    assert np.median((a * other).sum(axis=1)) < 0.5
