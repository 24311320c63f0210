"""Live sessions: events that were kept with consent, in SQLite or Redis. They survive the end of every process."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Protocol

import msgspec

from embedrec.errors import ArtifactError, need_package, reason
from embedrec.publish.credentials import Url
from embedrec.serving.schemas import MAX_HISTORY

_BUSY = 5.0  # seconds to wait for another worker that writes


class Event(msgspec.Struct, frozen=True):
    """An event of a session.

    item  an id or a name, as it was given
    time  ms since 1970
    kind  such as "click"; "" for none
    """

    item: int | str
    time: int
    kind: str = ""


class LiveSession(msgspec.Struct, frozen=True):
    """The last events of a session.

    born    distinguishes it from an earlier session of the same id
    count   of all its events; those before the last `MAX_HISTORY` are not kept
    """

    born: str
    count: int
    events: list[Event]
    user: int | str | None = None


class SessionStore(Protocol):
    """Where live sessions are kept. Every function raises ArtifactError if it cannot be reached."""

    def append(self, session: str, events: Sequence[Event], user: int | str | None, now: float) -> int:
        """Add events, and return how many the session has; `now` is in seconds since 1970."""
        ...

    def get(self, session: str, now: float) -> LiveSession | None:
        """A session; None if it is unknown or its time is over."""
        ...

    def delete(self, session: str) -> bool:
        """Forget a session; whether it was known."""
        ...

    def purge(self, now: float) -> None:
        """Forget the sessions whose time is over."""
        ...

    def check(self) -> None:
        """Raises ArtifactError if sessions cannot be kept."""
        ...


def open_store(place: str, default: Path, ttl: float) -> SessionStore:
    """The store at a file or a Redis URL.

    default  the file if `place` is empty
    ttl      seconds that a session is kept after its last event
    """
    if place.startswith(("redis://", "rediss://", "unix://")):
        return RedisStore(place, ttl)
    return SqliteStore(Path(place) if place else default, ttl)


class SqliteStore:
    """Sessions in a SQLite file, shared by the workers of a machine. Only its owner may read the file."""

    def __init__(self, file: Path, ttl: float) -> None:
        self.file = file
        self.ttl = ttl
        self._lock = Lock()
        self._opened: sqlite3.Connection | None = None

    def append(self, session: str, events: Sequence[Event], user: int | str | None, now: float) -> int:
        """See `SessionStore`."""
        with self._transaction() as connection:
            row = self._row(connection, session, now)
            if row is None:
                connection.execute("DELETE FROM sessions WHERE id = ?", (session,))
                row = LiveSession(secrets.token_hex(8), 0, [])
            kept = [*row.events, *events][-MAX_HISTORY:]
            count = row.count + len(events)
            user = row.user if user is None else user
            content = msgspec.msgpack.encode(LiveSession(row.born, count, kept, user))
            connection.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", (session, now, content))
        return count

    def get(self, session: str, now: float) -> LiveSession | None:
        """See `SessionStore`."""
        with self._transaction(write=False) as connection:
            return self._row(connection, session, now)

    def delete(self, session: str) -> bool:
        """See `SessionStore`. The files no longer contain it."""
        with self._transaction() as connection:
            known = connection.execute("DELETE FROM sessions WHERE id = ?", (session,)).rowcount > 0
        if known:
            with self._transaction(write=False) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still has its events
        return known

    def purge(self, now: float) -> None:
        """See `SessionStore`."""
        if self._opened is not None or self.file.exists():
            with self._transaction() as connection:
                connection.execute("DELETE FROM sessions WHERE last < ?", (now - self.ttl,))

    def check(self) -> None:
        """See `SessionStore`."""
        with self._transaction():
            pass

    def _row(self, connection: sqlite3.Connection, session: str, now: float) -> LiveSession | None:
        query = "SELECT content FROM sessions WHERE id = ? AND last >= ?"
        row = connection.execute(query, (session, now - self.ttl)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=LiveSession)

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._opened is None:
                    self._opened = _connect(self.file)
                connection = self._opened
                if not write:
                    yield connection
                    return
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:  # SQLite has ended it already if the disk is full
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError, msgspec.MsgspecError) as e:
                raise ArtifactError(f"live sessions cannot be kept in {self.file} ({reason(e)})") from e


_TABLES = (
    "CREATE TABLE sessions (id TEXT PRIMARY KEY, last REAL, content BLOB)",
    "CREATE INDEX last ON sessions (last)",
)


def _connect(file: Path) -> sqlite3.Connection:
    """Open a store, or make a new one. Raises ArtifactError, and changes nothing, for a database of something else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(file, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if any(sql not in _TABLES for (sql,) in made):
            raise ArtifactError(f"{file} is a database of another program; choose another file with --sessions")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        connection.execute("PRAGMA synchronous=NORMAL")  # the end of a process loses nothing, that of the machine a bit
        for kind, rest in (statement.split(" ", 2)[1:] for statement in _TABLES):
            connection.execute(f"CREATE {kind} IF NOT EXISTS {rest}")
    except BaseException:
        connection.close()
        raise
    return connection


_APPEND = """\
local born = redis.call('HGET', KEYS[1], 'born') or ARGV[1]
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0')
redis.call('HSET', KEYS[1], 'born', born, 'count', count + #ARGV - 4)
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'user', ARGV[2]) end
for i = 5, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[4]), -1)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[3]) end
return count + #ARGV - 4
"""
_GET = "return {redis.call('HMGET', KEYS[1], 'born', 'count', 'user'), redis.call('LRANGE', KEYS[2], 0, -1)}"


class RedisStore:
    """Sessions in Redis, shared by several machines. Redis forgets them when their time is over.

    Raises SettingsError if the package redis is missing.
    """

    def __init__(self, url: str, ttl: float) -> None:
        need_package("redis", "live sessions in Redis")
        from redis import Redis

        self.shown = Url.of(url).shown
        self.ttl = ttl
        self._client = Redis.from_url(url, socket_timeout=_BUSY, socket_connect_timeout=_BUSY)

    def append(self, session: str, events: Sequence[Event], user: int | str | None, now: float) -> int:
        """See `SessionStore`."""
        with self._reaching():
            texts = [msgspec.json.encode(event) for event in events]
            known = b"" if user is None else msgspec.json.encode(user)
            given = (secrets.token_hex(8), known, round(self.ttl * 1000), MAX_HISTORY, *texts)
            return int(self._client.eval(_APPEND, 2, *_keys(session), *given))

    def get(self, session: str, now: float) -> LiveSession | None:
        """See `SessionStore`."""
        with self._reaching():
            (born, count, user), texts = self._client.eval(_GET, 2, *_keys(session))
            if born is None:
                return None
            events = [msgspec.json.decode(text, type=Event) for text in texts]
            return LiveSession(born.decode(), int(count), events, None if user is None else msgspec.json.decode(user))

    def delete(self, session: str) -> bool:
        """See `SessionStore`."""
        with self._reaching():
            return bool(self._client.delete(*_keys(session)))

    def purge(self, now: float) -> None:
        """See `SessionStore`."""

    def check(self) -> None:
        """See `SessionStore`."""
        with self._reaching():
            self._client.ping()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        from redis import RedisError

        try:
            yield
        except (RedisError, OSError, msgspec.MsgspecError) as e:
            raise ArtifactError(f"live sessions cannot be kept at {self.shown} ({type(e).__name__})") from e


def _keys(session: str) -> tuple[str, str]:
    """The keys of a session; the braces keep both on one node of a cluster."""
    return f"embedrec:{{session:{session}}}", f"embedrec:{{session:{session}}}:events"
