"""Association and sequential rules against slow twins that count pair by pair, as the papers' own code does."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models import pair_counts
from embedrec.models.baselines.rules import AssociationRules, RulesModel, SequentialRules
from tests.conftest import of_lists, read_only
from tests.data import strategies as draw

LETTERS = Vocab(list("abcdef"))
lists = st.lists(st.text("abcdef", max_size=14), max_size=10)


def sessions_of(lists: list[str]) -> Sessions:
    made = of_lists(lists, LETTERS)
    return Sessions(read_only(made.offsets), read_only(made.items), LETTERS, read_only(made.ids))


Rules = list[list[tuple[str, float]]]
Counts = dict[str, dict[str, Fraction]]


def pruned(counts: Counts, pruning: int) -> Rules:
    """The rules of every letter: best first, ties by lower row."""
    rounded = [[(b, float(np.float32(float(count)))) for b, count in counts[a].items()] for a in "abcdef"]
    return [sorted(rules, key=lambda rule: (-rule[1], rule[0]))[:pruning] for rules in rounded]


def slow_ar(lists: list[str], pruning: int, itself: bool) -> Rules:
    """Both ways, for every pair of places: that of an item with itself counts 2."""
    counts: Counts = defaultdict(lambda: defaultdict(Fraction))
    for session in lists:
        for i, b in enumerate(session):
            for a in session[:i]:
                if itself or a != b:
                    counts[a][b] += 1
                    counts[b][a] += 1
    return pruned(counts, pruning)


def slow_sr(lists: list[str], pruning: int, itself: bool, steps: int) -> Rules:
    counts: Counts = defaultdict(lambda: defaultdict(Fraction))
    for session in lists:
        for i, b in enumerate(session):
            for gap in range(1, min(steps, i) + 1):
                if itself or session[i - gap] != b:
                    counts[session[i - gap]][b] += Fraction(1, gap)
    return pruned(counts, pruning)


def check(model: RulesModel, want: Rules) -> None:
    items, scores = model.arrays["items"], model.arrays["scores"]
    assert items.dtype == np.int32 and scores.dtype == np.float32
    assert items.shape == scores.shape == (len(LETTERS), max(1, *map(len, want)))
    for row, expected in enumerate(want):
        m = len(expected)
        assert list(zip(LETTERS.ids[items[row, :m]].tolist(), scores[row, :m].tolist(), strict=True)) == expected
        assert (items[row, m:] == -1).all() and np.isneginf(scores[row, m:]).all()


@draw.given(lists, st.integers(1, 7), st.booleans(), examples=150)
def test_association_rules_equal_a_slow_reference(lists: list[str], pruning: int, itself: bool) -> None:
    model = AssociationRules(pruning=pruning, itself=itself).fit(sessions_of(lists))
    check(model, slow_ar(lists, pruning, itself))


@draw.given(lists, st.integers(1, 7), st.booleans(), st.integers(1, 20), examples=150)
def test_sequential_rules_equal_a_slow_reference(lists: list[str], pruning: int, itself: bool, steps: int) -> None:
    model = SequentialRules(pruning=pruning, itself=itself, steps=steps).fit(sessions_of(lists))
    check(model, slow_sr(lists, pruning, itself, steps))


@draw.given(lists, st.integers(1, 30))
def test_blocks_and_threads_do_not_change_rules(lists: list[str], at_once: int) -> None:
    sessions = sessions_of(lists)
    recipes: list[AssociationRules | SequentialRules] = [AssociationRules(), SequentialRules(steps=3)]
    for recipe in recipes:
        whole = recipe.fit(sessions)
        reports: list[tuple[int, int]] = []

        def tell(event: str, reports: list[tuple[int, int]] = reports, **numbers: int) -> None:
            reports.append((numbers["done"], numbers["total"]))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pair_counts, "TASK_PAIRS", at_once)
            patch.setattr(pair_counts, "TASK_PAIRS_PER_ITEM", 0)
            parts = recipe.fit(sessions, threads=3, report=tell)
        assert all(parts.arrays[name].tobytes() == array.tobytes() for name, array in whole.arrays.items())
        assert reports == sorted(reports) and reports[-1:] == [(len(sessions.items),) * 2]


def test_rules_by_hand() -> None:
    sessions = sessions_of(["aba", "ac"])
    ar, sr = AssociationRules().fit(sessions), SequentialRules().fit(sessions)
    queries = sessions_of(["a", "ca", "", "b", "f"])
    answer = ar.recommend(queries, 3, exclude_seen=False)  # a: with itself 2, with b 2, with c 1
    assert answer.ids() == [["a", "b", "c"], ["a", "b", "c"], [], ["a"], []]
    assert answer.scores[0].tolist() == [2, 2, 1] and answer.scores[3].tolist() == [2, -np.inf, -np.inf]
    assert ar.recommend(queries, 3).ids() == [["b", "c"], ["b"], [], ["a"], []]
    answer = sr.recommend(queries, 3, exclude_seen=False)  # a: then b, c at once, itself after one
    assert answer.ids() == [["b", "c", "a"], ["b", "c", "a"], [], ["a"], []]
    assert answer.scores[0].tolist() == [1, 1, 0.5]


def test_a_large_pruning_keeps_all_rules() -> None:
    rng = np.random.default_rng(0)
    n = 50
    sessions = of_lists(rng.integers(0, n, (40, 12)).tolist(), Vocab(np.arange(n)))
    model = AssociationRules(pruning=10**9, itself=False).fit(sessions)
    matrix = np.zeros((n, n))
    for s in range(len(sessions)):
        for i, a in enumerate(sessions[s].tolist()):
            for j, b in enumerate(sessions[s].tolist()):
                matrix[a, b] += i != j and a != b
    assert model.arrays["items"].shape == (n, int((matrix > 0).sum(axis=1).max()))
    answer = model.recommend(of_lists([[i] for i in range(n)], sessions.vocab), n)
    for i in range(n):
        want = sorted(np.flatnonzero(matrix[i]).tolist(), key=lambda j: (-matrix[i, j], j))
        assert answer.rows[i][answer.rows[i] >= 0].tolist() == want


def test_sessions_without_rules_have_no_results() -> None:
    model = SequentialRules().fit(sessions_of(["a", "b"]))
    assert model.arrays["items"].shape == (6, 1)
    assert (model.recommend(sessions_of(["a"]), 2).rows == -1).all()


def test_an_error_of_one_block_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "TASK_PAIRS", 1)
    monkeypatch.setattr(pair_counts, "TASK_PAIRS_PER_ITEM", 0)

    def stop(event: str, **numbers: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        AssociationRules().fit(sessions_of(["abcdef"] * 9), report=stop)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AssociationRules(pruning=0), "pruning must be at least 1, but is 0"),
        (lambda: SequentialRules(pruning=-1), "pruning must be at least 1, but is -1"),
        (lambda: SequentialRules(steps=0), "steps must be at least 1, but is 0"),
    ],
)
def test_invalid_settings_are_refused(make, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        make()
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("items", "scores", "message"),
    [
        ([[6]] * 6, [[1]] * 6, "rules must be rows of 6 items, but some are out of range"),
        ([[-2]] * 6, [[-np.inf]] * 6, "rules must be rows of 6 items, but some are out of range"),
        ([[1]] * 5, [[1]] * 5, "6 items need so many rows of rules"),
        ([[1, 2]] * 6, [[1, 2]] * 6, "scores must be in descending order"),
        ([[1]] * 6, [[-np.inf]] * 6, "missing results"),
    ],
)
def test_arrays_without_rules_are_refused(items: list, scores: list, message: str) -> None:
    arrays = {"items": np.array(items, dtype=np.int32), "scores": np.array(scores, dtype=np.float32)}
    with pytest.raises(DataError, match=message):
        AssociationRules().from_arrays(LETTERS, arrays)
