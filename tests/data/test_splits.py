from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Sessions
from embedrec.data.splits import last_item_out
from embedrec.errors import DataError
from tests.conftest import read_only


def words(sessions: Sessions) -> list[list[str]]:
    return [sessions.vocab.ids[sessions[s]].tolist() for s in range(len(sessions))]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), max_size=8))
def test_against_a_plain_twin(lists: list[list[str]]) -> None:
    sessions = Sessions.of_lists(lists)
    if all(len(items) < 2 for items in lists):
        with pytest.raises(DataError, match="no session has two items"):
            last_item_out(sessions)
        return
    train, test = last_item_out(sessions)
    kept = [items[:-1] if len(items) >= 2 else items for items in lists]
    assert words(train) == kept
    assert words(test.histories) == [items[:-1] for items in lists if len(items) >= 2]
    counts = Counter(i for items in kept for i in items)
    assert train.vocab.ids.tolist() == sorted(counts, key=lambda i: (-counts[i], i))
    assert train.vocab.counts is not None and train.vocab.counts.tolist() == [counts[i] for i in train.vocab.ids]
    assert test.histories.vocab is train.vocab
    last = [items[-1] for items in lists if len(items) >= 2]
    rows = {i: r for r, i in enumerate(train.vocab.ids.tolist())}
    assert test.targets.tolist() == [rows.get(i, -1) for i in last]
    assert test.targets.dtype == np.int64


def test_columns_and_ids_stay_with_their_sessions() -> None:
    sessions = Sessions(
        read_only(np.array([0, 2, 3, 6])),
        read_only(np.array([0, 1, 1, 2, 0, 1])),
        Sessions.of_lists(["abc"]).vocab,
        read_only(np.array([70, 80, 90])),
        times=read_only(np.arange(6)),
        users=["u", "v", "w"],  # type: ignore[arg-type]
    )
    train, test = last_item_out(sessions)
    assert train.times is not None and train.times.tolist() == [0, 2, 3, 4]
    assert test.histories.times is not None and test.histories.times.tolist() == [0, 3, 4]
    assert test.histories.ids.tolist() == [70, 90]
    assert test.histories.users is not None and test.histories.users.tolist() == ["u", "w"]
    assert train.ids.tolist() == [70, 80, 90]


def test_an_item_that_only_comes_last_is_unknown_in_training() -> None:
    train, test = last_item_out(Sessions.of_lists(["ab", "ac"]))
    assert train.vocab.ids.tolist() == ["a"]
    assert test.targets.tolist() == [-1, -1]
