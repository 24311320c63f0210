"""A Redis connection with reconnects, which registers itself as the only publisher of a prefix."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from embedrec.errors import PublishError
from embedrec.publish.endpoint import Endpoint
from embedrec.publish.redis_commands import HAND_OVER, Batch

T = TypeVar("T")
_SCAN_COUNT = 5000  # keys per step of SCAN
_TIMEOUT = 30  # seconds


@dataclass(eq=False)
class Session:
    """A session with the server.

    endpoint  redis://, rediss:// (TLS) or unix://
    prefix    of all keys
    client    the connection; None before `connect`
    token     identifies this publisher
    """

    endpoint: Endpoint
    prefix: str
    client: Any = field(default=None, init=False, repr=False)
    token: str = field(default_factory=lambda: secrets.token_hex(8), init=False, repr=False)
    _is_publisher: bool = field(default=False, init=False, repr=False)  # whether we are the publisher
    _server_run: str = field(default="", init=False, repr=False)  # run id of the server at the start

    def key(self, *parts: str) -> str:
        return ":".join((self.prefix, *parts))

    def pattern(self, number: int) -> str:
        """The SCAN pattern of the keys of a generation."""
        return re.sub(r"([\\*?\[\]^])", r"\\\1", self.key(str(number), "")) + "*"

    def scan(self, number: int) -> Iterator[list[bytes]]:
        """The keys of a generation, in lists; one may appear twice. Scans all keys of the database."""
        pattern, cursor = self.pattern(number), 0
        while True:
            cursor, keys = self.call(lambda at=cursor: self.client.scan(at, match=pattern, count=_SCAN_COUNT))  # type: ignore[misc]
            yield keys
            if not cursor:
                return

    def count(self, number: int) -> int:
        """The number of keys of a generation."""
        return len({key for keys in self.scan(number) for key in keys})

    def send(self, batch: Batch) -> None:
        """Send a batch and check every response; a retry first removes the keys of the failed attempt."""
        again = False

        def send_once() -> None:
            nonlocal again
            if again and batch.keys:
                self.client.unlink(*batch.keys)
            again = True
            self.client.connection.send_packed_command([batch.commands])
            responses = [self.client.connection.read_response() for _ in batch.responses]
            if responses != batch.responses:
                raise PublishError(f"{self.endpoint} has foreign keys under {self.prefix!r}; choose another --prefix")

        self.call(send_once)

    def ask(self, command: bytes) -> Any:
        """The response of a packed command."""

        def ask_once() -> Any:
            self.client.connection.send_packed_command([command])
            return self.client.connection.read_response()

        return self.call(ask_once)

    def script(self, script: str, keys: list[str], *values: str) -> Any:
        return self.client.eval(script, len(keys), *map(self.key, keys), *values)

    def call(self, call: Callable[[], T]) -> T:
        """The result of a call, with retries after a lost connection."""
        import redis

        def again() -> None:
            self._attempt(self.reconnect)

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

    def connect(self) -> None:
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

    def reconnect(self) -> None:
        """Reconnect as the publisher. Raises PublishError if another one took over or the server restarted."""
        if self.client is None:
            return
        self.client.connection.disconnect()
        if self._is_publisher:
            if self._run_id() != self._server_run:  # unsaved keys are lost
                raise PublishError(f"{self.endpoint} restarted during the publish; publish again")
            if not self.script(HAND_OVER, ["publisher"], self.token, self._publisher_id()):
                raise self.takeover_error()

    def takeover_error(self) -> PublishError:
        """The reason why this process is no longer the publisher."""
        if not self.client.exists(self.key("publisher")):
            return PublishError(f"{self.endpoint} lost keys of {self.prefix!r} during the publish; publish again")
        return PublishError(f"another publish to {self.prefix} at {self.endpoint} started meanwhile; publish again")

    def register(self) -> None:
        """Wait until no other publisher is connected: two at a time would remove each other's generations."""
        key = self.key("publisher")

        def taken() -> bool:
            if self.client.set(key, self._publisher_id(), nx=True):
                return True
            other = (self.client.get(key) or b"").decode(errors="replace")
            gone = other and not self._connected(other)
            return bool(gone and self.script(HAND_OVER, ["publisher"], other, self._publisher_id()))

        self._server_run = self._run_id()
        self.endpoint.wait_for_turn(taken, self.prefix)
        self._is_publisher = True

    def close(self) -> None:
        """Hand over to the next publisher, and close the connection."""
        import redis

        with suppress(redis.RedisError):  # on failure, the next publisher sees that this connection is closed
            self.script(HAND_OVER, ["publisher"], self.token, "")
        self.client.close()

    def _publisher_id(self) -> str:
        """Token, id of this connection, run id of the server."""
        return f"{self.token}:{self.client.client_id()}:{self._run_id()}"

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
