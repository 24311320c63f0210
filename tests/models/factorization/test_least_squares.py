"""Weighted least squares against a dense reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from embedrec.models.factorization.least_squares import Objective, Side, cells, fold_in
from embedrec.models.factorization.mf import MatrixFactorisation
from tests.conftest import of_lists
from tests.models.factorization.dense_least_squares import (
    PLAYS,
    dense_cells,
    dense_objective,
    dense_solution,
    random_sessions,
)


@pytest.mark.parametrize("plays", PLAYS)
@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_cells(plays: Any, decay: float) -> None:
    sessions = random_sessions()
    result = cells(sessions, plays, decay).toarray()
    if decay == 1:
        np.testing.assert_allclose(result, dense_cells(sessions, plays), rtol=1e-6)
        return
    one = cells(of_lists(["abab"]), plays, decay).toarray()[0]
    factor = {"each": [1.25, 1.25], "once": [1, 1], "log": [1 + np.log(2)] * 2}[plays]
    np.testing.assert_allclose(one, np.multiply(factor, [0.5, 1]), rtol=1e-6)


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("plays", PLAYS)
def test_one_side_equals_dense_least_squares(nu: float, plays: Any) -> None:
    sessions = random_sessions()
    objective = Objective(unobserved=0.07, regularisation=0.2, nu=nu)
    matrix, w = cells(sessions, plays), dense_cells(sessions, plays)
    start = np.random.default_rng(5).normal(0, 0.5, (15, 6)).astype(np.float32)
    rows, items = Side(objective, matrix, np.zeros((len(w), 6), np.float32)), Side(objective, matrix.T.tocsr(), start)
    with ThreadPoolExecutor(2) as pool:
        for side, other, weights in ((rows, items, w), (items, rows, w.T)):
            minima = sum(m.sum() for _, m in side.solve(other, 1000, pool))
            expected = dense_solution(objective, weights, other.vectors[:, :6].astype(np.float64))
            np.testing.assert_allclose(side.vectors[:, :6], expected, rtol=1e-3, atol=1e-5)
            assert not side.vectors[:, 6:].any()
            x, y = (s.vectors[:, :6].astype(np.float64) for s in (rows, items))
            assert minima + other.penalty() == pytest.approx(dense_objective(objective, w, x, y), rel=1e-5)


def test_fold_in_gives_the_vectors_of_training() -> None:
    sessions = random_sessions()
    recipe = MatrixFactorisation(dim=6, decay=1.0, min_count=1)
    model = recipe.fit(sessions)
    objective, items = recipe.objective(float(model.arrays["unobserved"][0])), model.arrays["items"]
    matrix = cells(sessions, recipe.plays)
    rows = Side(objective, matrix, np.zeros((len(sessions), 6), np.float32))
    side = Side(objective, matrix.T.tocsr(), items)
    with ThreadPoolExecutor(1) as pool:
        list(rows.solve(side, 1000, pool))
    result = fold_in(items, objective, recipe.plays, axes=model.arrays["axes"])(sessions)
    np.testing.assert_allclose(result @ items.T, (rows.vectors @ side.vectors.T), rtol=1e-3, atol=1e-4)
