"""Whether Redis has lost keys since the last publish, by its own counters, so that it need not be asked for each key.

PREFIX:keyspace  JSON of `Keyspace`, as it was when all keys of the served generation were known to exist
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.publish.redis_session import Session

NAME = "keyspace"
MANY = 2**62  # more keys than any database has


@dataclass(frozen=True)
class Keyspace:
    """The keys of a database.

    run      id of the server's run
    evicted  keys that the server has evicted since its start
    keys     keys of the database, also of others
    """

    run: str
    evicted: int
    keys: int

    @classmethod
    def now(cls, session: Session) -> Keyspace | None:
        """The state of the server; None if it does not say."""
        import redis

        def ask() -> Keyspace | None:
            try:
                about = session.client.info()
                return cls(str(about["run_id"]), int(about["evicted_keys"]), int(session.client.dbsize()))
            except (redis.ResponseError, KeyError):
                return None

        return session.call(ask)

    @classmethod
    def stored(cls, session: Session) -> Keyspace | None:
        """The state that `store` has stored; None if there is none."""
        value = session.call(lambda: session.client.get(session.key(NAME)))
        try:
            return None if value is None else build(cls, json.loads(value), source=session.key(NAME))
        except (ValueError, SettingsError):
            return None

    def store(self, session: Session) -> None:
        """Store this state."""
        session.call(lambda: session.client.set(session.key(NAME), json.dumps(asdict(self))))

    def may_have_lost(self, before: Keyspace | None) -> bool:
        """Whether keys that existed at a state before may be gone: after a restart, an eviction, or if keys are fewer.

        Keys that someone deletes are not noticed if as many others have been added.
        """
        if before is None or (self.run, self.evicted) != (before.run, before.evicted):
            return True
        return self.keys < before.keys
