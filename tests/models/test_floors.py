"""The floors under every comparison: what is popular, of late or for ever, and what is random."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.stats import chisquare

from embedrec.data import Sessions, Vocab
from embedrec.datasets.synthetic import make_world
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models import recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.models.baselines.random import Random
from embedrec.splitting.rules import Random as RandomSplit
from embedrec.splitting.test_cases import TestCases, cooccurring_items, next_items
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
def test_popular_of_late_against_a_slow_twin(rows: list, days: float | None, half_life: float | None) -> None:
    model = Popular(days=days, half_life=half_life).fit(timed(rows))
    last, want = max(t for _, _, t in rows), dict.fromkeys("abcdef", 0.0)
    for _, item, t in rows:
        age = (last - t) / 4
        if days is None or age <= days:
            want[item] += 1 if half_life is None else 0.5 ** (age / half_life)
    answer = model.recommend(of_lists([""], LETTERS), 6)
    (ids,) = answer.ids()
    assert answer.scores[0].tolist() == pytest.approx([want[i] for i in ids], rel=1e-6)
    order = sorted("abcdef", key=lambda i: (-np.float32(model.arrays["counts"]["abcdef".index(i)]), i))
    assert ids == order


def test_popular_of_all_time_counts() -> None:
    model = Popular().fit(tiny_sessions())
    assert model.arrays["counts"].dtype == np.int64
    assert model.arrays["counts"].tolist() == tiny_sessions().vocab.counts.tolist()  # type: ignore[union-attr]


def test_popular_changes_with_the_days() -> None:
    sessions = timed([(0, "a", 0), (0, "a", 1), (0, "a", 2), (1, "b", 39), (1, "b", 40)])
    asked = of_lists([""], LETTERS)
    assert Popular().fit(sessions).recommend(asked, 1).ids() == [["a"]]
    assert Popular(days=2).fit(sessions).recommend(asked, 1).ids() == [["b"]]
    assert Popular(half_life=1).fit(sessions).recommend(asked, 1).ids() == [["b"]]


@pytest.mark.parametrize("settings", [{"days": 3.0}, {"half_life": 1.0}])
def test_popular_of_late_needs_times(settings: dict) -> None:
    with pytest.raises(SettingsError, match="days and half_life of popular need times, but the sessions have none"):
        Popular(**settings).fit(tiny_sessions())
    for value in (0.0, -1.0, float("nan"), float("inf")):
        name = next(iter(settings))
        with pytest.raises(SettingsError, match=f"{name} must be a positive number of days, or none, but is"):
            Popular(**{name: value})


def test_popular_counts_that_are_no_numbers() -> None:
    with pytest.raises(DataError, match="must be finite"):
        Popular().from_arrays(LETTERS, {"counts": np.array([1, 2, np.nan, 4, 5, 6])})


# ------------------------------------------------------------------------------------------------ random


def catalogue(n: int) -> Vocab:
    return Vocab(np.arange(n))


def test_a_random_list_is_that_of_its_history() -> None:
    vocab = catalogue(500)
    histories = of_lists([[1], [2], [1, 2], [2, 1], [1], []], vocab)
    fit = Random().fit(histories, seed=4)
    rows = fit.recommend(histories, 20).rows.tolist()
    assert rows[0] == rows[4]
    assert len(set(map(tuple, rows))) == 5
    assert Random().fit(histories, seed=5).recommend(histories, 20).rows.tolist()[0] != rows[0]
    assert fit.recommend(histories.take(np.array([3])), 20).rows[0].tolist() == rows[3]


def test_all_orders_are_equally_likely() -> None:
    vocab = catalogue(4)
    histories = of_lists([[3] * length for length in range(2000)], vocab)
    model = Random().fit(histories, seed=1)
    counts = Counter(map(tuple, model.recommend(histories, 4, exclude_seen=False).rows.tolist()))
    assert set(counts) == set(permutations(range(4)))
    assert chisquare(list(counts.values())).pvalue > 1e-3
    unseen = model.recommend(histories, 3).rows[1:].tolist()  # all but the empty history hold item 3
    assert set(map(tuple, unseen)) == set(permutations(range(3)))


def test_all_items_are_equally_likely_at_every_place() -> None:
    n = 97
    vocab = catalogue(n)
    histories = of_lists([[i, j] for i in range(n) for j in range(n)], vocab)
    rows = Random().fit(histories, seed=0).recommend(histories, 5, exclude_seen=False).rows
    assert all(len(set(row)) == 5 for row in rows.tolist())
    for place in range(5):
        assert chisquare(np.bincount(rows[:, place], minlength=n)).pvalue > 1e-3


def test_random_scores_fall_evenly() -> None:
    answer = Random().fit(tiny_sessions()).recommend(of_lists(["a"]), 6, exclude_seen=False)
    assert answer.scores[0].tolist() == pytest.approx([6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_a_seed_of_another_type() -> None:
    for seed in (np.array([1.0]), np.array([1, 2]), np.array([1], dtype=np.int32)):
        with pytest.raises(DataError, match="random lists need one seed"):
            Random().from_arrays(LETTERS, {"seed": seed})


@draw.given(st.lists(st.text("abcdef", max_size=8), max_size=6), st.integers(1, 6), st.booleans())
def test_popular_takes_the_first_unseen(lists: list[str], k: int, exclude_seen: bool) -> None:
    sessions = of_lists([*lists, "abcdef"], LETTERS)
    counts: dict[str, int] = defaultdict(int)
    for session in [*lists, "abcdef"]:
        for item in session:
            counts[item] += 1
    best = sorted("abcdef", key=lambda i: (-counts[i], i))
    answer = Popular().fit(sessions).recommend(sessions, k, exclude_seen=exclude_seen)
    assert answer.ids() == [
        [i for i in best if not exclude_seen or i not in session][:k] for session in [*lists, "abcdef"]
    ]


@pytest.mark.parametrize("name", ["cooccurrence", "svd", "ar"])
@pytest.mark.parametrize("ask", [next_items, cooccurring_items])
def test_counts_of_pairs_stand_above_the_floor(name: str, ask: Callable[..., TestCases]) -> None:
    """On playlists of genres, what stands beside an item is far from what is popular."""
    world = make_world(seed=2, genres=6, artists_per_genre=12, playlists=400)
    lists = [[artist.uri for artist, _ in playlist.tracks] for playlist in world.playlists]
    train, test = RandomSplit(share=0.2).split(of_lists(lists).drop_unused_items(), seed=1)
    questions = ask(test) if ask is next_items else ask(test, train.vocab)
    terms = EvaluationSettings(at=(5,), exclude_seen=True, draws=0)
    floor, found = (
        evaluate(recipe_class(model)().fit(train), questions, train, terms).metrics for model in ("popular", name)
    )
    assert found["ndcg@5"] > 1.5 * floor["ndcg@5"]
