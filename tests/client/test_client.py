"""The client against a service in this process, and against answers of a busy one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from embedrec.client import Client
from embedrec.client import client as client_module
from embedrec.errors import ServiceError, SettingsError
from embedrec.serving import schemas
from tests.serving.conftest import Client as Asking
from tests.serving.conftest import client as asking  # noqa: F401
from tests.serving.conftest import plays, serve, vectors_root  # noqa: F401


class InProcess(httpx.BaseTransport):
    """A transport to an application in this process."""

    def __init__(self, asked: Asking) -> None:
        self.asked = asked

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.asked.send(request.method, str(request.url), content=request.read(), headers=request.headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def made(asking: Asking) -> Iterator[Client]:  # noqa: F811
    with Client("http://localhost/") as client:
        client._http = httpx.Client(transport=InProcess(asking), base_url="http://localhost")
        yield client


def test_answers_are_typed(made: Client) -> None:
    answer = made.similar("a", 2, exclude=["b"])
    assert isinstance(answer, schemas.SimilarAnswer)
    assert [n.item for n in answer.results[0].neighbours] == ["c", "d"]
    assert [result.item for result in made.similar(["b", "a"]).results] == ["b", "a"]
    assert made.recommend(["a", "zz"], 1, model="sknn", skip_unknown=True).results[0].items[0].rank == 1
    many = made.recommend_many([["a"], {"items": ["b"]}], 2, model="sknn")
    assert [len(result.items) for result in many.results] == [2, 2]
    assert made.neighbours(["a"], 1).sessions[0].rank == 1
    assert made.neighbours(session=1, k=1).sessions[0].session != 1
    assert made.items("a", model="sknn").items[0].item == "a"
    assert made.version().served[0].name == "flat"


def test_live_sessions(made: Client) -> None:
    assert made.add_events("a/b ö", ["a", {"item": "b", "kind": "buy"}], user=5).events == 2
    live = made.recommend_live("a/b ö", 2, model="sknn", exclude=["c"], exclude_seen=True)
    assert "c" not in [item.item for item in live.results[0].items]
    assert made.delete_session("a/b ö").deleted
    with pytest.raises(ServiceError, match="there is no such session") as caught:
        made.recommend_live("a/b ö")
    assert caught.value.status == 404


def test_errors_have_their_status_and_near_items(made: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        made.similar("a", 0)
    assert (caught.value.status, caught.value.near) == (422, [])
    with pytest.raises(ServiceError, match="no item 'aa'") as caught:
        made.similar("aa")
    assert caught.value.status == 404


def answering(responses: list[Any]) -> tuple[Client, list[httpx.Request]]:
    """A client whose requests are answered in turn; and the requests."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        response = responses[min(len(requests), len(responses)) - 1]
        if isinstance(response, Exception):
            raise response
        return response

    client = Client("http://busy", api_key="k", retries=2)
    client._http = httpx.Client(
        transport=httpx.MockTransport(answer), base_url="http://busy", headers=client._http.headers
    )
    return client, requests


LIVE = httpx.Response(200, content=b'{"version":"v","session":"s","deleted":true}')
BUSY = httpx.Response(429, headers={"retry-after": "3"}, content=b"busy")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    stand_in = SimpleNamespace(sleep=waits.append)  # for the client alone: other threads of this process sleep, too
    monkeypatch.setattr(client_module, "time", stand_in)
    return waits


def test_busy_services_are_asked_again(slept: list[float]) -> None:
    client, requests = answering([BUSY, httpx.ConnectError("refused"), LIVE])
    assert client.delete_session("s").deleted
    assert slept == [3.0, 0.4]
    assert [request.headers["authorization"] for request in requests] == ["Bearer k"] * 3


@pytest.mark.parametrize(
    ("response", "message", "status", "times"),
    [
        (BUSY, "http://busy/v1/version answered with status 429", 429, 3),
        (httpx.Response(500, content=b"{}"), "http://busy/v1/version answered with status 500", 500, 1),
        (httpx.ConnectError("refused"), "http://busy cannot be reached (refused); check that it runs", 0, 3),
    ],
)
@pytest.mark.usefixtures("slept")
def test_services_that_do_not_answer_are_an_error(response: Any, message: str, status: int, times: int) -> None:
    client, requests = answering([response])
    with pytest.raises(ServiceError) as caught:
        client.version()
    assert (str(caught.value), caught.value.status, len(requests)) == (message, status, times)


@pytest.mark.usefixtures("slept")
def test_events_are_sent_once() -> None:
    client, requests = answering([BUSY, LIVE])
    with pytest.raises(ServiceError):
        client.add_events("s", ["a"])
    assert len(requests) == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(
        SettingsError, match=r"the client needs the package httpx; install it with .*embedrec\[client\]"
    ):
        Client("http://127.0.0.1:1")


def test_an_answer_of_something_else_is_an_error() -> None:
    with Client("http://portal") as client:
        client._http = httpx.Client(
            transport=httpx.MockTransport(lambda request: httpx.Response(200, text="<html>")), base_url="http://portal"
        )
        with pytest.raises(ServiceError, match="http://portal did not answer as embedrec does") as error:
            client.version()
    assert error.value.status == 200
