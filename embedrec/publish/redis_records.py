"""What Redis stores about generations: PREFIX:generations and the keys beside it; switches and removal.

Every change is one step that a killed publish completes the next time, or a script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedrec.errors import PublishError
from embedrec.publish.redis_commands import REMOVE, SWITCH
from embedrec.publish.redis_load import digest_fields
from embedrec.publish.redis_session import Session
from embedrec.publish.redis_stores import exchanges, next_removal, root_of, store_of

_REMOVED = 2048  # keys removed by one script
States = dict[int, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Records:
    """The records of the generations of a prefix."""

    session: Session

    def states(self) -> States:
        """Number → values about a generation. Raises PublishError for values that are not ours."""
        states = self.session.call(lambda: self.session.client.hgetall(self.session.key("generations")))
        try:
            known = {int(number): json.loads(about) for number, about in states.items()}
        except ValueError:
            raise self.foreign_value("generations") from None
        if not all(map(_is_ours, known.values())):
            raise self.foreign_value("generations")
        return known

    def placed(self) -> dict[int, int]:
        """Store → generation in place, of all stores."""
        placed = self.session.call(lambda: self.session.client.hgetall(self.session.key("placed")))
        states = self.states()
        stores = {store_of(states, number) for number in states}
        try:
            return {store: store for store in stores} | {int(store): int(number) for store, number in placed.items()}
        except ValueError:
            raise self.foreign_value("placed") from None

    def foreign_value(self, name: str) -> PublishError:
        where = f"{self.session.endpoint} has a foreign value in {self.session.key(name)}"
        return PublishError(f"{where}; choose another --prefix")

    def save(self, number: int, about: Mapping[str, Any]) -> None:
        client, key = self.session.client, self.session.key
        self.session.call(lambda: client.hset(key("generations"), str(number), json.dumps(about)))

    def changes_key(self, number: int) -> str:
        return self.session.key("changes", str(number))

    def switch(self, number: int, about: Mapping[str, Any], *, serve: bool = True) -> None:
        """Put a generation in place in its store, and serve it."""
        states: States = {**self.states(), number: dict(about)}
        store = store_of(states, number)
        placed = self.placed().get(store, store)
        if placed not in states:  # the server was emptied
            raise self.session.call(self.session.takeover_error)
        steps = exchanges(states, placed, number)
        keys = ["publisher", "generations", "served", "retired", "placed"]
        values = [str(number), json.dumps(about), str(store), str(int(serve)), self.session.prefix, *map(str, steps)]
        if not self.session.call(lambda: self.session.script(SWITCH, keys, self.session.token, *values)):
            raise self.session.call(self.session.takeover_error)

    def lost(self, number: int) -> int:
        """Keys that a generation has lost by eviction or deletion; scans all keys of the database."""
        states, session = self.states(), self.session
        store = store_of(states, number)
        placed = self.placed()[store]
        steps, above = exchanges(states, placed, number), exchanges(states, placed, root_of(states, placed))
        lost = max(0, int(states[placed]["keys"]) - session.count(store))
        for delta in steps:
            about = states[delta]
            aside = about["replaced"] if delta in above else about["written"]
            changes = session.call(lambda n=delta: session.client.llen(self.changes_key(n)))  # type: ignore[misc]
            lost += max(0, int(aside) - session.count(delta)) + max(0, int(about["changes"]) - int(changes))
        return lost

    def remove_dropped(self) -> None:
        """Remove the dropped generations on which no other one is based."""
        while True:
            states = self.states()
            step = next_removal(states, self.placed())
            if step is None:
                return
            if step.action == "place":
                self.switch(step.child, states[step.child], serve=False)
            elif step.action == "store":
                self.remove_keys(store_of(states, step.number))
                self.forget(step.number, store_of(states, step.number))
            elif step.action == "delta":
                self._remove_delta(step.number, states[step.number])
                self.forget(step.number)
            elif step.action == "record":
                self.forget(step.number)
            else:
                child = states[step.child]
                self._remove_delta(step.child, child)
                whole = {name: value for name, value in child.items() if name not in ("base", "changes")}
                self.save(step.child, whole)

    def remove_keys(self, number: int) -> None:
        """Remove the keys PREFIX:NUMBER:ITEM."""
        for keys in self.session.scan(number):
            if keys:
                self.session.call(lambda keys=keys: self.session.client.unlink(*keys))  # type: ignore[misc]

    def _remove_delta(self, number: int, about: Mapping[str, Any]) -> None:
        """Remove the keys of a delta that hold the lists that are not in place, and its list of changes."""
        session, changes = self.session, f"changes:{number}"
        if session.call(lambda: session.client.llen(self.changes_key(number))) != about["changes"]:  # some were evicted
            self.remove_keys(number)
        start = session.key(str(number), "")
        while session.call(lambda: session.script(REMOVE, [changes], start, str(_REMOVED))):
            pass

    def forget(self, number: int, store: int | None = None) -> None:
        """Remove what is stored about a generation, its state last, and of a store without generations."""
        client, key = self.session.client, self.session.key
        fields = digest_fields(self.session, number)

        def forget_once() -> None:
            if fields:
                client.hdel(key("digests"), *fields)
            client.delete(self.changes_key(number))
            if store is not None:
                client.hdel(key("placed"), str(store))
            for name in ("retired", "generations"):
                client.hdel(key(name), str(number))

        self.session.call(forget_once)


def _is_ours(about: Any) -> bool:
    """Whether a value of PREFIX:generations was written by `Redis.write`."""
    if not isinstance(about, dict) or about.get("state") not in ("loading", "whole", "dropped"):
        return False
    return about["state"] == "loading" or ("fingerprint" in about and isinstance(about.get("keys"), int))
