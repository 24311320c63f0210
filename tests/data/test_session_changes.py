"""Changes of sessions: against a slow comparison of plain lists, and cases by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.data import session_changes as module
from embedrec.data.session_changes import SessionChanges, session_changes
from tests.data import strategies as draw
from tests.data.plain import Plain, plain_of, plain_sessions, sessions_of


@st.composite
def versions(data: st.DrawFn) -> tuple[list[Plain], list[Plain]]:
    """Two versions: some sessions in common, in any order, some with another event more or less."""
    old, other = data(plain_sessions()), data(plain_sessions())
    kept = data(st.lists(st.sampled_from(old), unique_by=lambda p: p.id)) if old else []
    cut = [p._replace(events=p.events[:-1]) if data(st.booleans()) else p for p in kept]
    ids = {p.id for p in cut}
    mixed = signature(old) == signature(other) != set()
    like = [p for p in other if p.id not in ids] if not cut or mixed else []
    return old, data(st.permutations([*cut, *like]))


def signature(sessions: list[Plain]) -> set[tuple[type, ...]]:
    """The types of the columns: only sessions of the same can be mixed."""
    return {(type(p.id), type(p.user), *(type(v) for e in p.events[:1] for v in e)) for p in sessions if p.events}


def check(changes: SessionChanges) -> None:
    """The parts are complete and agree with a comparison of plain lists."""
    old, new = plain_of(changes.old), plain_of(changes.new)
    for a, b in zip(changes.kept_old.tolist(), changes.kept_new.tolist(), strict=True):
        assert old[a] == new[b]
    for rows, kept, plain in (
        (changes.removed, changes.kept_old, old),
        (changes.added, changes.kept_new, new),
    ):
        assert sorted([*rows.tolist(), *kept.tolist()]) == list(range(len(plain)))
        assert rows.tolist() == sorted(rows.tolist())
    assert changes.kept_old.tolist() == sorted(changes.kept_old.tolist())
    assert [p.id for p in plain_of(changes.removed_sessions)] == [old[s].id for s in changes.removed.tolist()]
    assert [p.id for p in plain_of(changes.added_sessions)] == [new[s].id for s in changes.added.tolist()]
    new_ids = changes.new.vocab.ids.tolist()
    for item, row in zip(changes.old.vocab.ids.tolist(), changes.item_rows.tolist(), strict=True):
        assert row == (new_ids.index(item) if item in new_ids else -1)
    old_ids = changes.old.vocab.ids.tolist()
    for item, row in zip(new_ids, changes.old_item_rows.tolist(), strict=True):
        assert row == (old_ids.index(item) if item in old_ids else -1)
    kept, total = (sum(len(p.events) for p in part) for part in ([old[s] for s in changes.kept_old], [*old, *new]))
    assert changes.kept_share == pytest.approx(2 * kept / total if total else 1)
    assert changes.same_order == (changes.kept_new.tolist() == sorted(changes.kept_new.tolist()))


@draw.given(versions(), examples=150)
def test_changes_are_those_of_plain_lists(versions: tuple[list[Plain], list[Plain]]) -> None:
    old, new = versions
    changes = session_changes(sessions_of(old), sessions_of(new))
    check(changes)
    columns = all((getattr(changes.old, c) is None) == (getattr(changes.new, c) is None) for c in _EVENT_COLUMNS)
    if columns:
        equal = {p.id for p in old} & {p.id for p in new if p in old}
        assert {old[s].id for s in changes.kept_old.tolist()} == equal


_EVENT_COLUMNS = ("times", "weights", "users")


def lists(sessions: list[str], ids: list[object]) -> Sessions:
    made = Sessions.of_lists([list(text) for text in sessions])
    return replace(made, ids=np.array(ids, dtype=object) if isinstance(ids[0], str) else np.array(ids))


def test_equal_sessions_have_no_changes() -> None:
    old = lists(["ab", "c", ""], [1, 2, 3])
    changes = session_changes(old, lists(["ab", "c", ""], [1, 2, 3]))
    assert not len(changes.removed) and not len(changes.added) and changes.same_order
    assert changes.item_rows.tolist() == [0, 1, 2]


def test_sessions_grow_shrink_and_disappear() -> None:
    changes = session_changes(lists(["ab", "bc", "cab", "d"], [1, 2, 3, 4]), lists(["abe", "bc", "ab"], [1, 2, 3]))
    assert changes.removed.tolist() == [0, 2, 3] and changes.added.tolist() == [0, 2]
    assert changes.kept_old.tolist() == changes.kept_new.tolist() == [1]
    assert changes.item_rows.tolist() == [0, 1, 3, -1] and changes.old_item_rows.tolist() == [0, 1, -1, 2]


def test_the_order_of_items_and_of_sessions_counts() -> None:
    changes = session_changes(lists(["ab", "bc", "cd"], [1, 2, 3]), lists(["cd", "ba", "bc"], [3, 1, 2]))
    assert changes.removed.tolist() == [0] and changes.added.tolist() == [1]
    assert changes.kept_new.tolist() == [2, 0] and not changes.same_order


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = lists(["ab", "bc", "cab", "d", "e"], [1, 2, 3, 4, 5]), lists(["e", "ab", "c", "cab"], [5, 1, 2, 3])
    whole = session_changes(old, new)
    monkeypatch.setattr(module, "BLOCK_SESSIONS", 2)
    parts = session_changes(old, new)
    assert parts.kept_old.tolist() == whole.kept_old.tolist() == [0, 2, 4]
    assert parts.kept_new.tolist() == whole.kept_new.tolist() == [1, 3, 0]
    check(parts)


def test_repeated_ids_are_matched_once() -> None:
    check(session_changes(lists(["a", "a", "b"], [1, 1, 1]), lists(["b", "a", "a"], [1, 1, 2])))
    same = session_changes(lists(["a", "a"], ["s", "s"]), lists(["a", "a"], ["s", "s"]))
    check(same)
    assert len(same.kept_old) == 1


def test_ids_of_another_type_are_other_ids() -> None:
    changes = session_changes(lists(["a"], [1]), lists(["a"], ["1"]))
    assert changes.removed.tolist() == [0] and changes.added.tolist() == [0]


@pytest.mark.parametrize("column", ["times", "weights", "users", "kinds"])
def test_every_column_is_compared(column: str) -> None:
    plain = lists(["ab", "c"], [1, 2])
    size = 2 if column == "users" else 3
    old = replace(plain, **{column: np.arange(size)})
    other = np.arange(size)
    other[-1] += 1
    assert session_changes(old, replace(plain, **{column: np.arange(size)})).added.tolist() == []
    assert session_changes(old, replace(plain, **{column: other})).added.tolist() == [1]
    assert session_changes(old, plain).added.tolist() == [0, 1]
    assert session_changes(plain, old).added.tolist() == [0, 1]


def test_users_of_another_type_are_other_users() -> None:
    plain = lists(["ab", "c"], [1, 2])
    changes = session_changes(replace(plain, users=np.array([1, 2])), replace(plain, users=np.array(["1", "2"])))
    assert changes.added.tolist() == [0, 1]


def test_kinds_are_compared_by_name() -> None:
    plain = lists(["ab", "c"], [1, 2])
    old = replace(plain, kinds=np.array([0, 1, 1]), kind_names=np.array(["click", "buy"]))
    moved = replace(plain, kinds=np.array([1, 0, 0]), kind_names=np.array(["buy", "click"]))
    assert session_changes(old, moved).added.tolist() == []
    renamed = replace(old, kind_names=np.array(["click", "sale"]))
    assert session_changes(old, renamed).added.tolist() == [0, 1]


def test_no_sessions_at_all() -> None:
    none = Sessions.of_lists([], Vocab(["a"]))
    check(session_changes(none, none))
    check(session_changes(none, lists(["a"], ["s"])))
    check(session_changes(lists(["a"], ["s"]), none))
