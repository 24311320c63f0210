"""The HTTP side of the service: keys, origins, limits, headers, errors."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedrec.serving import answers
from embedrec.serving.app import Application
from embedrec.serving.service import THREADS, Service
from embedrec.serving.settings import ServeSettings
from embedrec.storage.workspace import Workspace
from tests.serving.conftest import Client, Serve

KEY = "correct-horse"


def test_answers_name_their_version(client: Client) -> None:
    response = client.get("/v1/similar/a")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["embedrec-version"] == response.json()["version"]
    assert response.json()["version"].startswith("flat@")
    assert client.get("/v1/version").headers["embedrec-version"] == client.service.current().version


def test_head_has_the_headers_of_get(client: Client) -> None:
    head, get = client.send("HEAD", "/health/live"), client.get("/health/live")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


def test_a_key_is_needed(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, api_key=KEY, bind="0.0.0.0:80")
    refused = client.get("/v1/similar/a")
    assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
    assert KEY not in refused.text
    for headers in ({"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}):
        assert client.get("/v1/similar/a", headers=headers).status_code == 200
    for headers in ({"authorization": KEY}, {"authorization": f"Basic {KEY}"}, {"x-api-key": KEY + "x"}):
        assert client.get("/v1/similar/a", headers=headers).status_code == 401
    assert client.get("/health/ready").status_code == 200


def test_other_origins_are_refused(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, cors=("https://shop.example",))
    body = {"items": ["a"]}
    assert client.post("/v1/similar", body, headers={"origin": "http://localhost"}).status_code == 200
    assert client.post("/v1/similar", body, headers={"origin": "https://evil.example"}).status_code == 403
    allowed = client.post("/v1/similar", body, headers={"origin": "https://shop.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert (
        "access-control-allow-origin"
        not in client.get("/v1/similar/a", headers={"origin": "https://e.example"}).headers
    )
    preflight = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    response = client.send("OPTIONS", "/v1/similar", headers=preflight)
    assert (response.status_code, response.headers["access-control-allow-methods"]) == (204, "GET, POST, DELETE")
    assert client.send("OPTIONS", "/v1/similar", headers=preflight | {"origin": "https://e.example"}).status_code == 403


def test_without_a_key_only_this_machine_may_be_asked(plays: Workspace, serve: Serve) -> None:
    """Else a web page whose name leads to this machine (DNS rebinding) reads the answers."""
    client = serve(plays, allow_host=("Shop.example",))
    own = ("127.0.0.1", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "[::1]", "localhost:80", "LOCALHOST")
    for host in (*own, "shop.example", "SHOP.example:443"):
        assert client.get("/v1/similar/a", headers={"host": host}).status_code == 200, host
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "é"):
        given = {"host": host.encode(), "origin": f"http://{host}".encode()}
        refused = client.post("/v1/similar", {"items": ["a"]}, headers=given)
        assert (refused.status_code, refused.json()["title"]) == (421, "host not allowed"), host
        assert client.get("/health/ready", headers={"host": host.encode()}).status_code == 421
    assert serve(plays, allow_host=("*",)).get("/v1/version", headers={"host": "evil.example"}).status_code == 200
    keyed = {"host": "shop.example", "x-api-key": KEY}
    assert serve(plays, api_key=KEY).get("/v1/version", headers=keyed).status_code == 200


def test_bodies_that_are_too_large_are_refused(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, max_body=100)
    assert client.post("/v1/similar", {"items": ["a"]}).status_code == 200
    assert client.post("/v1/similar", {"items": ["a" * 100]}).status_code == 413


def test_requests_over_the_limit_are_refused_at_once(
    plays: Workspace, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(plays, max_concurrent=2)
    similar = answers.similar

    async def slow(*given: Any) -> Any:
        await asyncio.sleep(0.05)
        return await similar(*given)

    monkeypatch.setattr(answers, "similar", slow)
    responses = client.send_all(*[("GET", "/v1/similar/a", {})] * 5, ("GET", "/health/live", {}))
    assert sorted(response.status_code for response in responses[:5]) == [200, 200, 429, 429, 429]
    assert all(response.headers["retry-after"] == "1" for response in responses if response.status_code == 429)
    assert responses[5].status_code == 200
    assert client.get("/v1/similar/a").status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(
    plays: Workspace, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(plays, timeout=0.05)
    monkeypatch.setattr(answers, "neighbours_of_rows", lambda *given, **more: time.sleep(0.3))
    response = client.post("/v1/similar", {"items": ["a", "b"]})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["detail"] == "the answer took longer than 0.05 seconds"


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/recommend?"])
def test_an_answer_of_a_batch_that_takes_too_long_is_given_up(client: Client, path: str) -> None:
    """Also one that waits for the threads, and one of many steps that each are fast."""
    client.service.settings = replace(client.service.settings, timeout=0.05)
    blocked = [client.service.executor.submit(time.sleep, 0.3) for _ in range(THREADS)]
    body = {"items": ["a"]} if path == "/v1/recommend" else {"histories": [{"items": ["?"]}] * 3, "skip_unknown": True}
    response = client.post(path, body)
    assert (response.status_code, response.json()["detail"]) == (503, "the answer took longer than 0.05 seconds")
    assert all(one.result() is None for one in blocked)


def test_names_are_not_searched_for_requests_that_were_given_up(client: Client) -> None:
    client.service.computing = replace(client.service.computing, timeout=-1.0)
    response = client.post("/v1/recommend", {"items": ["?"], "skip_unknown": True})
    assert response.status_code == 503 and "names of the request" in response.json()["detail"]
    assert client.post("/v1/recommend", {"items": ["a"], "skip_unknown": True}).status_code == 200


def test_long_names_are_unknown_and_not_remembered(client: Client) -> None:
    for text in ("x" * 1001, "x" * 900_000):
        response = client.post("/v1/similar", {"items": [text]})
        assert response.status_code == 404 and "more than 1,000 characters" in response.json()["detail"]
        assert client.post("/v1/recommend", {"items": [text], "skip_unknown": True}).status_code == 200
    assert not any("row" in source._kept for source in client.service.current().sources.values())


def test_an_unexpected_error_is_logged_and_not_shown(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(answers, "similar", fail)
    response = client.get("/v1/similar/a")
    assert response.status_code == 500 and "secret" not in response.text
    event, fields = client.events[-1]
    assert event == "failed" and "ZeroDivisionError: secret" in fields["message"]


def test_the_log_of_requests_holds_no_content(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, log_json=True, api_key=KEY)
    headers = {"x-api-key": KEY}
    client.post("/v1/recommend", {"items": ["a", "b"]}, headers=headers)
    client.get("/v1/similar/private", headers=headers)
    client.get("/private")
    logged = [fields for event, fields in client.events if event == "request"]
    assert [(one["method"], one["route"], one["status"]) for one in logged] == [
        ("POST", "/v1/recommend", 200),
        ("GET", "/v1/similar/{item}", 404),
        ("GET", None, 404),
    ]
    assert "private" not in str(logged) and KEY not in str(logged)
    assert logged[0]["version"].startswith("vectors@")


@pytest.mark.parametrize("first", [True, False])
def test_a_worker_takes_no_requests_before_it_answers_if_another_does(
    plays: Workspace, tmp_path: Path, first: bool
) -> None:
    def ready(*given: Any, **more: Any) -> None:
        happened.append("ready")

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        happened.append(message["type"])

    settings = ServeSettings(workers=2)
    if not first:
        other = Service(plays, settings, lambda *given, **more: None, tmp_path)
        other.open()
        other.close()
    happened: list[str] = []
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    started = Service(plays, settings, ready, tmp_path)
    opened = started.open
    started.open = lambda: (time.sleep(0.1), opened())  # type: ignore[assignment, func-returns-value]
    asyncio.run(Application(started)({"type": "lifespan"}, receive, send))
    complete = ["lifespan.startup.complete", "ready"]
    assert happened == [*(complete if first else reversed(complete)), "lifespan.shutdown.complete"]
