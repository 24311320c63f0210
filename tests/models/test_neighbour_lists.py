"""Models that store a list of neighbours of every item."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError, EmbedrecError
from embedrec.models.baselines.popular import Popular
from embedrec.models.neighbour_lists import ListsModel, check_lists
from tests.conftest import read_only

LETTERS = Vocab(list("abcd"))
ITEMS = [[1, 0, 3], [0, 2, -1], [-1, -1, -1], [3, 2, 1]]  # a and d are in their own lists
SCORES = [[3.0, 2.0, 1.0], [2.0, 2.0, -np.inf], [-np.inf] * 3, [5.0, 4.0, 0.5]]


def lists(items: list[list[int]] = ITEMS, scores: list[list[float]] = SCORES) -> dict[str, np.ndarray]:
    return {
        "items": read_only(np.array(items, dtype=np.int32)),
        "scores": read_only(np.array(scores, dtype=np.float32)),
    }


MODEL = ListsModel(Popular(), LETTERS, lists())


@given(st.lists(st.integers(0, 3), max_size=5), st.integers(1, 3), st.none() | st.sets(st.integers(0, 3)))
def test_neighbours_against_the_lists(rows: list[int], k: int, allowed: set[int] | None) -> None:
    """The first k of each list that are allowed; an item is not its own neighbour."""
    given_rows = None if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    result = MODEL.neighbours(np.array(rows, dtype=np.int64), k, allowed=given_rows)
    assert result.vocab is LETTERS and result.rows.shape == (len(rows), k)
    for q, row in enumerate(rows):
        expected = [
            (item, score)
            for item, score in zip(ITEMS[row], SCORES[row], strict=True)
            if item not in (-1, row) and (allowed is None or item in allowed)
        ][:k]
        expected += [(-1, -np.inf)] * (k - len(expected))
        assert list(zip(result.rows[q].tolist(), result.scores[q].tolist(), strict=True)) == expected
    if allowed is not None:
        mask = np.isin(np.arange(4), given_rows)
        assert (MODEL.neighbours(np.array(rows, dtype=np.int64), k, allowed=mask).rows == result.rows).all()


@pytest.mark.parametrize(
    ("rows", "k", "message"),
    [
        ([0], 4, "must be between 1 and 3 for 4 items, but is 4"),
        ([0], 0, "must be between 1 and 3 for 4 items, but is 0"),
        ([4], 1, "rows must be between 0 and 3"),
        ([-1], 1, "rows must be between 0 and 3"),
    ],
)
def test_invalid_queries(rows: list[int], k: int, message: str) -> None:
    with pytest.raises(EmbedrecError, match=message):
        MODEL.neighbours(np.array(rows), k)


def test_valid_lists_pass() -> None:
    check_lists(LETTERS, lists(), "neighbours")
    check_lists(Vocab([]), {"items": np.zeros((0, 1), np.int32), "scores": np.zeros((0, 1), np.float32)}, "neighbours")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (lists(ITEMS[:3], SCORES[:3]), "4 items need so many rows of neighbours, but were given (3, 3)"),
        (
            lists() | {"items": np.array(ITEMS)},
            "neighbours must be int32 with float32 scores, but are int64 with float32",
        ),
        (lists([[4, 0, 3], *ITEMS[1:]]), "neighbours must be rows of 4 items, but some are out of range"),
        (
            lists([[1, 0, -2], *ITEMS[1:]], [[3.0, 2.0, -np.inf], *SCORES[1:]]),
            "neighbours must be rows of 4 items, but some are out of range",
        ),
    ],
)
def test_lists_that_do_not_fit_are_refused(arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError) as error:
        check_lists(LETTERS, arrays, "neighbours")
    assert str(error.value) == message


def test_ascending_scores_are_refused() -> None:
    with pytest.raises(DataError, match="scores must be in descending order"):
        check_lists(LETTERS, lists(scores=[[1.0, 2.0, 3.0], *SCORES[1:]]), "neighbours")
