"""Neighbours in Redis: a list or a JSON string per item, in generations, with a pointer to the served one.

PREFIX:served             the number of the generation that is served
PREFIX:NUMBER:ITEM        a list of ids, best first, or {"items": […], "scores": […]}
PREFIX:generations        hash: number → JSON about a generation, whose "state" is "loading" or "whole"
PREFIX:retired            hash: number → time of its replacement, seconds since 1970
PREFIX:last               the last number assigned
PREFIX:publisher          the current publisher

Readers get `PREFIX:served`, then the key of the item: the old generation is kept for a while after the switch, for
readers between the two steps. The scripts `redis_commands.READ_LIST` and `READ_JSON` do both in one request.
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
from embedrec.publish.content import PublishContent, encode_ids
from embedrec.publish.credentials import Url
from embedrec.publish.endpoint import Endpoint, Retries, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.publish.redis_commands import HAND_OVER, SWITCH, Batch, Format, batches

T = TypeVar("T")
_SCAN_COUNT = 5000  # keys per step of SCAN
_EXISTS_BATCH = 2048  # keys per EXISTS
_TIMEOUT = 30  # seconds


@dataclass(eq=False)
class Redis:
    """A `Target` of neighbours. Raises SettingsError for an empty prefix.

    endpoint  redis://, rediss:// (TLS) or unix://
    prefix    of all keys
    format    "list", ids only, or "json", ids and scores
    client    the connection inside of `with`; None before
    """

    endpoint: Endpoint
    prefix: str = "embedrec"
    format: Format = "list"
    client: Any = field(default=None, init=False, repr=False)
    _token: str = field(default_factory=lambda: secrets.token_hex(8), init=False, repr=False)
    _is_publisher: bool = field(default=False, init=False, repr=False)  # whether we are the publisher
    _server_run: str = field(default="", init=False, repr=False)  # run id of the server at the start

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

    @property
    def layout(self) -> str:
        return f"redis-{self.format}-1"

    def check(self, content: PublishContent) -> None:
        if content.vectors is not None:
            raise SettingsError("redis supports neighbours only; publish without vectors")

    def measure(self, content: PublishContent) -> Size:
        """Keys, and bytes sent."""
        self.check(content)
        sizes = [(len(b.keys), len(b.commands)) for b in batches(content, self._key("1", ""), self.format)]
        return {"keys": sum(keys for keys, _ in sizes), "bytes": sum(size for _, size in sizes)}

    def __enter__(self) -> Redis:
        check_installed("redis", "redis")
        self._call(self._connect)
        try:
            self._call(self._acquire_publisher)
        except BaseException:
            self.client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import redis

        with suppress(redis.RedisError):  # on failure, the next publisher sees that this connection is closed
            self._script(HAND_OVER, ["publisher"], self._token, "")
        self.client.close()

    @contextmanager
    def readonly(self) -> Iterator[Redis]:
        check_installed("redis", "redis")
        self._call(self._connect)
        try:
            yield self
        finally:
            self.client.close()

    def clean(self) -> int:
        partial = [number for number, about in self._load_states().items() if about["state"] != "whole"]
        for number in partial:
            self._remove(number)
        return len(partial)

    def generations(self) -> list[Generation]:
        def read() -> tuple[bytes | None, dict[bytes, bytes], tuple[int, int]]:
            return (
                self.client.get(self._key("served")),
                self.client.hgetall(self._key("retired")),
                self.client.time(),
            )

        served, retired, (seconds, micros) = self._call(read)
        now = seconds + micros / 1e6
        try:
            since = {int(number): max(0.0, now - float(at)) for number, at in retired.items()}
        except ValueError:
            raise self._foreign_keys("retired") from None
        return [
            Generation(number, about["fingerprint"], served == b"%d" % number, since.get(number, 0.0), _source(about))
            for number, about in sorted(self._load_states().items())
            if about["state"] == "whole"
        ]

    def missing(self, number: int, content: PublishContent) -> int:
        """Evicted or deleted keys: the difference to the number written."""
        prefix, items = self._key(str(number), "").encode(), encode_ids(content.vocab)
        existing = 0
        for at in range(0, len(items), _EXISTS_BATCH):
            keys = [prefix + item for item in items[at : at + _EXISTS_BATCH]]
            existing += self._call(lambda keys=keys: int(self.client.exists(*keys)))  # type: ignore[misc]
        return abs(int(self._load_states()[number]["keys"]) - existing)

    def lost(self, number: int) -> int:
        """Evicted or deleted keys; scans all keys of the database."""
        pattern, cursor, existing = self._pattern(number), 0, set[bytes]()
        while True:
            cursor, keys = self._call(lambda at=cursor: self.client.scan(at, match=pattern, count=_SCAN_COUNT))  # type: ignore[misc]
            existing.update(keys)
            if not cursor:
                return max(0, int(self._load_states()[number]["keys"]) - len(existing))

    def write(self, content: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        number = int(self._call(lambda: self.client.incr(self._key("last"))))
        about = {"state": "loading", "fingerprint": fingerprint, "format": self.format, **content.made_from}
        self._save_state(number, about)
        keys = size = 0
        try:
            for batch in batches(content, self._key(str(number), ""), self.format):
                self._send(batch)
                keys, size = keys + len(batch.keys), size + len(batch.commands)
                report("progress", done=batch.done, total=len(content.vocab), unit="items")
            self._switch_to(number, {**about, "state": "whole", "keys": keys})
        except BaseException:
            self._discard(number)
            raise
        return number, {"keys": keys, "bytes": size}

    def switch(self, number: int) -> None:
        self._switch_to(number, self._load_states()[number])

    def drop(self, number: int) -> None:
        self._save_state(number, {**self._load_states()[number], "state": "loading"})  # from here on it is incomplete
        self._remove(number)

    # ------------------------------------------------------------------------------------------ keys

    def _key(self, *parts: str) -> str:
        return ":".join((self.prefix, *parts))

    def _pattern(self, number: int) -> str:
        """The SCAN pattern of the keys of a generation."""
        return re.sub(r"([\\*?\[\]^])", r"\\\1", self._key(str(number), "")) + "*"

    def _load_states(self) -> dict[int, dict[str, Any]]:
        states = self._call(lambda: self.client.hgetall(self._key("generations")))
        try:
            known = {int(number): json.loads(about) for number, about in states.items()}
        except ValueError:
            raise self._foreign_keys("generations") from None
        if not all(map(_is_ours, known.values())):
            raise self._foreign_keys("generations")
        return known

    def _foreign_keys(self, name: str) -> PublishError:
        return PublishError(f"{self.endpoint} has a foreign value in {self._key(name)}; choose another --prefix")

    def _save_state(self, number: int, about: dict[str, Any]) -> None:
        self._call(lambda: self.client.hset(self._key("generations"), str(number), json.dumps(about)))

    def _send(self, batch: Batch) -> None:
        """Send a batch and check every response; a retry first removes the keys of the failed attempt."""
        again = False

        def send_once() -> None:
            nonlocal again
            if again and batch.keys:
                self.client.unlink(*batch.keys)
            again = True
            self.client.connection.send_packed_command([batch.commands])
            responses = [self.client.connection.read_response() for _ in batch.keys]
            if responses != batch.responses:
                raise PublishError(f"{self.endpoint} has foreign keys under {self.prefix!r}; choose another --prefix")

        self._call(send_once)

    def _switch_to(self, number: int, about: dict[str, Any]) -> None:
        keys = ["publisher", "generations", "served", "retired"]
        if not self._call(lambda: self._script(SWITCH, keys, self._token, str(number), json.dumps(about))):
            raise self._call(self._takeover_error)

    def _remove(self, number: int) -> None:
        """Remove the keys of a generation, then its state."""
        pattern = self._pattern(number)

        def remove_once() -> None:
            cursor = 0
            while True:
                cursor, keys = self.client.scan(cursor, match=pattern, count=_SCAN_COUNT)
                if keys:
                    self.client.unlink(*keys)
                if not cursor:
                    break
            for name in ("retired", "generations"):
                self.client.hdel(self._key(name), str(number))

        self._call(remove_once)

    def _discard(self, number: int) -> None:
        """After a failure, remove the loaded keys if the service allows; otherwise the next publish does."""
        import redis

        self.client.connection.disconnect()  # responses may still arrive
        self.endpoint = replace(self.endpoint, retries=Retries(0))
        with suppress(PublishError, redis.RedisError):
            with suppress(redis.ResponseError):  # when memory is full; the keys can be removed nevertheless
                self._reconnect()
            self._remove(number)

    # ------------------------------------------------------------------------------------------ one publisher

    def _call(self, call: Callable[[], T]) -> T:
        """The result of a call, with retries after a lost connection."""
        import redis

        def again() -> None:
            self._attempt(self._reconnect)

        return self.endpoint.retry(lambda: self._attempt(call), (redis.ConnectionError, redis.TimeoutError), again)

    def _attempt(self, call: Callable[[], T]) -> T:
        """The result of a call. Raises PublishError for an error that a retry cannot fix."""
        import redis

        try:
            return call()
        except redis.AuthenticationError as e:
            self.endpoint.fail(e, "check user and password")
        except (redis.ConnectionError, redis.TimeoutError):
            raise
        except redis.RedisError as e:
            self.endpoint.fail(e, "see the server's message")

    def _connect(self) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            self.client = redis.Redis.from_url(
                self.endpoint.url,
                single_connection_client=True,  # its id identifies this publisher
                protocol=2,
                retry=Retry(NoBackoff(), 0),  # `Endpoint` retries, and reports it
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                **({"password": self.endpoint.secret} if self.endpoint.secret else {}),
            )
        except (ValueError, TypeError, AttributeError) as e:
            self.endpoint.fail(e, "write the URL as redis://user:password@host:6379/0, or rediss:// for TLS")

    def _reconnect(self) -> None:
        """Reconnect as the publisher. Raises PublishError if another one took over or the server restarted."""
        if self.client is None:
            return
        self.client.connection.disconnect()
        if self._is_publisher:
            if self._run_id() != self._server_run:  # unsaved keys are lost
                raise PublishError(f"{self.endpoint} restarted during the publish; publish again")
            if not self._script(HAND_OVER, ["publisher"], self._token, self._publisher_id()):
                raise self._takeover_error()

    def _takeover_error(self) -> PublishError:
        """The reason why this process is no longer the publisher."""
        if not self.client.exists(self._key("publisher")):
            return PublishError(f"{self.endpoint} lost keys of {self.prefix!r} during the publish; publish again")
        return PublishError(f"another publish to {self.prefix} at {self.endpoint} started meanwhile; publish again")

    def _acquire_publisher(self) -> None:
        """Wait until no other publisher is connected: two at a time would remove each other's generations."""
        key = self._key("publisher")

        def taken() -> bool:
            if self.client.set(key, self._publisher_id(), nx=True):
                return True
            other = (self.client.get(key) or b"").decode(errors="replace")
            gone = other and not self._connected(other)
            return bool(gone and self._script(HAND_OVER, ["publisher"], other, self._publisher_id()))

        self._server_run = self._run_id()
        self.endpoint.wait_for_turn(taken, self.prefix)
        self._is_publisher = True

    def _publisher_id(self) -> str:
        """Token, id of this connection, run id of the server."""
        return f"{self._token}:{self.client.client_id()}:{self._run_id()}"

    def _connected(self, publisher: str) -> bool:
        """Whether the connection of a publisher is open; False if the server does not list connections."""
        import redis

        _, _, rest = publisher.partition(":")
        connection, _, run = rest.partition(":")
        with suppress(redis.ResponseError):
            return run == self._run_id() and any(str(c["id"]) == connection for c in self.client.client_list())
        return False

    def _run_id(self) -> str:
        import redis

        with suppress(redis.ResponseError):
            return str(self.client.info("server")["run_id"])
        return ""

    def _script(self, script: str, keys: list[str], *values: str) -> Any:
        return self.client.eval(script, len(keys), *map(self._key, keys), *values)


def _is_ours(about: Any) -> bool:
    """Whether a value of PREFIX:generations was written by `Redis.write`."""
    if not isinstance(about, dict) or about.get("state") not in ("loading", "whole"):
        return False
    return about["state"] == "loading" or ("fingerprint" in about and isinstance(about.get("keys"), int))


def _source(about: dict[str, Any]) -> str:
    return str(about.get("source", ""))
