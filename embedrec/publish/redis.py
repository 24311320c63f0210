"""Neighbours in Redis: a list or a JSON string per item, in generations, with a pointer to the served one.

PREFIX:served             the number in the keys of the served generation
PREFIX:NUMBER:ITEM        a list of ids, best first, or {"items": […], "scores": […]}
PREFIX:generations        hash: number → JSON about a generation, whose "state" is "loading", "whole" or "dropped"
PREFIX:retired            hash: number → time of its replacement, seconds since 1970
PREFIX:placed             hash: number in the keys → number of the generation in place, if that is another one
PREFIX:changes:NUMBER     list: the items that differ from the base of a delta, see `redis_stores`
PREFIX:digests            hash: NUMBER:BLOCK → digests of items and lists, NUMBER:BLOCK:ids → the items
PREFIX:last               the last number assigned
PREFIX:publisher          the current publisher
PREFIX:keyspace           JSON of the server's counters, see `redis_keyspace`

Readers get `PREFIX:served`, then the key of the item: the old generation is kept for a while after the switch, for
readers between the two steps. The scripts `redis_commands.READ_LIST` and `READ_JSON` do both in one request.

If at most a quarter of the lists differ from the served generation, only those are written, to keys that the switch
exchanges with those in place, in one script; `PREFIX:served` does not change. Readers get the old list or the new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from embedrec.config import check_unicode
from embedrec.errors import PublishError, SettingsError
from embedrec.progress import Report
from embedrec.publish.content import PublishContent
from embedrec.publish.credentials import Url
from embedrec.publish.endpoint import Endpoint, Retries, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.publish.redis_commands import Format, Packing, batches, exists_command, parts
from embedrec.publish.redis_keyspace import MANY, Keyspace
from embedrec.publish.redis_load import Base, Loading, read_digests
from embedrec.publish.redis_records import Records
from embedrec.publish.redis_session import Session
from embedrec.publish.redis_stores import store_of


@dataclass(eq=False)
class Redis:
    """A `Target` of neighbours. Raises SettingsError for an empty prefix.

    endpoint  redis://, rediss:// (TLS) or unix://
    prefix    of all keys
    format    "list", ids only, or "json", ids and scores
    full      whether all lists are written, also those that the served generation has
    session   the connection inside of `with`
    """

    endpoint: Endpoint
    prefix: str = "embedrec"
    format: Format = "list"
    full: bool = False
    session: Session = field(init=False, repr=False)
    records: Records = field(init=False, repr=False)
    _opened: Keyspace | None = field(default=None, init=False, repr=False)  # counters at the start of `with`
    _intact: bool = field(default=False, init=False, repr=False)  # whether the served generation has all its keys

    def __post_init__(self) -> None:
        if not self.prefix:
            raise SettingsError("the prefix of keys must not be empty; choose one with --prefix")
        check_unicode(self.prefix, "the prefix of keys")
        if re.search(":[0-9]+(:|$)", self.prefix):
            raise SettingsError(
                f"the prefix {self.prefix!r} has a number after ':', like the keys of generations; "
                "choose another --prefix"
            )
        self.endpoint.check("REDISCLI_AUTH")
        url = Url.of(self.endpoint.url)
        if url.scheme in ("redis://", "rediss://") and not re.fullmatch("(/[0-9]*)?", url.path):
            raise SettingsError(
                "the database in the URL is not a number; write the URL as redis://user:password@host:6379/0"
            )
        self.session = Session(self.endpoint, self.prefix)
        self.records = Records(self.session)

    @property
    def layout(self) -> str:
        return f"redis-{self.format}-1"

    def check(self, content: PublishContent) -> None:
        if content.vectors is not None:
            raise SettingsError("redis supports neighbours only; publish without vectors")

    def measure(self, content: PublishContent) -> Size:
        """Keys, and bytes sent."""
        self.check(content)
        sizes = [(len(b.keys), len(b.commands)) for b in batches(content, self.session.key("1", ""), self.format)]
        return {"keys": sum(keys for keys, _ in sizes), "bytes": sum(size for _, size in sizes)}

    def __enter__(self) -> Redis:
        check_installed("redis", "redis")
        self.session.call(self.session.connect)
        try:
            self.session.call(self.session.register)
            self._opened = Keyspace.now(self.session)
            before = Keyspace.stored(self.session)
            self._intact = self._opened is not None and not self._opened.may_have_lost(before)
        except BaseException:
            self.session.client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._intact:
                self._remember_keys()
        finally:
            self.session.close()

    def _remember_keys(self) -> None:
        """Store that all keys exist, as of the counters at the start: later evictions are asked for the next time.

        A failure is none of the publish, which is finished: the next one compares with what was stored before.
        """
        assert self._opened is not None  # else nothing is known to be intact
        with suppress(PublishError):
            replace(self._opened, keys=MANY).store(self.session)  # so that this key is counted as well
            now = Keyspace.now(self.session)
            if now is not None:
                replace(self._opened, keys=now.keys).store(self.session)

    @contextmanager
    def readonly(self) -> Iterator[Redis]:
        check_installed("redis", "redis")
        self.session.call(self.session.connect)
        try:
            yield self
        finally:
            self.session.client.close()

    def clean(self) -> int:
        partial = [number for number, about in self.records.states().items() if about["state"] == "loading"]
        for number in partial:
            self.records.remove_keys(number)
            self.records.forget(number)
        self.records.remove_dropped()
        return len(partial)

    def generations(self) -> list[Generation]:
        def read() -> tuple[bytes | None, dict[bytes, bytes], tuple[int, int]]:
            client, key = self.session.client, self.session.key
            return client.get(key("served")), client.hgetall(key("retired")), client.time()

        served, retired, (seconds, micros) = self.session.call(read)
        now = seconds + micros / 1e6
        try:
            since = {int(number): max(0.0, now - float(at)) for number, at in retired.items()}
        except ValueError:
            raise self.records.foreign_value("retired") from None
        states, placed = self.records.states(), self.records.placed()
        return [
            Generation(
                number,
                about["fingerprint"],
                served == b"%d" % store_of(states, number) and placed[store_of(states, number)] == number,
                since.get(number, 0.0),
                str(about.get("source", "")),
                about,
            )
            for number, about in sorted(states.items())
            if about["state"] == "whole"
        ]

    def missing(self, number: int, content: PublishContent) -> int:
        """Evicted or deleted keys: the difference to the number written."""
        states = self.records.states()
        store = store_of(states, number)
        if self.records.placed()[store] != number:
            return self.records.lost(number)
        packing, existing = Packing.of(content, self.format), 0
        start = self.session.key(str(store), "").encode()
        for part in parts(len(packing.seeds)):
            existing += int(self.session.ask(exists_command(start, packing.seeds.take(part))))
        return abs(int(states[number]["keys"]) - existing)

    def lost(self, number: int) -> int:
        """Evicted or deleted keys; scans all keys of the database."""
        return self.records.lost(number)

    def write(self, content: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        client, key = self.session.client, self.session.key
        packing = Packing.of(content, self.format)
        base = None if self.full else self._find_base(content, fingerprint)
        number = int(self.session.call(lambda: client.incr(key("last"))))
        about = {"state": "loading", "fingerprint": fingerprint, **self._shape(content), **content.about}
        self.records.save(number, about)
        try:
            loading = Loading(self.session, number, packing, base)
            loading.load(content, report)
            self.records.switch(number, {**about, "state": "whole", **loading.about()})
        except BaseException:
            self._discard(number)
            raise
        self._intact = self._opened is not None
        return number, loading.size()

    def switch(self, number: int) -> None:
        self.records.switch(number, self.records.states()[number])

    def drop(self, number: int) -> None:
        self.records.save(number, {**self.records.states()[number], "state": "dropped"})  # no longer listed
        self.records.remove_dropped()

    def _shape(self, content: PublishContent) -> dict[str, Any]:
        """What a delta and its base have in common."""
        return {"format": self.format, "integer": content.results.integer, "columns": list(content.columns)}

    def _find_base(self, content: PublishContent, fingerprint: str) -> Base | None:
        """The served generation, if it has digests and values of the same form.

        A generation of the same content is no base: it has lost keys, or it would not be written again.
        """
        served = next((g for g in self.generations() if g.served), None)
        if served is None or served.fingerprint == fingerprint:
            return None
        about = served.about
        if any(about.get(name) != value for name, value in self._shape(content).items()):
            return None
        digests = read_digests(self.session, served.number, int(about.get("blocks", 0)))
        if digests is None:
            return None
        return Base(served.number, int(about.get("store", served.number)), digests, self._intact)

    def _discard(self, number: int) -> None:
        """After a failure, remove the loaded keys if the service allows; otherwise the next publish does."""
        import redis

        self.session.client.connection.disconnect()  # responses may still arrive
        self.session.endpoint = replace(self.endpoint, retries=Retries(0))
        with suppress(PublishError, redis.RedisError):
            with suppress(redis.ResponseError):  # when memory is full; the keys can be removed nevertheless
                self.session.reconnect()
            self.records.remove_keys(number)
            self.records.forget(number)
