"""Co-occurrence against slow twins: pairs of a Counter, as the article on similar artists counts them, and scipy."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models import pair_counts
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence, CooccurrenceModel, Measure
from embedrec.storage.memory_budget import MemoryBudget
from tests.conftest import of_lists, read_only, tiny_sessions
from tests.data import strategies as draw

LETTERS = Vocab(list("abcdef"))
MEASURES = get_args(Measure)
SHRUNK = ("cosine", "tf-idf", "jaccard", "lift", "ppmi")
lists = st.lists(st.text("abcdef", max_size=9), min_size=1, max_size=10).filter(any)


def sessions_of(lists: list[str]) -> Sessions:
    made = of_lists(lists, LETTERS)
    return Sessions(read_only(made.offsets), read_only(made.items), LETTERS, read_only(made.ids))


def slow_scores(lists: list[str], recipe: Cooccurrence) -> dict[tuple[str, str], float]:
    """The score of every pair that was met, both ways, item by item and session by session."""
    mentions = Counter(i for session in lists for i in session)
    items = [i for i in "abcdef" if mentions[i] >= recipe.min_count]
    sets = [[i for i in dict.fromkeys(session) if i in items] for session in lists]
    n, lam = len(items), recipe.shrinkage
    if lam is None:
        lam = 20 if recipe.measure in ("cosine", "tf-idf") else 0
    weight = [1.0] * len(sets)
    if recipe.measure == "tf-idf":
        weight = [math.log(1 + n / max(len(q), 1)) ** 2 for q in sets]
        scale = sum(map(len, sets)) / sum(w * len(q) for w, q in zip(weight, sets, strict=True))
        weight = [w * scale for w in weight]
    if recipe.measure == "bm25":
        weight = [math.log(1 + (n - len(q) + 0.5) / (len(q) + 0.5)) ** 2 for q in sets]
    c: Counter[tuple[str, str]] = Counter()
    s: Counter[str] = Counter()
    for q, w in zip(sets, weight, strict=True):
        for i in q:
            s[i] += w  # type: ignore[assignment]
        for (at, a), (to, b) in combinations(enumerate(q), 2):
            if not recipe.window or to - at <= recipe.window:
                c[a, b] += w  # type: ignore[assignment]
                c[b, a] += w  # type: ignore[assignment]
    t = {a: sum(c[a, b] for b in items) for a in items}
    held = Counter(i for q in sets for i in q)
    mean = sum(held[i] for i in items) / n

    def bm25(i: str) -> float:
        return (recipe.k1 + 1) / (1 + recipe.k1 * (1 - recipe.b + recipe.b * held[i] / mean))

    def score(a: str, b: str) -> float:
        count = c[a, b]
        return {
            "raw": lambda: count,
            "normalised": lambda: count / (t[a] + t[b]),
            "cosine": lambda: count / (math.sqrt(s[a] * s[b]) + lam),
            "tf-idf": lambda: count / (math.sqrt(s[a] * s[b]) + lam),
            "jaccard": lambda: count / (s[a] + s[b] - count + lam),
            "lift": lambda: count / (s[a] * s[b] / len(lists) + lam),
            "ppmi": lambda: math.log(count / (t[a] * t[b] / sum(t.values()) + lam)),
            "bm25": lambda: count * bm25(a) * bm25(b),
        }[recipe.measure]()

    return {pair: score(*pair) for pair, count in c.items() if count}


def check(model: CooccurrenceModel, scores: dict[tuple[str, str], float]) -> None:
    """The lists hold the best of each item, best first, ties by lower row, and nothing that belongs in none."""
    recipe, ids = model.recipe, model.vocab.ids.tolist()
    for row, a in enumerate(ids):
        result = [
            (ids[r], float(v))
            for r, v in zip(*(model.arrays[x][row] for x in ("items", "scores")), strict=True)
            if r >= 0
        ]
        for b, value in result:
            assert value == pytest.approx(scores[a, b], rel=1e-5)
        assert result == sorted(result, key=lambda x: (-x[1], x[0]))
        least = max(recipe.threshold, 1e-9)
        wanted = [scores[pair] for pair in scores if pair[0] == a and scores[pair] > least * (1 + 1e-6)]
        best = sorted(wanted, reverse=True)[: recipe.top]
        assert [v for _, v in result[: len(best)]] == pytest.approx(best, rel=1e-5)
        assert all(v == pytest.approx(least, rel=1e-5) for _, v in result[len(best) :])


@draw.given(
    lists,
    st.sampled_from(MEASURES),
    st.sampled_from([0, 1, 2, 5, 99]),
    st.sampled_from([None, 0.0, 0.5, 7.0]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(1, 6),
    st.integers(1, 3),
    examples=400,
)
def test_every_measure_equals_a_slow_count(
    lists: list[str], measure: Any, window: int, shrinkage: float | None, threshold: float, top: int, least: int
) -> None:
    recipe = Cooccurrence(
        measure, window, least, shrinkage if measure in SHRUNK else None, threshold, top, k1=0.7, b=0.4
    )
    try:
        model = recipe.fit(sessions_of(lists))
    except DataError as e:
        assert "lower min_count" in str(e) and max(Counter("".join(lists)).values()) < least
        return
    check(model, slow_scores(lists, recipe))


def with_repeats(seed: int = 0, n: int = 120) -> Sessions:
    """Sessions of 1 to 30 of n items, popular ones in many, some of them several times."""
    rng = np.random.default_rng(seed)
    chance = 1 / (1 + np.arange(n))
    drawn = [rng.choice(n, rng.integers(1, 30), p=chance / chance.sum()).tolist() for _ in range(200)]
    return of_lists(drawn, Vocab(np.arange(n)))


def dense(model: CooccurrenceModel) -> np.ndarray:
    """The scores of a model as a matrix, 0 for none."""
    scores = np.zeros((len(model.vocab), len(model.vocab)))
    row, place = np.nonzero(model.arrays["items"] >= 0)
    scores[row, model.arrays["items"][row, place]] = model.arrays["scores"][row, place]
    return scores


@pytest.mark.parametrize("measure", ["raw", "normalised", "cosine", "jaccard", "lift", "ppmi", "tf-idf"])
def test_counts_equal_a_product_of_scipy(measure: Any) -> None:
    sessions = with_repeats()
    held = sp.csr_array(sessions.matrix() > 0, dtype=np.float64)
    sizes = np.asarray(held.sum(axis=1)).ravel()
    if measure == "tf-idf":
        idf = np.log(1 + held.shape[1] / sizes)
        held = sp.diags_array(idf / np.sqrt((idf**2 * sizes).sum() / sizes.sum())) @ held
    counts = (held.T @ held).toarray()
    s = counts.diagonal().copy()
    np.fill_diagonal(counts, 0)
    t = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        want = {
            "raw": counts,
            "normalised": counts / (t[:, None] + t),
            "cosine": counts / (np.sqrt(np.outer(s, s)) + 20),
            "tf-idf": counts / (np.sqrt(np.outer(s, s)) + 20),
            "jaccard": counts / (np.add.outer(s, s) - counts),
            "lift": counts * len(sessions) / np.outer(s, s),
            "ppmi": np.maximum(np.log(counts * t.sum() / np.outer(t, t)), 0),
        }[measure]
    result = dense(Cooccurrence(measure, min_count=1, top=10**6).fit(sessions))
    np.testing.assert_allclose(result, np.nan_to_num(want), rtol=2e-6, atol=2e-7)


def test_scores_of_the_article_by_hand() -> None:
    """Pairs a playlist, each artist once: count(a,b) / (total(a) + total(b))."""
    playlists = ["abca", "ab", "bd"]
    pairs = Counter(p for playlist in playlists for p in combinations(sorted(set(playlist)), 2))
    assert pairs == {("a", "b"): 2, ("a", "c"): 1, ("b", "c"): 1, ("b", "d"): 1}
    model = Cooccurrence("normalised").fit(sessions_of(playlists))  # totals: a 3, b 4, c 2, d 1
    assert model.neighbours(np.arange(4), 3).ids() == [["b", "c"], ["a", "d", "c"], ["a", "b"], ["b"]]
    assert model.arrays["scores"][0, :2].tolist() == [np.float32(2 / 7), np.float32(1 / 5)]
    assert model.arrays["scores"][1, :3].tolist() == [np.float32(2 / 7), np.float32(1 / 5), np.float32(1 / 6)]
    cut = Cooccurrence("normalised", threshold=0.2).fit(sessions_of(playlists))
    assert cut.neighbours(np.arange(4), 3).ids() == [["b", "c"], ["a", "d"], ["a"], ["b"]]
    assert Cooccurrence("raw", threshold=2).fit(sessions_of(playlists)).neighbours(np.arange(3), 3).ids() == [
        ["b"], ["a"], []
    ]  # fmt: skip


def test_a_window_counts_first_mentions() -> None:
    model = Cooccurrence("raw", window=1).fit(sessions_of(["abacab", "cb"]))  # a b c, then c b
    assert model.neighbours(np.arange(3), 2).ids() == [["b"], ["c", "a"], ["b"]]
    assert model.arrays["scores"].tolist()[1] == [2, 1]


@draw.given(lists, st.sampled_from(MEASURES), st.sampled_from([0, 2]), st.integers(1, 30))
def test_blocks_threads_and_files_change_no_byte(lists: list[str], measure: Any, window: int, at_once: int) -> None:
    sessions, recipe = sessions_of(lists), Cooccurrence(measure, window, top=3)
    whole = recipe.fit(sessions)
    reports: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_counts, "TASK_PAIRS", at_once)
        patch.setattr(pair_counts, "TASK_PAIRS_PER_ITEM", 0)
        parts = recipe.fit(sessions, threads=3, report=lambda event, **n: reports.append({"event": event, **n}))
    for name, array in whole.arrays.items():
        assert parts.arrays[name].tobytes() == array.tobytes()
    there = len(set("".join(lists)))
    assert reports[0] == {"event": "vocabulary", "items": there, "left_out": 6 - there}
    assert reports[-1]["event"] == "vocabulary" or reports[-1]["done"] == reports[-1]["total"]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_memory_budget_changes_no_byte(measure: Any, tmp_path: Path) -> None:
    sessions, recipe = with_repeats(), Cooccurrence(measure, min_count=2, top=7)
    plain, files = recipe.fit(sessions), recipe.fit(sessions, memory=MemoryBudget(256 << 20, tmp_path), threads=2)
    for name, array in plain.arrays.items():
        assert files.arrays[name].tobytes() == array.tobytes()
        assert not isinstance(array.base, memoryview)
    assert list(tmp_path.iterdir()) == []


def slow_answer(model: CooccurrenceModel, history: str, exclude_seen: bool) -> list[str]:
    total: dict[str, float] = {}
    near, ids = dense(model), model.vocab.ids.tolist()
    for age, item in enumerate(reversed(history)):
        for row, b in enumerate(ids):
            total[b] = total.get(b, 0) + model.recipe.decay**age * near[ids.index(item), row]
    able = [b for b, score in total.items() if score > 0 and (not exclude_seen or b not in history)]
    return sorted(able, key=lambda b: (-round(total[b], 6), b))


@draw.given(lists, st.text("abcdef", max_size=6), st.sampled_from([1.0, 0.7, 0.01]), st.booleans(), st.integers(1, 6))
def test_recommendations_are_the_sum_of_lists(
    lists: list[str], history: str, decay: float, exclude_seen: bool, top: int
) -> None:
    model = Cooccurrence("cosine", decay=decay, top=top).fit(sessions_of(lists))
    history = "".join(i for i in history if i in model.vocab.ids)
    answer = model.recommend(sessions_of([history]), len(model.vocab), exclude_seen=exclude_seen)
    total = [round(float(s), 6) for s in answer.scores[0] if s > -np.inf]
    want = slow_answer(model, history, exclude_seen)
    assert sorted(answer.ids()[0]) == sorted(want)
    if len(set(total)) == len(total):
        assert answer.ids()[0] == want


def test_a_weight_of_zero_counts_nothing() -> None:
    model = Cooccurrence("raw", decay=1e-6).fit(sessions_of(["ab", "cd"]))
    answer = model.recommend(sessions_of(["a" + "c" * 100]), 4)
    assert answer.ids() == [["d"]]


def test_neighbours() -> None:
    model = Cooccurrence("raw", top=2).fit(tiny_sessions())
    whole = model.neighbours(np.array([0, 3, 0]), 5)
    assert whole.rows.shape == (3, 5) and (whole.rows[:, 2:] == -1).all()
    assert (whole.rows[0] == whole.rows[2]).all()
    assert model.neighbours(np.array([3]), 1).ids() == [whole.ids()[1][:1]]
    for k in (0, 6):
        with pytest.raises(SettingsError, match=f"must be between 1 and 5 for 6 items, but is {k}"):
            model.neighbours(np.array([0]), k)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measure": "cosin"}, "measure must be one of raw, normalised, cosine"),
        ({"window": -1}, "window must be at least 0, but is -1"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"shrinkage": -1.0}, "shrinkage must be at least 0"),
        ({"shrinkage": float("nan")}, "shrinkage must be at least 0, but is nan"),
        ({"threshold": -0.1}, "threshold must be at least 0"),
        ({"top": 0}, "top must be at least 1"),
        ({"b": 1.1}, "b must be between 0 and 1, but is 1.1"),
        ({"k1": -1.0}, "k1 must be at least 0"),
        ({"decay": 0.0}, "decay must be between 1e-06 and 1"),
        ({"measure": "normalised", "shrinkage": 5.0}, "normalised has no shrinkage, but it is 5; leave it out"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Cooccurrence(**settings)


def test_sessions_without_pairs_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"none of the 6 items is mentioned min_count=3 times \(the most frequent has 2\)"
    ):
        Cooccurrence(min_count=3).fit(sessions_of(["aab"]))
    model = Cooccurrence().fit(sessions_of(["a", "bb", ""]))
    assert model.arrays["items"].tolist() == [[-1]] * 2


@pytest.mark.parametrize(
    ("items", "scores", "message"),
    [
        ([[6]] * 6, [[1]] * 6, "neighbours must be rows of 6 items, but some are out of range"),
        ([[1]] * 5, [[1]] * 5, "6 items need so many rows of neighbours"),
        ([[1, 2]] * 6, [[1, 2]] * 6, "scores must be in descending order"),
        ([[1]] * 6, [[1]] * 5, "6 items need so many rows of neighbours|must have the same shape"),
    ],
)
def test_arrays_without_lists_are_refused(items: list, scores: list, message: str) -> None:
    arrays = {"items": np.array(items, dtype=np.int32), "scores": np.array(scores, dtype=np.float32)}
    with pytest.raises(DataError, match=message):
        Cooccurrence().from_arrays(LETTERS, arrays)
