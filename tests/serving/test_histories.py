"""Histories as sessions."""

from __future__ import annotations

import pytest

from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.serving.histories import History, as_sessions, check_history
from embedrec.serving.schemas import HistoryRequest

VOCAB = Vocab(["a", "b", "c"])


def test_histories_are_sessions_of_their_rows() -> None:
    sessions = as_sessions([History([2, 0]), History([]), History([1])], VOCAB)
    assert (sessions.offsets.tolist(), sessions.items.tolist()) == ([0, 2, 2, 3], [2, 0, 1])
    assert sessions.vocab is VOCAB
    assert (sessions.times, sessions.kinds, sessions.users) == (None, None, None)


def test_times_kinds_and_users_are_columns() -> None:
    sessions = as_sessions([History([0, 1], [5, 7], ["click", "buy"], "u"), History([2], [9], ["buy"], "v")], VOCAB)
    assert sessions.times is not None and sessions.times.tolist() == [5, 7, 9]
    assert sessions.kinds is not None and sessions.kinds.tolist() == [1, 0, 0]
    assert sessions.kind_names is not None and sessions.kind_names.tolist() == ["buy", "click"]
    assert sessions.users is not None and sessions.users.tolist() == ["u", "v"]


def test_histories_of_other_columns_do_not_mix() -> None:
    with pytest.raises(SettingsError, match="for all histories of a request, or for none"):
        as_sessions([History([0], [1]), History([0])], VOCAB)


def test_impossible_times_are_refused() -> None:
    with pytest.raises(SettingsError, match=f"times must be milliseconds since 1970, but one is {10**17}"):
        as_sessions([History([0], [10**17])], VOCAB)


def test_columns_have_the_length_of_the_items() -> None:
    check_history(HistoryRequest(items=["a"], times=[1], kinds=["buy"]))
    with pytest.raises(SettingsError, match="a history of 1 items needs as many times, but has 2"):
        check_history(HistoryRequest(items=["a"], times=[1, 2]))
