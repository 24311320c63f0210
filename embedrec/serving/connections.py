"""Connections of the web server, with limits that uvicorn has not: of the time and the size of a request's head."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 1 << 16  # bytes of the request line and the headers


class Connection(HttpToolsProtocol):
    """A connection that is closed if the head of a request comes too slowly, or never ends.

    seconds  that a client may take for the head of a request, also of the first one
    """

    def __init__(self, *given: Any, seconds: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self.seconds = seconds
        self._in_head = True
        self._size = 0  # bytes since the last complete head
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.seconds, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._size += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._in_head and not self.cycle.response_complete:
            self._end_deadline()
        elif self._in_head and self._size > MAX_HEAD:
            self.transport.close()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._end_deadline()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request was read."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head of a request was read."""
        self._in_head = False
        self._size = 0
        self._end_deadline()
        super().on_headers_complete()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
