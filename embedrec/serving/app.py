"""The ASGI application: a request becomes a call of a route, and its answer or error becomes JSON.

It is written by hand rather than with the routing of a framework: at thousands of requests a second every layer costs.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from traceback import format_exception
from typing import Any

from embedrec.serving.problems import Problem, problem_of
from embedrec.serving.requests import Headers, Receive, header, parse_body, parse_query, read_body
from embedrec.serving.routes import ROUTES
from embedrec.serving.routing import Call, Page, Route, Router
from embedrec.serving.schemas import encode
from embedrec.serving.service import Service, search_in_one_thread
from embedrec.serving.settings import is_loopback

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]

_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")
_TICK = 0.2  # seconds
_CHANGING = ("POST", "DELETE")


class Application:
    """An ASGI application over a `Service`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.router = Router(ROUTES)
        self.active = 0
        settings = service.settings
        self.most_active = settings.max_concurrent
        self.key = None if settings.api_key is None else settings.api_key.encode()
        self.origins = frozenset(origin.encode() for origin in settings.cors)
        self.hosts = frozenset(name.lower() for name in (*settings.allow_host, settings.address[0]))
        self._known_host: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Open the artifacts after the start, while requests are already answered with 503; close at the end.

        A worker that takes the place of another takes no request before: the others answer it.
        """
        opening: asyncio.Future[None] | None = None
        ticking: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                others_answer = self.service.control.others_answer()
                loop = asyncio.get_running_loop()
                opening = loop.run_in_executor(None, self.service.open)
                opening.add_done_callback(lambda _: search_in_one_thread())
                if others_answer:
                    await opening
                ticking = asyncio.create_task(self._tick())
                await send({"type": "lifespan.startup.complete"})
            else:
                if ticking is not None:
                    ticking.cancel()
                if opening is not None:
                    await opening
                self.service.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _tick(self) -> None:
        """What is done beside the answers."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            await loop.run_in_executor(None, self.service.tick)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = perf_counter()
        method, headers = scope["method"], scope["headers"]
        route: Route | None = None
        version = ""
        try:
            if method == "OPTIONS" and header(headers, b"access-control-request-method") is not None:
                status, body, sent = self._preflight(headers)
            else:
                path = scope.get("raw_path") or scope["path"].encode()
                route, segment = self.router.find("GET" if method == "HEAD" else method, path)
                self._check_access(route, method, headers)
                answer = await self._call(route, segment, scope, receive)
                status = 200
                if isinstance(answer, Page):
                    body, sent = answer.body, [(b"content-type", answer.content_type.encode()), *answer.headers]
                    etag = header(sent, b"etag")
                    if etag is not None and header(headers, b"if-none-match") == etag:
                        status, body = 304, b""
                else:
                    body, sent = encode(answer), [_JSON]
                    version = getattr(answer, "version", "")
                    if version:
                        sent.append((b"embedrec-version", version.encode()))
        except Exception as e:
            problem = problem_of(e)
            version = getattr(e, "version", "")
            if problem.status == 500:
                self.service.report("failed", message="".join(format_exception(e)))
            status, body = problem.status, encode(problem.details)
            sent = [_PROBLEM, *((name.encode(), value.encode()) for name, value in problem.headers.items())]
        if self.origins:
            sent += self._cors(headers)
        if status != 304:  # its length would be that of the body which is left out
            sent.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
        self.service.metrics.record("" if route is None else route.path, version, status, perf_counter() - start)
        if self.service.settings.log_json:
            self.service.report(
                "request",
                method=method,
                route=None if route is None else route.path,
                status=status,
                ms=round((perf_counter() - start) * 1000, 3),
                bytes=len(body),
                version=version,
            )

    async def _call(self, route: Route, segment: str, scope: Scope, receive: Receive) -> Any:
        """The answer of a route.

        Raises Problem 429 at once if too many requests are answered at the moment, and 503 if it takes too long.
        """
        settings = self.service.settings
        request: Any = None
        if route.body is not None:
            body = await read_body(scope["headers"], receive, settings.max_body, settings.timeout)
            request = parse_body(body, route.body)
        elif route.query is not None:
            request = parse_query(scope["query_string"], route.query)
        if self.active >= self.most_active and not route.public:
            raise Problem(429, "too many requests are answered at the moment", headers={"retry-after": "1"})
        self.active += 1
        try:
            async with asyncio.timeout(settings.timeout if route.timed else None):
                return await route.handler(self.service, Call(segment, request))
        except TimeoutError:
            detail = f"the answer took longer than {settings.timeout:g} seconds"
            raise Problem(503, detail, headers={"retry-after": "1"}) from None
        finally:
            self.active -= 1

    def _check_access(self, route: Route, method: str, headers: Headers) -> None:
        """Raises Problem 401 without the key, 403 for a change asked by a web page of another origin, and 421 for a
        request to a name that is not this machine's."""
        if self.key is None and (given := header(headers, b"host")) != self._known_host:
            self._check_host(given)
        if method in _CHANGING and (origin := header(headers, b"origin")) is not None:
            host = header(headers, b"host") or b""
            if origin.partition(b"://")[2] != host and not self.origins & {origin, b"*"}:
                raise Problem(403, "web pages of this origin may not ask; --cors names those that may")
        if self.key is None or route.public:
            return
        given = header(headers, b"x-api-key")
        if given is None:
            scheme, _, token = (header(headers, b"authorization") or b"").partition(b" ")
            given = token.strip() if scheme.lower() == b"bearer" else b""
        if not hmac.compare_digest(given, self.key):
            raise Problem(
                401,
                "send the key as Authorization: Bearer KEY or X-API-Key: KEY",
                headers={"www-authenticate": "Bearer"},
            )

    def _check_host(self, given: bytes | None) -> None:
        """Raises Problem 421 unless a name is this machine's or allowed.

        A web page can give its own name the address of this machine (DNS rebinding), and is then of the same origin.
        """
        if given is None:  # no browser
            return
        host = given.decode("latin-1").lower()
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if not (is_loopback(name) or self.hosts & {name, "*"}):
            raise Problem(421, "without a key, only this machine may be asked; --allow-host allows further names")
        self._known_host = given

    def _preflight(self, headers: Headers) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        """The answer to a browser that asks whether it may send a request."""
        if not self._cors(headers):
            raise Problem(403, "web pages of this origin may not ask; --cors names those that may")
        allowed = [
            (b"access-control-allow-methods", b"GET, POST, DELETE"),
            (b"access-control-allow-headers", b"authorization, content-type, x-api-key"),
            (b"access-control-max-age", b"600"),
        ]
        return 204, b"", allowed

    def _cors(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers that allow a page of the origin of a request to read the answer; none if it may not."""
        origin = header(headers, b"origin")
        if origin is None or not self.origins & {origin, b"*"}:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"embedrec-version, retry-after"),
            (b"vary", b"origin"),
        ]
