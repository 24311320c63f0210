"""Sessions with several users are split; blanks in a guessed column of users lose no rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from embedrec.readers import BadRows
from embedrec.readers.recbole import RecBole
from embedrec.readers.session_tables import SessionTables
from embedrec.readers.table import Table
from embedrec.readers.wsknn import Wsknn
from embedrec.tabular.read_settings import ReadSettings
from tests.data import strategies as draw
from tests.readers.reading import SKIP, refusal, rows, write

_NOTE = (
    "1 of 2 sessions, such as 1, have events of several users (session numbers restart for each user): "
    "they are split by 'user'"
)


def read(tmp_path: Path, content: str, reader: Any = None) -> tuple[Any, list[str]]:
    bad_rows = BadRows()
    write(tmp_path, {"t.csv": content})
    return (reader or Table()).read([tmp_path / "t.csv"], ReadSettings(bad_rows)), bad_rows.notes


def test_sessions_of_several_users_are_split(tmp_path: Path) -> None:
    content = "user,session,item\nA,1,a\nB,1,c\nA,1,b\nB,2,x\nB,1,d\n"
    events, notes = read(tmp_path, content)
    assert rows(events, "user") == [
        ("1-A", "a", "A"),
        ("1-A", "b", "A"),
        ("1-B", "c", "B"),
        ("1-B", "d", "B"),
        ("2", "x", "B"),
    ]
    assert notes == [f"{_NOTE}; --user - joins them"]
    events, notes = read(tmp_path, content, Table(user="-"))
    assert rows(events) == [(1, "a"), (1, "c"), (1, "b"), (1, "d"), (2, "x")] and notes == []
    for reader in (SessionTables(), Wsknn()):
        events, notes = read(tmp_path, content, reader)
        assert [i for i, _ in rows(events)] == ["1-A", "1-A", "1-B", "1-B", "2"]
        assert (notes, events.user) == ([_NOTE], None)


def test_ids_of_split_sessions_are_unique(tmp_path: Path) -> None:
    events, _ = read(tmp_path, "user,session,item\nA,1,a\nB,1,c\nC,1-A,x\nC,1-A,y\n")
    assert list(dict.fromkeys(i for i, _ in rows(events))) == ["1--A", "1--B", "1-A"]


@draw.given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("AB"), st.integers(0, 9)), min_size=1, max_size=20))
def test_split_sessions_equal_a_slow_reference(tmp_path: Path, events: list[tuple[int, str, int]]) -> None:
    lines = [f"{s},{u},{n},2020-01-01 00:00:0{t}" for n, (s, u, t) in enumerate(events)]
    result, _ = read(tmp_path, "\n".join(["session,user,item,time", *lines, ""]))
    users = {
        s: list(dict.fromkeys(u for t, s2, u in sorted((t, s2, u) for s2, u, t in events) if s2 == s))
        for s, _, _ in events
    }
    shared = {s for s in users if len(users[s]) > 1}
    expected = {}
    for n, (s, u, t) in enumerate(events):
        expected.setdefault(f"{s}-{u}" if s in shared else str(s), []).append((t, n))
    result_items: dict[str, list[int]] = {}
    for session, item, _ in rows(result, "user"):
        result_items.setdefault(str(session), []).append(item)
    assert result_items == {session: [n for _, n in sorted(members)] for session, members in expected.items()}
    assert all(
        len({u for s, _, u in rows(result, "user") if s == session_id}) == 1
        for session_id in result.sessions.ids.tolist()
    )


_BLANK = "user_id,session_id,item_id\nu1,1,a\n,1,b\n,2,a\nu1,2,c\n"


def test_a_guessed_column_of_users_may_have_blanks(tmp_path: Path) -> None:
    events, notes = read(tmp_path, _BLANK)
    assert rows(events) == [(1, "a"), (1, "b"), (2, "a"), (2, "c")]
    assert (events.user, events.users) == (None, None)
    assert notes == [
        "the column 'user_id' is blank in 2 of 4 rows, so no users are read; name it with --user to read them, "
        "and leave such rows out"
    ]
    events, notes = read(
        tmp_path, _BLANK.replace(",1,b", "NULL,1,b").replace("\n,", "\nNULL,"), Table(missing=("NULL",))
    )
    assert events.user is None and len(events) == 4 and len(notes) == 1


def test_a_given_column_of_users_may_not_have_blanks(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": _BLANK, "t.inter": _BLANK.replace(",", "\t")})
    message = "row 2: user_id is missing; --user - reads all rows without users"
    assert refusal(Table(user="user_id"), [tmp_path / "t.csv"]) == f"{tmp_path}/t.csv, {message}{SKIP}"
    assert refusal(RecBole(user="user_id"), [tmp_path / "t.inter"]) == f"{tmp_path}/t.inter, {message}{SKIP}"
    assert len(Table(user="-").read([tmp_path / "t.csv"], ReadSettings())) == 4
    # a row without a user has no session here
    without_sessions = "user_id,item_id\nu1,a\n,b\n"
    write(tmp_path, {"t.csv": without_sessions})
    assert refusal(Table(), [tmp_path / "t.csv"]) == f"{tmp_path}/t.csv, row 2: user_id is missing{SKIP}"


def test_a_session_is_needed_if_users_are_not_kept(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "user_id,item_id\nu1,a\n"})
    for reader in (SessionTables(), Wsknn()):
        assert "has no column of sessions; name one of user_id, item_id with --session" in refusal(
            reader, [tmp_path / "t.csv"]
        )


@pytest.mark.parametrize("word", ["NA", "NULL", r"\N", "None"])
def test_words_for_missing_ids_may_be_given(tmp_path: Path, word: str) -> None:
    content = f"session,item,item_name\n1,{word},A\n1,b,{word}\n{word},c,C\n"
    assert read(tmp_path, content)[0].items.ids.tolist() == [word, "b", "c"]  # an id, unless `missing` contains it
    write(tmp_path, {"t.csv": content})
    bad_rows = BadRows("skip")
    events = Table(missing=(word,)).read([tmp_path / "t.csv"], ReadSettings(bad_rows))
    assert (rows(events), events.items.names.tolist()) == ([(1, "b")], [""])
    assert bad_rows.counts == {"item is missing": 1, "session is missing": 1}
