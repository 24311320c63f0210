"""The window of the newest sessions, against a slow reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions
from embedrec.workflows.refresh import validation
from embedrec.workflows.refresh.validation import newest_window

lists = st.dictionaries(st.integers(0, 8), st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), min_size=1)


def sessions_of(content: dict[int, list[str]]) -> Sessions:
    made = Sessions.of_lists(list(content.values()))
    return replace(made, ids=np.array(list(content), dtype=np.int64))


@given(lists, lists, st.sampled_from([0.3, 1.0]))
def test_the_window_is_what_the_old_sessions_lack(old: dict, more: dict, share: float) -> None:  # type: ignore[type-arg]
    content = {**old, **{s: (old.get(s, []) if s % 2 else []) + items for s, items in more.items()}}
    content = dict(sorted(content.items()))
    new = sessions_of(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "SHARE", share)
        patch.setattr(validation, "FEWEST", 1)
        split = newest_window(session_changes(sessions_of(old), new))
    useful = []
    for s, items in content.items():
        before = old.get(s, [])
        if items != before and items[: len(before)] == before and len(items) > max(len(before), 1):
            useful.append(s)
    chosen = useful[len(useful) - int(share * len(useful)) :]
    if not chosen:
        assert split is None
        return
    assert split is not None
    train, test = split
    assert test.sessions.ids.tolist() == chosen
    assert test.given.tolist() == [len(old.get(s, [])) for s in chosen]
    trained = {s: content[s] if s not in chosen else old.get(s, []) for s in content}
    found = {int(i): train.vocab.ids[train[r]].tolist() for r, i in enumerate(train.ids.tolist())}
    assert found == {s: items for s, items in trained.items() if items}


def test_few_new_sessions_measure_nothing() -> None:
    old = Sessions.of_lists([["a", "b"]] * 5)
    new = Sessions.of_lists([["a", "b"]] * (5 + validation.FEWEST))
    assert newest_window(session_changes(old, new)) is None
    many = Sessions.of_lists([["a", "b"]] * (5 + 5 * validation.FEWEST))
    window = newest_window(session_changes(old, many))
    assert window is not None and len(window.test) == validation.FEWEST


def test_the_newest_are_those_that_end_last() -> None:
    old = Sessions.of_lists([["a", "b"]])
    new = Sessions.of_lists([["a", "b"]] * 51)
    times = np.arange(102, dtype=np.int64)[::-1].reshape(51, 2)[:, ::-1].ravel().copy()
    timed = replace(new, times=times)
    window = newest_window(session_changes(replace(old, times=times[:2]), timed))
    assert window is not None and window.test.sessions.ids.tolist() == list(range(1, 11))
