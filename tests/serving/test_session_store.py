"""Stores of live sessions: the same tests over SQLite and Redis."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError
from embedrec.serving import session_store
from embedrec.serving.session_store import Event, RedisStore, SessionStore, SqliteStore, open_store
from tests.publish.conftest import redis, redis_url  # noqa: F401

Open = Callable[[float], SessionStore]


@pytest.fixture(params=["sqlite", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the store; with another time to live, it is the same store."""
    if request.param == "redis":
        request.getfixturevalue("redis")
        url = request.getfixturevalue("redis_url")
        return lambda ttl: RedisStore(url, ttl)
    return lambda ttl: SqliteStore(tmp_path / "sessions.sqlite", ttl)


EVENTS = [Event("a", 1, "click"), Event(5, 2), Event("ö/“\0", 3)]


def test_events_are_kept_in_order(opened: Open) -> None:
    store, now = opened(60), time.time()
    assert store.get("s", now) is None
    assert store.append("s", EVENTS[:2], "user", now) == 2
    assert store.append("s", EVENTS[2:], None, now) == 3
    assert store.append("other", EVENTS[:1], None, now) == 1
    again = opened(60).get("s", now)
    assert again is not None
    assert (again.events, again.count, again.user) == (EVENTS, 3, "user")


def test_only_the_last_events_are_kept(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_store, "MAX_HISTORY", 4)
    store, now = opened(60), time.time()
    for start in range(0, 9, 3):
        store.append("s", [Event(item, 0) for item in range(start, start + 3)], None, now)
    live = store.get("s", now)
    assert live is not None and live.count == 9
    assert [event.item for event in live.events] == [5, 6, 7, 8]


def test_sessions_are_deleted(opened: Open) -> None:
    store, now = opened(60), time.time()
    store.append("s", EVENTS, None, now)
    first = store.get("s", now)
    assert (store.delete("s"), store.delete("s"), store.get("s", now)) == (True, False, None)
    store.append("s", EVENTS[:1], None, now)
    second = store.get("s", now)
    assert first is not None and second is not None and first.born != second.born
    assert second.events == EVENTS[:1]


def test_sessions_end_after_their_time(opened: Open) -> None:
    store, now = opened(0.2), time.time()
    store.append("s", EVENTS, None, now)
    assert store.get("s", now + 0.1) is not None
    time.sleep(0.3)
    assert store.get("s", time.time()) is None
    assert store.append("s", EVENTS[:1], None, time.time()) == 1


def test_purged_sessions_leave_no_row(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "sessions.sqlite", 10)
    store.append("old", EVENTS, None, 100.0)
    store.append("new", EVENTS, None, 105.0)
    store.purge(112.0)
    with sqlite3.connect(tmp_path / "sessions.sqlite") as connection:
        assert connection.execute("SELECT id FROM sessions").fetchall() == [("new",)]
    connection.close()


def append_for_ever(file: Path, ready: Any) -> None:
    store = SqliteStore(file, 60)
    for number in range(10**6):
        store.append(f"s{number % 7}", [Event(number, 0)], None, time.time())
        ready.value = number


def test_sessions_survive_a_kill(tmp_path: Path) -> None:
    """Every event whose append had returned is there."""
    file, context = tmp_path / "sessions.sqlite", multiprocessing.get_context("spawn")
    last = context.Value("q", -1)
    process = context.Process(target=append_for_ever, args=(file, last))
    process.start()
    end = time.monotonic() + 60
    while last.value < 50 and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    appended, store = last.value, SqliteStore(file, 60)
    assert appended >= 50
    items: set[Any] = set()
    for number in range(7):
        live = store.get(f"s{number}", time.time())
        items |= {event.item for event in (live.events if live else ())}
    assert set(range(appended + 1)) <= items


def test_files_do_not_contain_deleted_sessions(tmp_path: Path) -> None:
    store, now = SqliteStore(tmp_path / "sessions.sqlite", 60), time.time()
    store.append("kept", [Event("an item that stays", 1)], None, now)
    for at in range(3):
        store.append("secret-session", [Event("a secret item", at)], "a secret user", now)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"a secret item" in written and b"secret-session" in written
    assert store.delete("secret-session")
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"an item that stays" in left
    assert b"secret" not in left


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new" / "sessions.sqlite", 60)
    store.append("s", EVENTS, None, time.time())
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new").iterdir()}
    assert modes == {0o600}


def test_stores_that_cannot_be_used_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but a text that is long enough to be none")
    for store in (SqliteStore(tmp_path / "file", 1), RedisStore("redis://:secret@127.0.0.1:1/0", 1)):
        with pytest.raises(ArtifactError, match="live sessions cannot be kept") as caught:
            store.append("s", EVENTS, None, 0.0)
        assert "secret" not in str(caught.value)
        with pytest.raises(ArtifactError, match="live sessions cannot be kept"):
            store.check()


def test_stores_that_can_be_used_pass_their_check(opened: Open) -> None:
    store, now = opened(60), time.time()
    store.append("s", EVENTS, None, now)
    store.check()
    kept = store.get("s", now)
    assert kept is not None and kept.events == EVENTS


def test_the_place_chooses_the_store(tmp_path: Path) -> None:
    assert isinstance(open_store("redis://127.0.0.1:1/0", tmp_path / "x", 1), RedisStore)
    default, named = open_store("", tmp_path / "x", 1), open_store(str(tmp_path / "y"), tmp_path / "x", 1)
    assert isinstance(default, SqliteStore) and default.file == tmp_path / "x"
    assert isinstance(named, SqliteStore) and named.file == tmp_path / "y"


def test_a_full_disk_refuses_events_and_keeps_what_was_there(tmp_path: Path) -> None:
    store, now = SqliteStore(tmp_path / "sessions.sqlite", 60), time.time()
    store.append("s", EVENTS, None, now)
    connection = store._opened
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"live sessions cannot be kept in .* \(database or disk is full\)"):
            store.append("s", [Event("x" * 100_000, 1)], None, now)
        live = store.get("s", now)
        assert live is not None and live.events == EVENTS
    connection.execute("PRAGMA max_page_count=1000000")
    assert store.append("s", EVENTS[:1], None, now) == 4


@pytest.mark.parametrize("statement", ["CREATE TABLE bookmarks (url TEXT)", "CREATE TABLE sessions (id INTEGER)"])
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "places.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()
    before = file.read_bytes()
    store = SqliteStore(file, 60)
    for work in (lambda: store.append("s", EVENTS, None, 0.0), lambda: store.get("s", 0.0), lambda: store.purge(0.0)):
        with pytest.raises(ArtifactError, match="is a database of another program; choose another file"):
            work()
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["places.sqlite"]


def test_sessions_of_an_earlier_process_are_purged(tmp_path: Path) -> None:
    file = tmp_path / "sessions.sqlite"
    SqliteStore(file, 60).purge(0.0)
    assert not file.exists()
    SqliteStore(file, 60).append("s", EVENTS, None, 0.0)
    SqliteStore(file, 60).purge(61.0)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    connection.close()
