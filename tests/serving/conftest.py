"""Services over small workspaces, client without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from embedrec.serving.app import Application
from embedrec.serving.service import Service
from embedrec.serving.settings import ServeSettings
from embedrec.storage.workspace import Workspace
from tests.workflows.conftest import plays, vectors_root, workspace  # noqa: F401


class Client:
    """An application, its service and the events it reported; `get`, `post` and `send` return the response."""

    def __init__(self, served: Workspace, settings: ServeSettings) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.service = Service(served, settings, lambda event, **fields: self.events.append((event, fields)))
        self.app = Application(self.service)
        self.service.open()

    def send(self, method: str, url: str, **given: Any) -> httpx.Response:
        return self.send_all((method, url, given))[0]

    def send_all(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """The responses to requests that are sent at the same time."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                return list(await asyncio.gather(*(http.request(m, url, **given) for m, url, given in requests)))

        return asyncio.run(send())

    def get(self, url: str, **given: Any) -> httpx.Response:
        return self.send("GET", url, **given)

    def post(self, url: str, json: Any, **given: Any) -> httpx.Response:
        return self.send("POST", url, json=json, **given)


Serve = Callable[..., Client]


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Serve:
    """Make a service of a workspace with these settings."""

    def make(served: Workspace, **settings: Any) -> Client:
        client = Client(served, ServeSettings(**settings))
        request.addfinalizer(client.service.close)
        return client

    return make


@pytest.fixture
def client(plays: Workspace, serve: Serve) -> Client:  # noqa: F811
    """The service of `plays`: the index "flat", the models "vectors", "cooccurrence" and "sknn"."""
    return serve(plays, index=("flat",), model=("vectors", "cooccurrence", "sknn"))
