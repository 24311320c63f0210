"""Neighbours in Redis: a list or a JSON string for every item, in generations that a pointer tells apart.

PREFIX:served             the number of the generation that is served
PREFIX:NUMBER:ITEM        a list of ids, best first, or {"items": […], "scores": […]}
PREFIX:generations        hash: number → JSON about a generation, whose "state" is "loading" or "whole"
PREFIX:retired            hash: number → when another took its place, seconds since 1970
PREFIX:last               the last number given
PREFIX:publisher          who publishes now

Readers take `GET PREFIX:served`, then the key of the item: the old generation outlives the switch, so that it is there
for who just looked it up. Or they do both in one step, see `redis_commands.READ_LIST` and `READ_JSON`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, TypeVar

from embedrec.config import check_unicode
from embedrec.errors import PublishError, SettingsError
from embedrec.progress import Report
from embedrec.publish.content import PublishContent, encoded
from embedrec.publish.credentials import Url
from embedrec.publish.endpoint import Endpoint, Retries, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.publish.redis_commands import HAND_OVER, SWITCH, Batch, Format, batches

T = TypeVar("T")
_SCANNED = 5000  # keys looked at in one step of SCAN
_LOOKED_UP = 2048  # keys that one EXISTS asks for
_TIMEOUT = 30  # seconds without an answer


@dataclass(eq=False)
class Redis:
    """A `Target` of neighbours. Raises SettingsError for an empty prefix.

    place   redis://, rediss:// (TLS) or unix://
    prefix  what all keys begin with
    format  "list", ids only, or "json", ids and scores
    """

    place: Endpoint
    prefix: str = "embedrec"
    format: Format = "list"
    _client: Any = field(default=None, init=False, repr=False)
    _token: str = field(default_factory=lambda: secrets.token_hex(8), init=False, repr=False)
    _ours: bool = field(default=False, init=False, repr=False)  # whether we are the publisher
    _began: str = field(default="", init=False, repr=False)  # the run of the server at the beginning

    def __post_init__(self) -> None:
        if not self.prefix:
            raise SettingsError("the prefix of keys must not be empty; choose one with --prefix")
        check_unicode(self.prefix, "the prefix of keys")
        if re.search(":[0-9]+(:|$)", self.prefix):
            raise SettingsError(
                f"the prefix {self.prefix!r} holds a number behind ':', as keys of generations do, and would be taken "
                "for one of them; choose another --prefix"
            )
        self.place.check("REDISCLI_AUTH")
        url = Url.of(self.place.url)
        if url.scheme in ("redis://", "rediss://") and not re.fullmatch("(/[0-9]*)?", url.path):
            raise SettingsError("the database in the URL is no number; write it as redis://user:password@host:6379/0")

    @property
    def layout(self) -> str:
        return f"redis-{self.format}-1"

    def check(self, publication: PublishContent) -> None:
        if publication.vectors is not None:
            raise SettingsError("redis takes neighbours only; leave the vectors out")

    def measured(self, publication: PublishContent) -> Size:
        """Keys, and bytes as they are sent."""
        self.check(publication)
        sizes = [(len(b.keys), len(b.commands)) for b in batches(publication, self._key("1", ""), self.format)]
        return {"keys": sum(keys for keys, _ in sizes), "bytes": sum(size for _, size in sizes)}

    def __enter__(self) -> Redis:
        check_installed("redis", "redis")
        self._asked(self._connect)
        try:
            self._asked(self._become_publisher)
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import redis

        with suppress(redis.RedisError):  # otherwise the next publisher sees that this connection is gone
            self._script(HAND_OVER, ["publisher"], self._token, "")
        self._client.close()

    @contextmanager
    def reading(self) -> Iterator[Redis]:
        check_installed("redis", "redis")
        self._asked(self._connect)
        try:
            yield self
        finally:
            self._client.close()

    def clean(self) -> int:
        half = [number for number, about in self._known().items() if about["state"] != "whole"]
        for number in half:
            self._remove(number)
        return len(half)

    def generations(self) -> list[Generation]:
        def asked() -> tuple[bytes | None, dict[bytes, bytes], tuple[int, int]]:
            return (
                self._client.get(self._key("served")),
                self._client.hgetall(self._key("retired")),
                self._client.time(),
            )

        served, retired, (seconds, micros) = self._asked(asked)
        now = seconds + micros / 1e6
        try:
            since = {int(number): max(0.0, now - float(at)) for number, at in retired.items()}
        except ValueError:
            raise self._others("retired") from None
        return [
            Generation(number, about["fingerprint"], served == b"%d" % number, since.get(number, 0.0), _source(about))
            for number, about in sorted(self._known().items())
            if about["state"] == "whole"
        ]

    def missing(self, number: int, publication: PublishContent) -> int:
        """Keys that were evicted or deleted, by how many were written."""
        start, items = self._key(str(number), "").encode(), encoded(publication.vocab)
        found = 0
        for at in range(0, len(items), _LOOKED_UP):
            keys = [start + item for item in items[at : at + _LOOKED_UP]]
            found += self._asked(lambda keys=keys: int(self._client.exists(*keys)))  # type: ignore[misc]
        return abs(int(self._known()[number]["keys"]) - found)

    def lost(self, number: int) -> int:
        """Keys that were evicted or deleted; every key of the database is looked at."""
        pattern, cursor, found = self._pattern(number), 0, set[bytes]()
        while True:
            cursor, keys = self._asked(lambda at=cursor: self._client.scan(at, match=pattern, count=_SCANNED))  # type: ignore[misc]
            found.update(keys)
            if not cursor:
                return max(0, int(self._known()[number]["keys"]) - len(found))

    def write(self, publication: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        number = int(self._asked(lambda: self._client.incr(self._key("last"))))
        about = {"state": "loading", "fingerprint": fingerprint, "format": self.format, **publication.made_from}
        self._note(number, about)
        keys = size = 0
        try:
            for batch in batches(publication, self._key(str(number), ""), self.format):
                self._send(batch)
                keys, size = keys + len(batch.keys), size + len(batch.commands)
                report("progress", done=batch.done, total=len(publication.vocab), unit="items")
            self._lead_to(number, {**about, "state": "whole", "keys": keys})
        except BaseException:
            self._forget(number)
            raise
        return number, {"keys": keys, "bytes": size}

    def switch(self, number: int) -> None:
        self._lead_to(number, self._known()[number])

    def drop(self, number: int) -> None:
        self._note(number, {**self._known()[number], "state": "loading"})  # from here on it is no whole generation
        self._remove(number)

    # ------------------------------------------------------------------------------------------ keys

    def _key(self, *parts: str) -> str:
        return ":".join((self.prefix, *parts))

    def _pattern(self, number: int) -> str:
        """What SCAN finds the keys of a generation by."""
        return re.sub(r"([\\*?\[\]^])", r"\\\1", self._key(str(number), "")) + "*"

    def _known(self) -> dict[int, dict[str, Any]]:
        said = self._asked(lambda: self._client.hgetall(self._key("generations")))
        try:
            known = {int(number): json.loads(about) for number, about in said.items()}
        except ValueError:
            raise self._others("generations") from None
        if not all(map(_is_ours, known.values())):
            raise self._others("generations")
        return known

    def _others(self, name: str) -> PublishError:
        return PublishError(f"{self.place} holds other things in {self._key(name)}; choose another --prefix")

    def _note(self, number: int, about: dict[str, Any]) -> None:
        self._asked(lambda: self._client.hset(self._key("generations"), str(number), json.dumps(about)))

    def _send(self, batch: Batch) -> None:
        """Send a batch and look at every answer; where the connection was lost, what arrived of it is removed first."""
        again = False

        def sent() -> None:
            nonlocal again
            if again and batch.keys:
                self._client.unlink(*batch.keys)
            again = True
            self._client.connection.send_packed_command([batch.commands])
            said = [self._client.connection.read_response() for _ in batch.keys]
            if said != batch.answers:
                raise PublishError(f"{self.place} holds other keys under {self.prefix!r}; choose another --prefix")

        self._asked(sent)

    def _lead_to(self, number: int, about: dict[str, Any]) -> None:
        keys = ["publisher", "generations", "served", "retired"]
        if not self._asked(lambda: self._script(SWITCH, keys, self._token, str(number), json.dumps(about))):
            raise self._asked(self._taken_over)

    def _remove(self, number: int) -> None:
        """Remove the keys of a generation, then what is known of it."""
        pattern = self._pattern(number)

        def removed() -> None:
            cursor = 0
            while True:
                cursor, keys = self._client.scan(cursor, match=pattern, count=_SCANNED)
                if keys:
                    self._client.unlink(*keys)
                if not cursor:
                    break
            for name in ("retired", "generations"):
                self._client.hdel(self._key(name), str(number))

        self._asked(removed)

    def _forget(self, number: int) -> None:
        """After a failure: remove what was loaded, as far as the service allows; the next publish does it otherwise."""
        import redis

        self._client.connection.disconnect()  # answers may still be on their way
        self.place = replace(self.place, retries=Retries(0))
        with suppress(PublishError, redis.RedisError):
            with suppress(redis.ResponseError):  # where memory is used up; the keys go all the same
                self._hand_over()
            self._remove(number)

    # ------------------------------------------------------------------------------------------ one publisher

    def _asked(self, call: Callable[[], T]) -> T:
        """What Redis says, also after the connection was lost for a while."""
        import redis

        def again() -> None:
            self._said(self._hand_over)

        return self.place.retrying(lambda: self._said(call), (redis.ConnectionError, redis.TimeoutError), again)

    def _said(self, call: Callable[[], T]) -> T:
        """What Redis says. Raises PublishError for what another try does not change."""
        import redis

        try:
            return call()
        except redis.AuthenticationError as e:
            self.place.fail(e, "check user and password")
        except (redis.ConnectionError, redis.TimeoutError):
            raise
        except redis.RedisError as e:
            self.place.fail(e, "see what the service says")

    def _connect(self) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            self._client = redis.Redis.from_url(
                self.place.url,
                single_connection_client=True,  # whose id tells whether we are still there
                protocol=2,
                retry=Retry(NoBackoff(), 0),  # those of `Endpoint` are told of
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                **({"password": self.place.secret} if self.place.secret else {}),
            )
        except (ValueError, TypeError, AttributeError) as e:
            self.place.fail(e, "write the URL as redis://user:password@host:6379/0, or rediss:// for TLS")

    def _hand_over(self) -> None:
        """Connect anew, and be the publisher there. Raises PublishError when that is impossible."""
        if self._client is None:
            return
        self._client.connection.disconnect()
        if self._ours:
            if self._run() != self._began:  # what was not saved is lost
                raise PublishError(f"{self.place} was started anew during the publish; publish again")
            if not self._script(HAND_OVER, ["publisher"], self._token, self._me()):
                raise self._taken_over()

    def _taken_over(self) -> PublishError:
        """Why we are the publisher no more."""
        if not self._client.exists(self._key("publisher")):
            return PublishError(f"{self.place} lost keys of {self.prefix!r} during the publish; publish again")
        return PublishError(f"another publish to {self.prefix} at {self.place} began meanwhile; try again")

    def _become_publisher(self) -> None:
        """Two that publish at a time would clean up after each other; one whose connection is gone is no publisher."""
        key = self._key("publisher")

        def taken() -> bool:
            if self._client.set(key, self._me(), nx=True):
                return True
            other = (self._client.get(key) or b"").decode(errors="replace")
            gone = other and not self._connected(other)
            return bool(gone and self._script(HAND_OVER, ["publisher"], other, self._me()))

        self._began = self._run()
        self.place.take_turn(taken, self.prefix)
        self._ours = True

    def _me(self) -> str:
        """Token, id of this connection, id of the run of the server."""
        return f"{self._token}:{self._client.client_id()}:{self._run()}"

    def _connected(self, publisher: str) -> bool:
        """Whether the connection of a publisher is open; not where the server does not tell."""
        import redis

        _, _, rest = publisher.partition(":")
        connection, _, run = rest.partition(":")
        with suppress(redis.ResponseError):
            return run == self._run() and any(str(c["id"]) == connection for c in self._client.client_list())
        return False

    def _run(self) -> str:
        import redis

        with suppress(redis.ResponseError):
            return str(self._client.info("server")["run_id"])
        return ""

    def _script(self, script: str, keys: list[str], *values: str) -> Any:
        return self._client.eval(script, len(keys), *map(self._key, keys), *values)


def _is_ours(about: Any) -> bool:
    """Whether a value of PREFIX:generations is what `Redis.write` notes."""
    if not isinstance(about, dict) or about.get("state") not in ("loading", "whole"):
        return False
    return about["state"] == "loading" or ("fingerprint" in about and isinstance(about.get("keys"), int))


def _source(about: dict[str, Any]) -> str:
    return str(about.get("source", ""))
