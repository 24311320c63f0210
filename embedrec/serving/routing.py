"""Routes, and the one that a request belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from embedrec.errors import did_you_mean
from embedrec.serving.problems import Problem
from embedrec.serving.requests import decode_segment
from embedrec.serving.service import Service


@dataclass(frozen=True)
class Call:
    """A request to a route.

    segment  the value of the {…} in the path, decoded; "" if there is none
    request  the query or body; None if the route has none
    """

    segment: str
    request: Any


@dataclass(frozen=True)
class Route:
    """A route.

    path     may contain one {…}, which stands for any text, slashes included
    handler  service, call → the answer, a struct, which may have a `version`; or a `Page`
    summary  one line
    query    type of the query string, or None
    body     type of the body, or None
    answer   type of the answer; None for a page
    media    media type of a page
    public   whether it needs no key
    timed    whether it is given up after the timeout of the settings
    """

    method: str
    path: str
    handler: Callable[[Service, Call], Awaitable[Any]]
    summary: str
    query: type | None = None
    body: type | None = None
    answer: type | None = None
    media: str = "text/plain"
    public: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Page:
    """An answer that is no struct.

    headers  further ones; a request whose If-None-Match equals the ETag among them is answered without the body
    """

    body: bytes
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.exact: dict[bytes, dict[str, Route]] = {}
        self.prefixed: list[tuple[bytes, bytes, dict[str, Route]]] = []
        methods: dict[str, dict[str, Route]] = {}
        for route in routes:
            methods.setdefault(route.path, {})[route.method] = route
        for path, by_method in methods.items():
            before, brace, rest = path.partition("{")
            if brace:
                self.prefixed.append((before.encode(), rest.partition("}")[2].encode(), by_method))
            else:
                self.exact[path.encode()] = by_method
        self.prefixed.sort(key=lambda entry: -len(entry[1]))  # the paths with a suffix first

    def find(self, method: str, path: bytes) -> tuple[Route, str]:
        """The route of a method and a raw path, and the value of its {…}.

        Raises Problem 404 for an unknown path, with near ones, and 405 for another method; DataError for a path that is
        not UTF-8.
        """
        by_method = self.exact.get(path)
        segment = b""
        if by_method is None:
            for prefix, suffix, candidates in self.prefixed:
                end = len(path) - len(suffix)
                if end > len(prefix) and path.startswith(prefix) and path.endswith(suffix):
                    by_method, segment = candidates, path[len(prefix) : end]
                    break
            else:
                shown = path[:200].decode("ascii", "backslashreplace")
                hint = did_you_mean(shown, [known.decode() for known in self.exact]) or "; /openapi.json lists them"
                raise Problem(404, f"there is no route {shown!r}{hint}")
        route = by_method.get(method)
        if route is None:
            allowed = ", ".join(by_method)
            raise Problem(405, f"the route takes {allowed}, not {method[:20]}", headers={"allow": allowed})
        return route, decode_segment(segment)
