"""Counts of item pairs against slow loops over pairs of places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.datasets.synthetic import make_world
from embedrec.errors import DataError
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.kernels.pair_counts import COUNT, Formula, Mentions
from embedrec.models import pair_counts, recipe_class
from embedrec.models.baselines.rules import AssociationRules
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.progress import quiet
from embedrec.splitting.rules import Random as RandomSplit
from embedrec.splitting.test_cases import TestCases, cooccurring_items, next_items
from tests.conftest import of_lists, read_only
from tests.data import strategies as draw

LETTERS = Vocab(list("abcdef"))
LISTS = st.lists(st.text("abcdef", max_size=9), max_size=8)
PLAIN = Formula(COUNT, pair_counts.NO_NUMBERS, pair_counts.NO_NUMBERS, 0.0, 0.0, 0.0)  # the count itself


def slow_counts(lists: list[str], weights: Sequence[float] | None = None, *, reach: int = 99) -> dict[str, float]:
    """The weighted count of every ordered pair of different items, "ab"; of their first mentions in a session."""
    counts: dict[str, float] = {}
    for number, session in enumerate(lists):
        items = list(dict.fromkeys(session))
        for i, j in permutations(range(len(items)), 2):
            if abs(i - j) <= reach:
                pair = items[i] + items[j]
                counts[pair] = counts.get(pair, 0) + (1 if weights is None else weights[number])
    return counts


def letter_sessions(lists: list[str]) -> Sessions:
    made = of_lists(lists, LETTERS)
    return Sessions(read_only(made.offsets), read_only(made.items), LETTERS, read_only(made.ids))


def all_lists(mentions: Mentions) -> dict[str, float]:
    """All neighbours of every item with their counts."""
    lists = pair_counts.PairCounting(mentions, PLAIN, 2, quiet).best_lists(99)
    return {
        LETTERS.id(a) + LETTERS.id(b): score
        for a in range(len(lists["items"]))
        for b, score in zip(lists["items"][a].tolist(), lists["scores"][a].tolist(), strict=True)
        if b >= 0
    }


@draw.given(LISTS, st.sampled_from([0, 1, 2]))
def test_first_mentions_in_a_window(lists: list[str], window: int) -> None:
    mentions = pair_counts.one_mention(letter_sessions(lists), np.arange(6), window)
    assert all_lists(mentions) == slow_counts(lists, reach=window or 99)
    counts = slow_counts(lists, reach=window or 99)
    sums = [sum(count for pair, count in counts.items() if pair[0] == item) for item in "abcdef"]
    assert pair_counts.totals(mentions).tolist() == sums


def test_one_mention_of_some_items() -> None:
    """Without a window the rows of a session ascend; with one they keep the order of the session."""
    for window, items in ((0, [0, 1, 0, 1]), (1, [0, 1, 1, 0])):
        mentions = pair_counts.one_mention(letter_sessions(["abca", "ca"]), np.array([0, 2]), window)
        assert mentions.offsets.tolist() == [0, 2, 4] and mentions.items.tolist() == items
        assert mentions.session.tolist() == [0, 0, 1, 1]


@draw.given(LISTS)
def test_weighted_sessions(lists: list[str]) -> None:
    factor = 1 + np.arange(len(lists), dtype=np.float64)
    mentions = pair_counts.one_mention(letter_sessions(lists), np.arange(6), 0)
    weighted, sums = pair_counts.weight_sessions(mentions, factor)
    assert all_lists(weighted) == pytest.approx(slow_counts(lists, factor.tolist()), rel=1e-6)
    expected = [sum(f for f, session in zip(factor, lists, strict=True) if item in session) for item in "abcdef"]
    assert sums.tolist() == expected


@draw.given(LISTS, st.booleans())
def test_every_pair_counts_repeats(lists: list[str], itself: bool) -> None:
    """Every pair of mentions counts, both ways; pairs of an item with itself only with `itself`."""
    expected: dict[str, float] = {}
    for session in lists:
        for i, j in permutations(range(len(session)), 2):
            if itself or session[i] != session[j]:
                expected[session[i] + session[j]] = expected.get(session[i] + session[j], 0) + 1
    assert all_lists(pair_counts.every_pair(letter_sessions(lists), itself=itself)) == expected


@draw.given(LISTS, st.booleans(), st.booleans())
def test_every_mention_by_distance(lists: list[str], back: bool, itself: bool) -> None:
    """A pair at distance d counts gap[d]; without `back`, only the later mention is a neighbour of the earlier."""
    gap, expected = np.array([1.0, 1.0, 0.5]), dict[str, float]()
    for session in lists:
        for i, j in permutations(range(len(session)), 2):
            if abs(i - j) < len(gap) and (back or i < j) and (itself or session[i] != session[j]):
                expected[session[i] + session[j]] = expected.get(session[i] + session[j], 0) + gap[abs(i - j)]
    mentions = pair_counts.every_mention(letter_sessions(lists), gap, back=back, itself=itself)
    assert all_lists(mentions) == expected


def test_best_lists_keep_the_best_and_break_ties_by_row() -> None:
    mentions = pair_counts.one_mention(letter_sessions(["abc", "abd", "bd", "e"]), np.arange(6), 0)
    lists = pair_counts.PairCounting(mentions, PLAIN, 1, quiet).best_lists(2)
    assert lists["items"].tolist() == [[1, 2], [0, 3], [0, 1], [1, 0], [-1, -1], [-1, -1]]
    assert lists["scores"].tolist()[:2] == [[2, 1], [2, 2]] and np.isneginf(lists["scores"][4:]).all()
    assert lists["items"].dtype == np.int32 and lists["scores"].dtype == np.float32


@draw.given(LISTS)
def test_all_pairs_have_each_pair_once(lists: list[str]) -> None:
    mentions = pair_counts.one_mention(letter_sessions(lists), np.arange(6), 0)
    pairs = pair_counts.PairCounting(mentions, PLAIN, 2, quiet).all_pairs()
    result = [
        (a, int(b), float(value))
        for a in range(6)
        for b, value in zip(
            *(column[pairs.starts[a] : pairs.ends[a]] for column in (pairs.rows, pairs.values)), strict=True
        )
    ]
    counts = slow_counts(lists)
    assert sorted(result) == [
        (a, b, counts[x + y]) for (a, x), (b, y) in combinations(enumerate("abcdef"), 2) if x + y in counts
    ]


def test_frequent_items() -> None:
    rows, counts = pair_counts.frequent_items(letter_sessions(["cac", "fb", "b"]), 2)
    assert rows.tolist() == [1, 2] and counts.tolist() == [2, 2]
    with pytest.raises(DataError) as error:
        pair_counts.frequent_items(letter_sessions(["cac", "fb"]), 3)
    assert str(error.value) == (
        "none of the 6 items is mentioned min_count=3 times (the most frequent has 2); lower min_count"
    )


@pytest.mark.parametrize("name", ["cooccurrence", "svd", "ar"])
@pytest.mark.parametrize("make_cases", [next_items, cooccurring_items])
def test_pair_counts_beat_popularity(name: str, make_cases: Callable[..., TestCases]) -> None:
    """On playlists of genres, the neighbours of an item differ from the popular items."""
    world = make_world(seed=2, genres=6, artists_per_genre=12, playlists=400)
    lists = [[artist.uri for artist, _ in playlist.tracks] for playlist in world.playlists]
    train, test = RandomSplit(share=0.2).split(of_lists(lists).drop_unused_items(), seed=1)
    cases = make_cases(test) if make_cases is next_items else make_cases(test, train.vocab)
    settings = EvaluationSettings(at=(5,), exclude_seen=True, draws=0)
    popular, model = (
        evaluate(recipe_class(recipe)().fit(train), cases, train, settings).metrics for recipe in ("popular", name)
    )
    assert model["ndcg@5"] > 1.5 * popular["ndcg@5"]


def test_counts_beyond_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    sessions = of_lists([rng.integers(0, 30, rng.integers(0, 9)).tolist() for _ in range(120)], Vocab(np.arange(30)))
    few = Cooccurrence("raw").fit(sessions)
    assert pair_counts.one_mention(sessions, np.arange(2), 0).gap.dtype == np.float32
    monkeypatch.setattr(pair_counts, "FLOAT32_EXACT", len(sessions))
    assert pair_counts.one_mention(sessions, np.arange(2), 0).gap.dtype == np.float64
    many = Cooccurrence("raw").fit(sessions)
    assert all(many.arrays[name].tobytes() == array.tobytes() for name, array in few.arrays.items())


def test_a_long_session_of_few_items_is_counted_in_one_pass() -> None:
    length = 1_000_000  # 10¹² pairs
    sessions = of_lists([np.tile([0, 1, 2, 0], length // 4).tolist()], Vocab(np.arange(3)))
    assert len(pair_counts.every_pair(sessions, itself=True).items) == 3
    model = AssociationRules().fit(sessions)
    half, quarter = length // 2, length // 4
    assert model.arrays["items"].tolist() == [[0, 1, 2], [0, 2, 1], [0, 1, 2]]
    expected = [
        [half * (half - 1), half * quarter, half * quarter],
        [half * quarter, quarter**2, quarter * (quarter - 1)],
        [half * quarter, quarter**2, quarter * (quarter - 1)],
    ]
    assert model.arrays["scores"].tolist() == np.array(expected, dtype=np.float32).tolist()
