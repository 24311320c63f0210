"""Limits of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from uvicorn import Config, Server

from embedrec.serving.connections import MAX_HEAD, Connection

REQUEST = b"GET /%d HTTP/1.1\r\nhost: localhost\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def talk(*talks: Talk, seconds: float = 60.0) -> None:
    """Hold conversations with a server, each over a connection of its own."""

    async def run() -> None:
        http: Any = partial(Connection, seconds=seconds)
        server = Server(Config(application, http=http, port=0, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        for one in talks:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(60):
                await one(reader, writer)
            writer.close()
        server.should_exit = True
        await running

    asyncio.run(run())


async def answer(reader: asyncio.StreamReader, path: bytes) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(2) == path


def test_requests_are_answered_in_their_order() -> None:
    async def one_by_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(3):
            writer.write(REQUEST % number)
            await answer(reader, b"/%d" % number)

    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(REQUEST % number for number in range(5)))
        for number in range(5):
            await answer(reader, b"/%d" % number)

    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            for at in range(0, len(REQUEST % number), 5):
                writer.write((REQUEST % number)[at : at + 5])
                await writer.drain()
            await answer(reader, b"/%d" % number)

    talk(one_by_one, at_once, in_pieces)


def test_a_head_that_does_not_come_ends_the_connection() -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""

    async def a_part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST % 1 + (REQUEST % 2)[:10])
        await answer(reader, b"/1")
        assert await reader.read() == b""

    async def empty_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST % 1)
        await answer(reader, b"/1")
        writer.write(b"\r\n")
        assert await reader.read() == b""

    talk(nothing, a_part, empty_lines, seconds=0.1)


def test_a_head_without_end_ends_the_connection() -> None:
    def endless(start: bytes, part: bytes) -> Talk:
        async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(start)
            sent = 0
            try:
                while not reader.at_eof() and sent < 100 * MAX_HEAD:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                    sent += len(part)
            except ConnectionError:
                pass
            assert sent < 100 * MAX_HEAD

        return send

    filling = b"x" * 10_000
    talk(
        endless(b"GET /1 HTTP/1.1\r\n", b"name: " + filling + b"\r\n"),
        endless(b"GET /1 HTTP/1.1\r\nname: ", filling),
        endless(b"GET /", filling),
    )
