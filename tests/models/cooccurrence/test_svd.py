"""Spectral embeddings against dense matrices and NumPy's eigenvectors."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.data.session_changes import session_changes
from embedrec.errors import DataError, SettingsError
from embedrec.models import pair_counts
from embedrec.models.cooccurrence import eigenvectors
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.cooccurrence.eigenvectors import leading_eigenvectors
from embedrec.models.cooccurrence.svd import Spectral, SpectralModel
from embedrec.models.pair_counts import PairCounting, Pairs, frequent_items, one_mention
from embedrec.models.vector_model import VectorModel
from embedrec.progress import quiet
from embedrec.storage.memory_budget import MemoryBudget
from tests.conftest import of_lists, read_only
from tests.data import strategies as draw

LETTERS = Vocab(list("abcdef"))
lists = st.lists(st.text("abcdef", max_size=9), min_size=1, max_size=10).filter(any)


def sessions_of(lists: list[str]) -> Sessions:
    made = of_lists(lists, LETTERS)
    return Sessions(read_only(made.offsets), read_only(made.items), LETTERS, read_only(made.ids))


def pairs_of(recipe: Spectral, sessions: Sessions, threads: int = 1) -> Pairs:
    """What the eigenvectors are of."""
    rows, _ = frequent_items(sessions, recipe.min_count)
    mentions, formula = recipe.pair_formula(one_mention(sessions, rows, recipe.window))
    return PairCounting(mentions, formula, threads, quiet).all_pairs()


def dense(pairs: Pairs) -> np.ndarray:
    """The whole matrix (n, n) of pairs, of which there must be each once."""
    n = len(pairs.starts)
    matrix = np.zeros((n, n), dtype=np.float32)
    for a in range(n):
        for p in range(pairs.starts[a], pairs.ends[a]):
            b = int(pairs.rows[p])
            assert b > a and not matrix[a, b]
            matrix[a, b] = matrix[b, a] = pairs.values[p]
    return matrix


def slow_matrix(lists: list[str], recipe: Spectral) -> list[list[float]]:
    """The matrix over the items that occur, by the formulas."""
    items = sorted(set("".join(lists)))
    sets = [list(dict.fromkeys(session)) for session in lists]
    weight = [max(len(q), 1) ** recipe.length_exponent for q in sets]
    scale = sum(map(len, sets)) / sum(w * len(q) for w, q in zip(weight, sets, strict=True))
    c = {(a, b): 0.0 for a in items for b in items}
    d = dict.fromkeys(items, 0.0)
    for q, w in zip(sets, weight, strict=True):
        for i in q:
            d[i] += w * scale
        for (at, a), (to, b) in combinations(enumerate(q), 2):
            if not recipe.window or to - at <= recipe.window:
                c[a, b] += w * scale
                c[b, a] += w * scale
    t = {a: sum(c[a, b] for b in items) for a in items}
    chance = sum(t[b] ** recipe.smoothing for b in items if t[b])
    lam = (20 if recipe.matrix == "cosine" else 0) if recipe.shrinkage is None else recipe.shrinkage

    def entry(a: str, b: str) -> float:
        if a == b or not c[a, b]:
            return 0.0
        if recipe.matrix == "cosine":
            return c[a, b] / (math.sqrt(d[a] * d[b]) + lam)
        one, other = (t[a] * t[b] ** recipe.smoothing / chance, t[b] * t[a] ** recipe.smoothing / chance)
        return max(0.0, math.log(c[a, b] / (math.sqrt(one * other) + lam)) - recipe.shift)

    return [[entry(a, b) for b in items] for a in items]


@draw.given(
    lists,
    st.sampled_from(["cosine", "ppmi"]),
    st.sampled_from([0, 1, 3, 50]),
    st.sampled_from([-1.0, -0.75, 0.0, 0.5]),
    st.sampled_from([None, 0.0, 0.3]),
    st.sampled_from([0.0, 0.4, -0.5]),
    st.sampled_from([1.0, 0.75, 0.0]),
    examples=300,
)
def test_the_matrix_equals_a_slow_count(
    lists: list[str], matrix: Any, window: int, exponent: float, lam: float | None, shift: float, smoothing: float
) -> None:
    recipe = Spectral(
        matrix=matrix,
        window=window,
        min_count=1,
        length_exponent=exponent,
        shrinkage=lam,
        shift=shift,
        smoothing=smoothing,
    )
    result, want = dense(pairs_of(recipe, sessions_of(lists))), np.array(slow_matrix(lists, recipe))
    if matrix == "ppmi" and smoothing == 0:  # 0 ** 0 of items without pairs, which the twin leaves out
        want[want > 0], result[result > 0] = 1, 1
        return
    np.testing.assert_allclose(result, want, rtol=1e-5, atol=2e-6)


@pytest.fixture(scope="module")
def world() -> Sessions:
    """Three groups of 30 items that keep to themselves, popular ones among them; and an item that stands alone."""
    rng = np.random.default_rng(0)
    chance = 1 / (1 + np.arange(30))
    drawn = [(30 * (s % 3) + rng.choice(30, rng.integers(2, 9), p=chance / chance.sum())).tolist() for s in range(600)]
    return of_lists([*drawn, [90], [90]], Vocab(np.arange(91)))


@pytest.mark.parametrize("matrix", ["cosine", "ppmi"])
def test_eigenvectors_equal_those_of_numpy(world: Sessions, matrix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eigenvectors, "BLOCK_VALUES", 400)
    pairs = pairs_of(Spectral(matrix=matrix, min_count=1), world)
    whole = dense(pairs).astype(np.float64)
    values, vectors = leading_eigenvectors(pairs, 10, 60, seed=0, threads=2)
    want = np.linalg.eigvalsh(whole)[::-1][:10]
    np.testing.assert_allclose(values, want, rtol=1e-4)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(10), atol=1e-4)
    np.testing.assert_allclose(whole @ vectors, vectors * values, atol=1e-4 * values[0])
    assert not vectors[90].any()  # not even a little of it


def test_similar_items_belong_to_the_group(world: Sessions) -> None:
    for settings in ({}, {"matrix": "ppmi"}, {"popularity": 0.0}, {"power": 0.0}, {"window": 3}):
        model = Spectral(dim=6, min_count=1, **settings).fit(world, seed=1)
        results = model.neighbours(np.arange(90), 10).rows // 30
        assert (results == np.arange(90)[:, None] // 30).mean() > 0.95


def test_blocks_threads_and_files_change_no_byte(
    world: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Spectral(dim=20, min_count=1).fit(world, seed=3)
    monkeypatch.setattr(pair_counts, "TASK_PAIRS", 50)
    monkeypatch.setattr(pair_counts, "TASK_PAIRS_PER_ITEM", 0)
    reports: list[tuple[str, dict[str, Any]]] = []
    parts = Spectral(dim=20, min_count=1).fit(
        world,
        seed=3,
        threads=3,
        memory=MemoryBudget(256 << 20, tmp_path),
        report=lambda event, **n: reports.append((event, n)),
    )
    assert parts.arrays["items"].tobytes() == whole.arrays["items"].tobytes()
    assert list(tmp_path.iterdir()) == []
    assert reports[0] == ("vocabulary", {"items": 91, "left_out": 0})
    assert reports[-1] == ("progress", {"done": 5, "total": 5, "unit": "products"})


def norms(model: VectorModel) -> np.ndarray:
    return np.linalg.norm(model.embeddings.vectors, axis=1)


def test_scale_norms_goes_from_specific_to_popular(world: Sessions) -> None:
    whole = Spectral(dim=8, min_count=1, popularity=1.0).fit(world)
    full = norms(whole)
    assert full[30 * np.arange(3)].min() > np.median(full)  # popular items have large norms
    for share in (0.0, 0.2, 1.0):
        model = Spectral(dim=8, min_count=1, popularity=share).from_arrays(whole.vocab, whole.arrays)
        assert model.embeddings.metric == ("dot" if share else "cosine")
        assert model.answers is model.embeddings and model.searcher is model.embeddings
        if share:
            np.testing.assert_allclose(norms(model), np.where(full > 0, full**share, 0), rtol=1e-4)
        again = Spectral(dim=8, min_count=1, popularity=0.7).from_arrays(whole.vocab, whole.arrays).scale_norms(share)
        assert again.embeddings.metric == model.embeddings.metric
        assert (again.embeddings.vectors == model.embeddings.vectors).all()
    popular, specific = (
        Spectral(dim=8, min_count=1, popularity=share).from_arrays(whole.vocab, whole.arrays) for share in (1.0, 0.0)
    )
    met = [np.bincount(m.neighbours(np.arange(90), 5).rows.ravel(), minlength=91) for m in (popular, specific)]
    assert (met[0] > 0).sum() < (met[1] > 0).sum()


def test_the_power_scales_dimensions(world: Sessions) -> None:
    flat, half, whole = (Spectral(dim=5, min_count=1, power=p, popularity=1.0).fit(world) for p in (0.0, 0.5, 1.0))
    values, _ = leading_eigenvectors(pairs_of(Spectral(min_count=1), world), 5, 4, seed=0, threads=1)
    for model, power in ((half, 0.5), (whole, 1.0)):
        np.testing.assert_allclose(model.arrays["items"], flat.arrays["items"] * values**power, rtol=1e-5)


@pytest.mark.parametrize("window", [0, 1, 3])
def test_contexts_are_added_to_the_vectors(window: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lists = ["abcab", "bcd", "ad", "fe", "e", "cacdb"]
    plain = Spectral(dim=4, min_count=1, window=window).fit(sessions_of(lists))
    recipe = Spectral(dim=4, min_count=1, window=window, contexts=0.5)
    whole = recipe.fit(sessions_of(lists))
    unit = plain.arrays["items"] / np.linalg.norm(plain.arrays["items"], axis=1, keepdims=True)
    sums, counts = np.zeros_like(unit), np.zeros(len(unit))
    for once in map("".join, map(dict.fromkeys, lists)):
        for at, item in enumerate(once):
            reach = min(window or 2, 2)
            beside = once[max(0, at - reach) : at] + once[at + 1 : at + 1 + reach]
            if beside:
                row = "abcdef".index(item)
                sums[row] += np.mean(unit[["abcdef".index(other) for other in beside]], axis=0)
                counts[row] += 1
    means = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    expected = unit + 0.5 * means
    expected *= ((counts / counts.max()) ** 0.1 / np.linalg.norm(expected, axis=1))[:, None]
    np.testing.assert_allclose(whole.arrays["items"], expected, atol=1e-5)
    monkeypatch.setattr(eigenvectors, "BLOCK_VALUES", 8)  # two rows at a time
    parts = recipe.fit(sessions_of(lists), memory=MemoryBudget(256 << 20, tmp_path))
    np.testing.assert_allclose(parts.arrays["items"], whole.arrays["items"], atol=1e-5)


def residual(model: SpectralModel, sessions: Sessions) -> float:
    """How far the vectors are from eigenvectors, relative to the eigenvalues."""
    matrix = dense(pairs_of(model.recipe, sessions)).astype(np.float64)
    vectors = model.arrays["items"] / np.linalg.norm(model.arrays["items"], axis=0)
    values = np.diag(vectors.T @ matrix @ vectors)
    return float(np.linalg.norm(matrix @ vectors - vectors * values) / np.linalg.norm(values))


@pytest.fixture(scope="module")
def days() -> list[Sessions]:
    """Four days of sessions of many items without groups; the vocabulary is in the order of counts."""
    rng = np.random.default_rng(0)
    chance = 1 / (1 + np.arange(150))
    drawn = [rng.choice(150, rng.integers(2, 9), p=chance / chance.sum()).tolist() for _ in range(1260)]
    whole = of_lists(drawn, Vocab(np.arange(150)))
    # a day adds the last 20 and removes the first 10
    return [whole.take(np.arange(10 * day, 1200 + 20 * day)).drop_unused_items() for day in range(4)]


@pytest.mark.parametrize("matrix", ["cosine", "ppmi"])
def test_warm_starts_are_as_exact_as_full_fits(days: list[Sessions], matrix: Any) -> None:
    """With three products instead of five, also after several days, and after a rotation of the vectors."""
    recipe, products = Spectral(dim=12, min_count=1, matrix=matrix), []
    model = recipe.fit(days[0], seed=0)
    assert recipe.continuing(changes=True) == recipe
    for old, new in pairwise(days):
        turned = recipe.from_arrays(model.vocab, recipe.rotated(model.arrays, _rotation(12)))
        full, products = recipe.fit(new, seed=0), []
        model = recipe.fit(
            new,
            seed=1,
            init=turned,
            changes=session_changes(old, new),
            report=lambda event, products=products, **n: products.append(n.get("unit")),
        )
        assert products.count("products") == 3
        assert residual(model, new) <= residual(full, new)
        assert model.vocab.ids.tolist() == full.vocab.ids.tolist()


def test_a_foreign_start_and_foreign_changes_are_refused(days: list[Sessions]) -> None:
    recipe, (old, new, *_) = Spectral(dim=12, min_count=1), days
    changes, model = session_changes(old, new), recipe.fit(old)
    with pytest.raises(SettingsError, match=r"^svd cannot continue a model of cooccurrence; give a model of svd$"):
        recipe.fit(new, init=Cooccurrence(min_count=1).fit(old))  # type: ignore[type-var]
    with pytest.raises(SettingsError, match=r"^changes need the model of the old sessions; give it as init$"):
        recipe.fit(new, changes=changes)
    with pytest.raises(SettingsError, match=r"^changes lead to .* sessions of .* events, but given are"):
        recipe.fit(old, init=model, changes=changes)


def _rotation(dim: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(5).normal(size=(dim, dim)))[0].astype(np.float32)


def test_a_warm_start_needs_similar_sessions_and_the_same_matrix(days: list[Sessions]) -> None:
    recipe, old, new = Spectral(dim=12, min_count=1), days[0], days[1]
    model, full = recipe.fit(old, seed=0), recipe.fit(new, seed=1)
    other, same = days[0].take(np.arange(600, 1200)), session_changes(old, new)
    starts = [
        (recipe, model, None),  # nothing is known of the changes
        (recipe, model, session_changes(other, new)),  # half of the sessions are new
        (recipe, replace(recipe, window=2).fit(old, seed=0), same),
        (recipe, replace(recipe, dim=8).fit(old, seed=0), same),
        (recipe, replace(recipe, contexts=0.5).fit(old, seed=0), same),
    ]
    for settings, init, changes in starts:
        fitted = settings.fit(new, seed=1, init=init, changes=changes)
        assert fitted.arrays["items"].tobytes() == full.arrays["items"].tobytes()
    assert recipe.fit(new, seed=1, init=model, changes=same).arrays["items"].tobytes() != full.arrays["items"].tobytes()


def test_sessions_without_pairs_are_refused() -> None:
    with pytest.raises(DataError, match=r"no session has two items to learn from \(2 sessions of 2 items"):
        Spectral(min_count=1).fit(sessions_of(["aa", "b"]))
    with pytest.raises(DataError, match="none of the 6 items is mentioned min_count=2 times"):
        Spectral().fit(sessions_of(["abc"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"matrix": "lift"}, "matrix must be one of cosine, ppmi, but is 'lift'"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"iterations": 0}, "iterations must be between 1 and 10000"),
        ({"popularity": 1.5}, "popularity must be between 0 and 1, but is 1.5"),
        ({"popularity": float("nan")}, "popularity must be between 0 and 1, but is nan"),
        ({"shrinkage": -1.0}, "shrinkage must be at least 0"),
        ({"smoothing": 2.0}, "smoothing must be between 0 and 1"),
        ({"contexts": -1.0}, "contexts must be between 0 and 1000"),
        ({"power": -1.0}, "power must be between 0 and 10"),
        ({"length_exponent": float("inf")}, "length_exponent must be between -10 and 10"),
        ({"window": -1}, "window must be at least 0"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"decay": 0.0}, "decay must be between 1e-06 and 1"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Spectral(**settings)


def test_vectors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"items of a svd model must have shape \(6, 2\), but is \(5, 2\)"):
        Spectral().from_arrays(LETTERS, {"items": np.ones((5, 2), dtype=np.float32)})
