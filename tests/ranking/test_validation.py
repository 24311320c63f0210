"""The comparison of a composite with its best part."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec import Popular, SequentialRules, Sessions
from embedrec.errors import TargetNotMet
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.fusion import FusionScorer
from embedrec.ranking.parts import Part
from embedrec.ranking.validation import COMPOSITE, check_better, compare_with_parts, describe_comparison, target_ranks
from embedrec.ranking.window import Window, hold_out_window
from tests.conftest import of_lists


def chains(count: int = 300) -> Sessions:
    """Item i is followed by item i + 1."""
    rng = np.random.default_rng(0)
    return of_lists(
        [[f"i{(s + k) % 20}" for k in range(n)] for s, n in rng.integers((0, 2), (20, 15), (count, 2)).tolist()]
    )


def parts_of(window: Window) -> tuple[Part, ...]:
    models = [("sr", SequentialRules()), ("popular", Popular())]
    trained = [(name, recipe.fit(window.train)) for name, recipe in models]
    return tuple(Part(name, model, model, 20, None, None) for name, model in trained)


def test_the_best_part_is_named_and_a_composite_that_ignores_it_is_worse() -> None:
    window = hold_out_window(chains(), 0.3, 1000, seed=0)
    parts = parts_of(window)
    only = [FusionScorer(("sr", "popular"), np.array(w, dtype=np.float32), True, 60.0) for w in ([1, 0], [0, 1])]
    same, worse = (compare_with_parts(window, parts, scorer) for scorer in only)
    assert same["best"] == worse["best"] == "sr"
    assert (
        same["metrics"]["sr"] == same["metrics"][COMPOSITE]
        and worse["metrics"]["popular"] == worse["metrics"][COMPOSITE]
    )
    assert same["gain"] == 0 and not same["better"]
    assert worse["low"] <= worse["gain"] <= worse["high"] < 0 and not worse["better"]
    check_better("fusion", worse, force=True)
    with pytest.raises(TargetNotMet) as error:
        check_better("fusion", worse, force=False)
    assert str(error.value) == describe_comparison("fusion", worse) + "; nothing is written without --force"
    assert [point["model"] for point in error.value.points] == ["sr", "popular", "fusion"]
    assert "against 1.0000 of its best part sr (difference -" in str(error.value)


def test_a_composite_that_ranks_the_target_first_is_better() -> None:
    window = hold_out_window(chains(), 0.3, 1000, seed=0)
    parts = parts_of(window)[1:]

    class Oracle:
        def scores(self, histories: Sessions, candidates: Candidates) -> np.ndarray:
            number = np.array([int(i[1:]) for i in histories.vocab.ids])
            last = number[histories.items[histories.offsets[1:] - 1]][candidates.question_of]
            return (number[candidates.items] == (last + 1) % 20).astype(np.float32)

        def contributions(self, histories: Sessions, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
            return (), np.zeros((len(candidates.items), 0))

    about = compare_with_parts(window, parts, Oracle())
    assert about["better"] and about["low"] > 0 and about["metrics"][COMPOSITE]["mrr@20"] == 1
    check_better("ranker", about, force=False)


def test_ranks_of_targets_among_candidates() -> None:
    candidates = Candidates(
        np.array([0, 3, 3, 5]),
        np.array([4, 2, 9, 2, 4], np.int32),
        np.zeros((5, 1), np.int32),
        np.zeros((5, 1), np.float32),
        (None,),
    )
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.2], np.float32)
    assert target_ranks(candidates, scores, np.array([9, 2, 2])).tolist() == [3, np.inf, 2]
