"""The state of a service."""

from __future__ import annotations

import shutil
import sqlite3
import time

from embedrec.storage.workspace import Workspace
from embedrec.version import __version__
from tests.serving.conftest import Client, Serve


def test_a_service_states_what_it_serves(client: Client, plays: Workspace) -> None:
    answer = client.service.version()
    assert (answer.version, answer.embedrec, answer.refused) == (client.service.current().version, __version__, [])
    flat = answer.served[0]
    built = plays.find("index", "flat")
    assert (flat.fingerprint, flat.created, flat.version) == (
        built.fingerprint,
        built.created,
        f"flat@{built.fingerprint[:12]}",
    )
    assert flat.measured["recall@20"] == 1.0
    assert client.events == [
        ("serving", {"version": answer.version, "names": [artifact.version for artifact in answer.served]})
    ]


def test_a_service_of_an_empty_workspace_waits(plays: Workspace, serve: Serve) -> None:
    shutil.rmtree(plays.root / "models")
    shutil.rmtree(plays.root / "indexes")
    client = serve(plays)
    for path in ("/v1/similar/a", "/v1/version", "/health/ready"):
        response = client.get(path)
        assert response.status_code == 503 and "retry-after" in response.headers
        assert response.json()["detail"].startswith("nothing is served yet: no model artifact in ")
    assert client.get("/health/live").status_code == 200
    assert [event for event, _ in client.events] == ["note"]


def test_sessions_whose_time_is_over_are_purged(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, session_ttl=0.01)
    client.post("/v1/sessions/s/events", {"events": [{"item": "a"}]})
    time.sleep(0.05)
    client.service.tick()
    with sqlite3.connect(plays.root / "serving" / "sessions.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    connection.close()


def test_a_store_that_cannot_be_reached_is_noted(plays: Workspace, serve: Serve) -> None:
    (plays.root / "file").touch()
    client = serve(plays, sessions=str(plays.root / "file" / "sessions.sqlite"))
    response = client.post("/v1/sessions/s/events", {"events": [{"item": "a"}]})
    assert response.status_code == 503 and "live sessions cannot be kept in" in response.json()["detail"]
    client.service.tick()
    assert client.get("/v1/similar/a").status_code == 200
