"""The client."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import msgspec

from embedrec.errors import ServiceError, decoding, need_package, reason
from embedrec.serving import schemas
from embedrec.serving.schemas import Id

T = TypeVar("T")
_AGAIN = (429, 503)  # statuses after which a request is sent again
_WAIT = 0.2  # seconds before the second request, doubled each time, unless the service states a time
_LONGEST = 30.0  # seconds to wait, whatever the service states


class Client:
    """A client of one service; safe to share between threads. It keeps connections open; close it, or use `with`.

    url      such as http://127.0.0.1:8000
    api_key  the key of the service, if it needs one
    timeout  seconds of a request
    retries  how often a request is sent again if the service is busy, not ready or cannot be reached; events of live
             sessions are not, as they could count twice

    Every method raises ServiceError for an answer that is an error, with its status and near items, and if the service
    cannot be reached. Raises SettingsError if the package httpx is missing.
    """

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 10.0, retries: int = 3) -> None:
        need_package("httpx", "the client")
        import httpx

        headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        self.url = url.rstrip("/")
        self.retries = retries
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def similar(self, items: Id | Sequence[Id], k: int | None = None, **question: Any) -> schemas.SimilarAnswer:
        """The items nearest to each item.

        items     an id, a bare id or a name, or a list of them
        question  where, only, exclude, popularity, explain, index, model: see `schemas.SimilarRequest`
        """
        many = [items] if isinstance(items, int | str) else list(items)
        return self._post("/v1/similar", {"items": many, "k": k, **question}, schemas.SimilarAnswer)

    def recommend(self, items: Sequence[Id], k: int | None = None, **question: Any) -> schemas.RecommendAnswer:
        """The next items of a history, oldest first.

        question  times, kinds, user, exclude_seen, skip_unknown, where, only, exclude, explain, index, model: see
                  `schemas.RecommendRequest`
        """
        return self._post("/v1/recommend", {"items": list(items), "k": k, **question}, schemas.RecommendAnswer)

    def recommend_many(
        self, histories: Sequence[Sequence[Id] | Mapping[str, Any]], k: int | None = None, **question: Any
    ) -> schemas.RecommendAnswer:
        """The next items of each history: a list of items, or a mapping with items, times, kinds and user."""
        many = [dict(h) if isinstance(h, Mapping) else {"items": list(h)} for h in histories]
        return self._post("/v1/recommend", {"histories": many, "k": k, **question}, schemas.RecommendAnswer)

    def neighbours(
        self, items: Sequence[Id] | None = None, k: int | None = None, *, session: Id | None = None, **question: Any
    ) -> schemas.NeighboursAnswer:
        """The past sessions nearest to a history, or to a past session."""
        given = {"items": None if items is None else list(items), "session": session, "k": k, **question}
        return self._post("/v1/neighbours", given, schemas.NeighboursAnswer)

    def items(self, query: str, k: int = 20, **question: Any) -> schemas.ItemsAnswer:
        """Items whose id or name contains a text, or is spelled similarly."""
        return self._ask("GET", "/v1/items", schemas.ItemsAnswer, params=_query({"query": query, "k": k, **question}))

    def version(self) -> schemas.VersionAnswer:
        """What is served."""
        return self._ask("GET", "/v1/version", schemas.VersionAnswer)

    def add_events(
        self,
        session: str,
        events: Sequence[Id | Mapping[str, Any]],
        *,
        user: Id | None = None,
        consent: bool = True,
    ) -> schemas.EventsAnswer:
        """Add events to a live session: items, or mappings with item, time and kind."""
        listed = [dict(event) if isinstance(event, Mapping) else {"item": event} for event in events]
        given = {"events": listed, "user": user, "consent": consent}
        path = f"/v1/sessions/{quote(session, safe='')}/events"
        return self._ask("POST", path, schemas.EventsAnswer, content=msgspec.json.encode(given), retries=0)

    def recommend_live(self, session: str, k: int | None = None, **question: Any) -> schemas.RecommendAnswer:
        """The next items of a live session."""
        path = f"/v1/sessions/{quote(session, safe='')}/recommend"
        return self._ask("GET", path, schemas.RecommendAnswer, params=_query({"k": k, **question}))

    def delete_session(self, session: str) -> schemas.DeletedAnswer:
        """Forget a live session."""
        return self._ask("DELETE", f"/v1/sessions/{quote(session, safe='')}", schemas.DeletedAnswer)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, given: Mapping[str, Any], kind: type[T]) -> T:
        content = msgspec.json.encode({name: value for name, value in given.items() if value is not None})
        return self._ask("POST", path, kind, content=content)

    def _ask(self, method: str, path: str, kind: type[T], *, retries: int | None = None, **given: Any) -> T:
        """The answer to a request, sent again where that may help."""
        import httpx

        again = self.retries if retries is None else retries
        headers = {"content-type": "application/json"} if "content" in given else {}
        for attempt in range(again + 1):
            wait = _WAIT * 2**attempt
            try:
                response = self._http.request(method, path, headers=headers, **given)
            except httpx.TransportError as e:
                if attempt == again:
                    raise ServiceError(f"{self.url} cannot be reached ({reason(e)}); check that it runs") from e
            else:
                if response.status_code == 200:
                    with decoding(lambda why: ServiceError(f"{self.url} did not answer as embedrec does ({why})", 200)):
                        return msgspec.json.decode(response.content, type=kind)
                if response.status_code not in _AGAIN or attempt == again:
                    raise _error(response)
                stated = response.headers.get("retry-after", "")
                wait = min(float(stated), _LONGEST) if stated.isdigit() else wait
            time.sleep(wait)
        raise AssertionError  # the last attempt returns or raises


def _error(response: Any) -> ServiceError:
    """The error of an answer."""
    try:
        details = msgspec.json.decode(response.content, type=schemas.ProblemDetails)
    except msgspec.MsgspecError:  # of a proxy
        return ServiceError(f"{response.url} answered with status {response.status_code}", response.status_code)
    near = [item.item for item in details.near or ()]
    return ServiceError(details.detail, response.status_code, near)


def _query(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a query string."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in given.items()
        if value is not None
    }
