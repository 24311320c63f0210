"""Session vectors of the session–item matrix: their cosines, and the sums that items are."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.session_knn import projection
from embedrec.models.session_knn.projection import Projection, random_rows, signs
from tests.conftest import of_lists, tiny_sessions


def drawn(count: int, n: int, seed: int = 0) -> Sessions:
    rng = np.random.default_rng(seed)
    lists = [rng.integers(0, n, rng.integers(1, 8)).tolist() for _ in range(count)]
    return of_lists(lists, Vocab(np.arange(n)))


def set_cosines(sessions: Sessions) -> np.ndarray:
    sets = [set(sessions[s].tolist()) for s in range(len(sessions))]
    return np.array([[len(a & b) / np.sqrt(len(a) * len(b)) for b in sets] for a in sets])


def cosines(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def test_a_full_svd_keeps_all_cosines() -> None:
    sessions = drawn(40, 12)
    model = Projection("svd", 11).fit(sessions)  # svds finds one fewer than all
    full = Projection("svd", 3).fit(sessions)
    wrong = [np.abs(cosines(m.encode(sessions).vectors) - set_cosines(sessions)).mean() for m in (model, full)]
    assert wrong[0] < 0.02 < wrong[1]


def test_an_svd_equals_that_of_numpy() -> None:
    sessions = drawn(30, 10)
    held = np.zeros((30, 10))
    held[sessions.session_of, sessions.items] = 1
    _, _, right = np.linalg.svd(held / np.sqrt(held.sum(axis=1, keepdims=True)))
    rows = Projection("svd", 4).fit(sessions).arrays["projection"]
    np.testing.assert_allclose(np.abs(rows.T @ right[:4].T), np.eye(4), atol=1e-4)  # but for signs


def test_signs_keep_cosines_within_their_error() -> None:
    """1/√dim is .016: the first half alone, whose rows are signs."""
    sessions = drawn(60, 500)
    vectors = Projection(dim=8192).fit(sessions, seed=3).encode(sessions).vectors[:, :4096]
    wrong = cosines(vectors) - set_cosines(sessions)
    assert wrong.std() < 0.02 and np.abs(wrong).max() < 0.1


def test_signs() -> None:
    drawn_signs = signs(200, 64, 0)
    assert set(np.unique(drawn_signs)) == {-1, 0, 1} and drawn_signs.any(axis=1).all()
    assert signs(200, 1, 0).any(axis=1).all()
    assert (drawn_signs == signs(200, 64, 0)).all() and (drawn_signs != signs(200, 64, 1)).any()


def test_items_of_the_same_sessions_are_near() -> None:
    """In the second half items of the same sessions are near each other; in the first no two items are."""
    lists = [["a", "b"], ["b", "c"], ["c", "a"], ["x", "y"], ["y", "z"], ["z", "x"]] * 5
    sessions = of_lists(lists)
    rows = random_rows(sessions, 512, seed=0)
    same = np.kron(np.eye(2), np.ones((3, 3))).astype(bool) & ~np.eye(6, dtype=bool)
    apart, together = cosines(rows[:, :256]), cosines(rows[:, 256:])
    assert np.abs(apart[~np.eye(6, dtype=bool)]).max() < 0.25
    other = np.kron(1 - np.eye(2), np.ones((3, 3))).astype(bool)
    assert together[same].min() > 0.9 and np.abs(together[other]).max() < 0.3
    np.testing.assert_allclose(np.linalg.norm(rows[:, 256:], axis=1), 0.5, rtol=1e-5)


@pytest.mark.parametrize("method", ["random", "svd"])
def test_items_are_the_sums_of_their_sessions(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = tiny_sessions()
    model = Projection(method, 5).fit(sessions)  # type: ignore[arg-type]
    vectors = model.encode(sessions).vectors
    expected = np.zeros((len(sessions.vocab), 5))
    for s in range(len(sessions)):
        for row in set(sessions[s].tolist()):
            expected[row] += vectors[s] / max(np.linalg.norm(vectors[s]), 1e-30)
    np.testing.assert_allclose(model.arrays["items"], expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(projection, "BLOCK_SESSIONS", 2)  # in blocks it is the same
    again = Projection(method, 5).fit(sessions)  # type: ignore[arg-type]
    np.testing.assert_allclose(again.arrays["items"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Projection(dim=0), "dim must be between 1 and 65536, but is 0"),
        (lambda: Projection(method="pca"), "method must be one of random, svd, but is 'pca'"),  # type: ignore[arg-type]
        (
            lambda: Projection("svd", 6).fit(tiny_sessions()),
            "an svd of [0-9]+ sessions of 6 items has fewer dimensions than either",
        ),
    ],
)
def test_invalid_settings_are_refused(make: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make()  # type: ignore[operator]


def test_sessions_without_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="there are no events to learn from"):
        Projection().fit(of_lists(["", ""], Vocab(["a"])))


def test_arrays_that_do_not_fit_are_refused() -> None:
    items = np.ones((6, 3), dtype=np.float32)
    for rows, message in (
        (items[:5], r"projection of a projection model must have shape \(6, 3\), but is \(5, 3\)"),
        (items.astype(np.float64), "projection of a projection model must be float32, but is float64"),
        (np.full((6, 3), np.nan, dtype=np.float32), "must be finite float32 of that shape"),
    ):
        with pytest.raises(DataError, match=message):
            Projection(dim=3).from_arrays(tiny_sessions().vocab, {"projection": rows, "items": items})
