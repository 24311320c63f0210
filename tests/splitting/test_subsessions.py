from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.splitting import subsessions as module
from embedrec.splitting.subsessions import sub_sessions
from tests.conftest import of_lists, read_only
from tests.data import strategies as draw


def sessions_with_columns(lists: list[list[str]]) -> Sessions:
    """Read-only sessions whose events differ in every column."""
    sessions = of_lists(lists)
    e = np.arange(len(sessions.items))
    return replace(
        sessions,
        offsets=read_only(sessions.offsets),
        items=read_only(sessions.items),
        ids=np.array([f"s{s}" for s in range(len(sessions))], dtype=object),
        times=read_only(e * 1000),
        weights=read_only((e / 2).astype(np.float32)),
        kinds=read_only((e % 2).astype(np.int32)),
        kind_names=np.array(["buy", "view"], dtype=object),
        users=np.array([f"u{s % 3}" for s in range(len(sessions))], dtype=object),
    )


@draw.given(draw.lists, st.integers(1, 4), st.sampled_from([1, 3, 1 << 20]), examples=100)
def test_sub_sessions_are_all_prefixes(lists: list[list[str]], shortest: int, events: int) -> None:
    sessions = sessions_with_columns(lists)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COPIED_EVENTS", events)
        rows = sub_sessions(sessions, shortest)
    expected = [(s, length) for s, items in enumerate(lists) for length in range(shortest, len(items) + 1)]
    assert len(rows) == len(expected) and rows.ids.tolist() == list(range(len(expected)))
    assert rows.vocab is sessions.vocab and rows.kind_names is sessions.kind_names
    assert rows.users is not None and rows.users.tolist() == [f"u{s % 3}" for s, _ in expected]
    assert rows.items.dtype == np.int32 and rows.offsets.dtype == np.int64
    for name in ("items", "times", "weights", "kinds"):
        given, result = getattr(sessions, name), getattr(rows, name)
        prefixes = [given[sessions.offsets[s] :][:length].tolist() for s, length in expected]
        assert [part.tolist() for part in np.split(result, rows.offsets[1:-1]) if len(part)] == prefixes
        assert result.dtype == given.dtype


def test_sub_sessions_lack_the_columns_that_sessions_lack() -> None:
    rows = sub_sessions(of_lists(["abc", "d", "", "aa"]))
    assert [rows.vocab.ids[rows[s]].tolist() for s in range(len(rows))] == [["a", "b"], ["a", "b", "c"], ["a", "a"]]
    assert rows.times is None and rows.weights is None and rows.kinds is None and rows.users is None
    assert rows.vocab.ids.tolist() == ["a", "b", "c", "d"]  # also what is in no row
    assert len(sub_sessions(of_lists(["a", ""]))) == 0


def test_a_shortest_length_of_0_is_refused() -> None:
    with pytest.raises(SettingsError, match="shortest must be at least 1, but is 0"):
        sub_sessions(of_lists(["ab"]), 0)


def test_too_many_events_are_refused_before_allocation() -> None:
    sessions = of_lists([np.zeros(200_000, dtype=np.int64).tolist(), [1, 2]])
    with pytest.raises(DataError) as error:
        sub_sessions(sessions)
    assert str(error.value) == (
        "all sub-sessions of 2 sessions have 20,000,100,001 events, which is too many: the number grows with the "
        "square of the length, and the longest session, 0, has 200,000 events; prepare the sessions again with "
        "--max-length, or use --whole-sessions"
    )
