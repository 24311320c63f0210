"""Popular items, over all time and recently, against a slow reference."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.baselines.popular import Popular
from tests.conftest import of_lists, tiny_sessions
from tests.data import strategies as draw

DAY = 86_400_000
LETTERS = Vocab(list("abcdef"))
events = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcdef"), st.integers(0, 40)), min_size=1, max_size=30)


def timed(rows: list[tuple[int, str, int]]) -> Sessions:
    """Sessions of (session, item, quarter days since 1970)."""
    rows = sorted(rows, key=lambda r: (r[0], r[2]))
    made = of_lists([[i for s, i, _ in rows if s == session] for session in range(4)], LETTERS)
    return replace(made, times=np.array([t * DAY // 4 for _, _, t in rows]))


@draw.given(
    events,
    st.sampled_from([None, 0.25, 1.0, 3.1, 99.0]),
    st.sampled_from([None, 0.5, 2.0, 30.0]),
    examples=150,
)
def test_recent_popularity_equals_a_slow_reference(rows: list, days: float | None, half_life: float | None) -> None:
    model = Popular(days=days, half_life=half_life).fit(timed(rows))
    last, expected = max(t for _, _, t in rows), dict.fromkeys("abcdef", 0.0)
    for _, item, t in rows:
        age = (last - t) / 4
        if days is None or age <= days:
            expected[item] += 1 if half_life is None else 0.5 ** (age / half_life)
    result = model.recommend(of_lists([""], LETTERS), 6)
    (ids,) = result.ids()
    assert result.scores[0].tolist() == pytest.approx([expected[i] for i in ids], rel=1e-6)
    order = sorted("abcdef", key=lambda i: (-np.float32(model.arrays["counts"]["abcdef".index(i)]), i))
    assert ids == order


def test_popularity_over_all_time() -> None:
    model = Popular().fit(tiny_sessions())
    assert model.arrays["counts"].dtype == np.int64
    assert model.arrays["counts"].tolist() == tiny_sessions().vocab.counts.tolist()  # type: ignore[union-attr]


def test_recent_popularity_differs_from_all_time() -> None:
    sessions = timed([(0, "a", 0), (0, "a", 1), (0, "a", 2), (1, "b", 39), (1, "b", 40)])
    histories = of_lists([""], LETTERS)
    assert Popular().fit(sessions).recommend(histories, 1).ids() == [["a"]]
    assert Popular(days=2).fit(sessions).recommend(histories, 1).ids() == [["b"]]
    assert Popular(half_life=1).fit(sessions).recommend(histories, 1).ids() == [["b"]]


def test_mentions_exactly_that_many_days_old_count() -> None:
    sessions = timed([(0, "a", 0), (0, "b", 1), (0, "c", 8)])
    assert Popular(days=1.75).fit(sessions).arrays["counts"].tolist() == [0, 1, 1, 0, 0, 0]
    assert Popular(days=2).fit(sessions).arrays["counts"].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.zeros(5, dtype=np.int64), "popularity needs 6 counts, but was given shape (5,)"),
        (np.zeros((6, 1), dtype=np.int64), "popularity needs 6 counts, but was given shape (6, 1)"),
        (np.zeros(6, dtype=np.float32), "counts of popularity must be int64 or float64, but are float32"),
    ],
)
def test_counts_of_another_shape_or_type_are_refused(counts: np.ndarray, message: str) -> None:
    with pytest.raises(DataError) as raised:
        Popular().from_arrays(LETTERS, {"counts": counts})
    assert str(raised.value) == message


@pytest.mark.parametrize("settings", [{"days": 3.0}, {"half_life": 1.0}])
def test_recent_popularity_needs_times(settings: dict) -> None:
    with pytest.raises(SettingsError, match="days and half_life of popular need times, but the sessions have none"):
        Popular(**settings).fit(tiny_sessions())
    for value in (0.0, -1.0, float("nan"), float("inf")):
        name = next(iter(settings))
        with pytest.raises(SettingsError, match=f"{name} must be a positive number of days, or none, but is"):
            Popular(**{name: value})


def test_counts_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="must be finite"):
        Popular().from_arrays(LETTERS, {"counts": np.array([1, 2, np.nan, 4, 5, 6])})


@draw.given(st.lists(st.text("abcdef", max_size=8), max_size=6), st.integers(1, 6), st.booleans())
def test_the_most_popular_unseen_items(lists: list[str], k: int, exclude_seen: bool) -> None:
    sessions = of_lists([*lists, "abcdef"], LETTERS)
    counts: dict[str, int] = defaultdict(int)
    for session in [*lists, "abcdef"]:
        for item in session:
            counts[item] += 1
    best = sorted("abcdef", key=lambda i: (-counts[i], i))
    result = Popular().fit(sessions).recommend(sessions, k, exclude_seen=exclude_seen)
    assert result.ids() == [
        [i for i in best if not exclude_seen or i not in session][:k] for session in [*lists, "abcdef"]
    ]
