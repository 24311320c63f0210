"""Alternating least squares against a dense reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.errors import EmbedrecError
from embedrec.models.factorization import least_squares
from embedrec.models.factorization.least_squares import cells
from embedrec.models.factorization.mf import MatrixFactorisation
from tests.models.factorization.dense_least_squares import (
    dense_cells,
    dense_objective,
    dense_solution,
    random_sessions,
)
from tests.models.planted_groups import clusters


@pytest.mark.parametrize(
    "settings", [{}, {"nu": 0.0, "plays": "each"}, {"nu": 0.5, "plays": "once", "unobserved": 1.0}]
)
def test_training_equals_dense_least_squares(settings: dict[str, Any]) -> None:
    """The same objective after each epoch, and the same item vectors up to a rotation."""
    sessions, losses = random_sessions(), []
    recipe = replace(MatrixFactorisation(dim=5, epochs=4, regularisation=0.05, min_count=1, steps=1000), **settings)
    model = recipe.fit(sessions, seed=3, report=lambda event, **n: event == "epoch" and losses.append(n["loss"]))
    w = dense_cells(sessions, recipe.plays)
    unobserved = recipe.unobserved * w.sum() / w.size
    assert model.arrays["unobserved"].tolist() == pytest.approx([unobserved])
    objective = recipe.objective(unobserved)
    y = np.random.default_rng(3).normal(0, 0.1 / 5**0.5, (15, 5))
    for loss in losses:
        x = dense_solution(objective, w, y)
        y = dense_solution(objective, w.T, x)
        assert loss == pytest.approx(dense_objective(objective, w, x, y), rel=1e-5)
    items = model.arrays["items"]
    np.testing.assert_allclose(items @ items.T, y @ y.T, rtol=1e-3, atol=1e-4)


def test_items_are_in_their_principal_axes() -> None:
    items = MatrixFactorisation(dim=20, min_count=1).fit(clusters()).arrays["items"].astype(np.float64)
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
