"""The state of a service."""

from __future__ import annotations

import shutil

from embedrec.storage.workspace import Workspace
from embedrec.version import __version__
from tests.serving.conftest import Asked, Serve


def test_a_service_states_what_it_serves(asked: Asked, plays: Workspace) -> None:
    answer = asked.service.version()
    assert (answer.version, answer.embedrec, answer.refused) == (asked.service.current().version, __version__, [])
    flat = answer.served[0]
    built = plays.find("index", "flat")
    assert (flat.fingerprint, flat.created, flat.version) == (
        built.fingerprint,
        built.created,
        f"flat@{built.fingerprint[:12]}",
    )
    assert flat.measured["recall@20"] == 1.0
    assert asked.events == [
        ("serving", {"version": answer.version, "names": [artifact.version for artifact in answer.served]})
    ]


def test_a_service_of_an_empty_workspace_waits(plays: Workspace, serve: Serve) -> None:
    shutil.rmtree(plays.root / "models")
    shutil.rmtree(plays.root / "indexes")
    asked = serve(plays)
    for path in ("/v1/similar/a", "/v1/version", "/health/ready"):
        response = asked.get(path)
        assert response.status_code == 503 and "retry-after" in response.headers
        assert response.json()["detail"].startswith("nothing is served yet: no model artifact in ")
    assert asked.get("/health/live").status_code == 200
    assert [event for event, _ in asked.events] == ["note"]
