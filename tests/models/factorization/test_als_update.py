"""Warm starts of ALS, against the equations written out with dense matrices."""

from __future__ import annotations

import numpy as np

from embedrec.data import Sessions
from embedrec.data.session_changes import session_changes
from embedrec.models.factorization.als_update import conjugate_gradient, principal_axes
from embedrec.models.factorization.mf import MatrixFactorisation


def test_conjugate_gradient_solves_each_row() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(7, 4, 4))
    matrices = factors @ factors.transpose(0, 2, 1) + np.eye(4)
    right = rng.normal(size=(7, 4))
    scale = np.einsum("ijj->ij", matrices)
    found = conjugate_gradient(lambda z: np.einsum("ijk,ik->ij", matrices, z), right, scale)
    expected = np.linalg.solve(matrices, right[..., None])[..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (conjugate_gradient(lambda z: z, np.zeros((2, 3)), np.ones((2, 3))) == 0).all()


def test_principal_axes_make_the_gram_matrix_diagonal_and_descending() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    turned = vectors @ principal_axes(vectors)
    gram = turned.T @ turned
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-4)
    assert (np.diff(np.diag(gram)) < 0).all()


def groups(count: int, seed: int) -> list[list[int]]:
    """Sessions of four items out of one of three groups of ten."""
    rng = np.random.default_rng(seed)
    return [(rng.integers(3) * 10 + rng.permutation(10)[:4]).tolist() for _ in range(count)]


def test_items_learn_from_the_sessions_of_the_day() -> None:
    """Item 0 moves from the first group to the second, and a new item comes to the third."""
    before = groups(200, 0)
    after = [*before, *([0, 11, 12, 13 + n % 6] for n in range(60)), *([99, 21, 22, 23 + n % 6] for n in range(9))]
    old, new = (Sessions.of_lists(lists).drop_unused_items() for lists in (before, after))
    recipe = MatrixFactorisation(dim=8, epochs=10, min_count=1)
    model = recipe.fit(old, seed=0)
    continued = recipe.continuing(changes=True).fit(new, seed=0, init=model, changes=session_changes(old, new))

    def group(fitted: object, item: int, other: int) -> float:
        """The mean cosine of an item and the items of a group."""
        vocab, vectors = fitted.vocab, fitted.embeddings.vectors  # type: ignore[attr-defined]
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        members = [i for i in range(other * 10, other * 10 + 10) if i != item]
        return float((unit[vocab.rows(members)] @ unit[vocab.rows([item])[0]]).mean())

    assert group(model, 0, 0) > 0.5 and group(model, 0, 1) < 0.3
    assert group(continued, 0, 1) > group(model, 0, 1) + 0.2
    assert group(continued, 99, 2) > group(continued, 99, 0) + 0.2
    steady = [group(continued, item, 2) - group(model, item, 2) for item in range(20, 30)]
    assert max(map(abs, steady)) < 0.1


def test_nothing_new_changes_next_to_nothing() -> None:
    sessions = Sessions.of_lists(groups(100, 1)).drop_unused_items()
    recipe = MatrixFactorisation(dim=8, min_count=1)
    model = recipe.fit(sessions, seed=0)
    same = recipe.fit(sessions, seed=0, init=model, changes=session_changes(sessions, sessions))
    np.testing.assert_allclose(same.arrays["items"], model.arrays["items"], atol=1e-6)
    np.testing.assert_allclose(same.arrays["unobserved"], model.arrays["unobserved"], rtol=1e-6)
