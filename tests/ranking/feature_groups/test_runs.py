"""Runs of events, and what followed them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.kernels.ranking_features import find_runs
from embedrec.ranking.feature_groups.runs import RunFeatures
from tests.conftest import of_lists, read_only

VOCAB = Vocab(np.arange(4))
lists = st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=5)


def test_levels() -> None:
    sessions = of_lists(["abcd", "abcb", "ab", "cd"])
    a, b, c, d = sessions.vocab.rows_of(["a", "b", "c", "d"]).tolist()
    two, three, four = RunFeatures.fit(sessions).levels
    follow = [two[1][start:stop].tolist() for start, stop in pairwise(two[0].tolist())]
    assert [follow[item] for item in (a, b, c, d)] == [[b], [c], sorted([b, d]), []]
    assert two[2][two[0][c] : two[0][c + 1]].tolist() == pytest.approx([1 / 4, 2 / 4] if b < d else [2 / 4, 1 / 4])
    ab, bc = int(two[0][a]), int(two[0][b])
    assert three[1][three[0][ab] : three[0][ab + 1]].tolist() == [c]
    assert three[2][three[0][ab] : three[0][ab + 1]].tolist() == pytest.approx([2 / 3])
    assert three[2][three[0][bc] : three[0][bc + 1]].tolist() == pytest.approx([1 / 3, 1 / 3])
    abc = int(three[0][ab])
    assert four[1][four[0][abc] : four[0][abc + 1]].tolist() == sorted([b, d])


@given(lists, st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=5), st.sampled_from([2, 3]))
def test_runs_are_found_as_a_loop_finds_them(train: list[list[int]], asked: list[list[int]], length: int) -> None:
    levels = RunFeatures.fit(Sessions.of_lists(train, VOCAB)).levels
    known = [
        sorted({tuple(items[e : e + size]) for items in train for e in range(len(items) - size + 1)}) for size in (2, 3)
    ]
    histories = Sessions.of_lists(asked, VOCAB)
    rows = np.empty(len(asked), dtype=np.int64)
    offsets, items = read_only(histories.offsets), read_only(histories.items)
    find_runs(offsets, items, length, *levels[0][:2], *levels[1][:2], rows)
    # entries are ascending, so that the number of a run is its place among all runs of its length
    places = {run: place for place, run in enumerate(known[length - 2])}
    assert rows.tolist() == [places.get(tuple(one[-length:]), -1) if len(one) >= length else -1 for one in asked]


def test_tables_that_do_not_fit() -> None:
    arrays = RunFeatures.fit(of_lists(["abcd", "abcb"])).arrays
    assert RunFeatures.from_arrays(4, arrays).names == ("next after last two", "next after last three")
    with pytest.raises(DataError, match=r"runs\.2\.starts"):
        RunFeatures.from_arrays(4, {**arrays, "runs.2.starts": arrays["runs.2.starts"][:-1]})
    with pytest.raises(DataError, match="rows of 3 items"):
        RunFeatures.from_arrays(3, {**arrays, "runs.1.starts": arrays["runs.1.starts"][:4]} | _without_last(arrays))


def _without_last(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The first level without the entries of its last item."""
    stop = int(arrays["runs.1.starts"][3])
    return {name: arrays[name][:stop] for name in ("runs.1.items", "runs.1.values")}
