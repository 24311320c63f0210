"""Load for `serve.py`: requests at a constant rate from one process, whatever the answers take.

A request that has to wait for a free connection is late from the moment at which it should have been sent, so that a
slow server cannot hide behind requests that were not sent (coordinated omission).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np
import uvloop

CONNECTIONS = 128


@dataclass
class Load:
    """What was measured: answers by status, answers whose check failed, and seconds from the intended moment."""

    offered: float
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    late: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def rate(self) -> float:
        """Answers with status 200 a second."""
        return self.statuses[200] / self.seconds

    @property
    def failed(self) -> int:
        """Requests without an answer 200."""
        return sum(n for status, n in self.statuses.items() if status != 200)

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.quantile(self.late, share) * 1000)


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A POST request of JSON."""
    content = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", *content)
    return "\r\n".join((*lines, "", "")).encode() + body


class _Connection(asyncio.Protocol):
    """A connection that sends one request at a time."""

    def __init__(self, generator: _Generator) -> None:
        self.generator = generator
        self.buffer = b""
        self.due = 0.0
        self.busy = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.generator.idle.append(self)

    def send(self, due: float, request: bytes) -> None:
        self.due, self.busy = due, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head >= 0:
            at = buffer.find(b"content-length: ", 0, head) + 16
            end = head + 4 + int(buffer[at : buffer.find(b"\r\n", at)])
            if len(buffer) >= end:
                self.busy, self.buffer = False, b""
                self.generator.answered(self, int(buffer[9:12]), buffer[head + 4 : end])
                return
        self.buffer = buffer

    def connection_lost(self, error: Exception | None) -> None:
        self.generator.lost(self)


class _Generator:
    def __init__(
        self, address: tuple[str, int], requests: Sequence[bytes], load: Load, check: Callable[[bytes], bool] | None
    ) -> None:
        self.address, self.requests, self.load, self.check = address, requests, load, check
        self.idle: deque[_Connection] = deque()
        self.waiting: deque[float] = deque()
        self.sent = self.done = 0
        self.late: list[float] = []
        self.connecting: list[asyncio.Future[None]] = []

    def answered(self, connection: _Connection, status: int, body: bytes) -> None:
        self.late.append(perf_counter() - connection.due)
        self.load.statuses[status] += 1
        self.done += 1
        if self.check is not None and status == 200 and not self.check(body):
            self.load.wrong += 1
        if self.waiting:
            self.send(connection, self.waiting.popleft())
        else:
            self.idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        if connection.busy:
            self.load.statuses[0] += 1
            self.done += 1
        if connection in self.idle:
            self.idle.remove(connection)
        if not self.ending:
            self.connecting.append(asyncio.ensure_future(self.connect()))

    async def connect(self) -> None:
        while True:
            try:
                await asyncio.get_running_loop().create_connection(lambda: _Connection(self), *self.address)
                break
            except OSError:
                await asyncio.sleep(0.01)
        while self.waiting and self.idle:
            self.send(self.idle.popleft(), self.waiting.popleft())

    def send(self, connection: _Connection, due: float) -> None:
        connection.send(due, self.requests[self.sent % len(self.requests)])
        self.sent += 1

    async def run(self, rate: float, seconds: float) -> None:
        self.ending = False
        for _ in range(CONNECTIONS):
            await self.connect()
        total, planned = round(rate * seconds), 0
        began = perf_counter()
        while planned < total:
            now = perf_counter()
            while planned < total and began + planned / rate <= now:
                due = began + planned / rate
                planned += 1
                if self.idle:
                    self.send(self.idle.popleft(), due)
                else:
                    self.waiting.append(due)
            await asyncio.sleep(max(0.0, min(0.001, began + planned / rate - perf_counter())))
        end = perf_counter() + 10
        while self.done < total and perf_counter() < end:
            await asyncio.sleep(0.01)
        self.load.seconds = perf_counter() - began
        self.load.statuses[-1] += total - self.done  # never answered
        self.load.late = np.array(self.late)
        self.ending = True


def _run(given: Any, results: Any) -> None:
    address, requests, rate, seconds, check = given
    load = Load(rate)
    uvloop.run(_Generator(address, requests, load, check).run(rate, seconds))
    results.put(load)


def offer(
    address: tuple[str, int],
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    check: Callable[[bytes], bool] | None = None,
) -> Load:
    """Send requests at a rate for some seconds from a process of its own; `check` says whether an answer is right."""
    context = get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_run, args=((address, requests, rate, seconds, check), results))
    process.start()
    load: Load = results.get()
    process.join()
    return load
