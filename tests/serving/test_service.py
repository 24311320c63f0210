"""The state of a service."""

from __future__ import annotations

import shutil
import sqlite3
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.index.build import build_index
from embedrec.index.serialization import save_index
from embedrec.serving import service
from embedrec.serving.service import Service
from embedrec.serving.settings import ServeSettings
from embedrec.serving.sources import Source
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings
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


def test_a_store_that_cannot_be_reached_leaves_the_other_answers(plays: Workspace, serve: Serve) -> None:
    (plays.root / "file").touch()
    client = serve(plays, sessions=str(plays.root / "file" / "sessions.sqlite"))
    response = client.post("/v1/sessions/s/events", {"events": [{"item": "a"}]})
    assert response.status_code == 503 and "live sessions cannot be kept in" in response.json()["detail"]
    client.service.tick()
    assert client.get("/v1/similar/a").status_code == 200


SEEDS = count()


def rebuild(workspace: Workspace) -> None:
    """Replace the index by one of other vectors."""
    vectors = np.random.default_rng(next(SEEDS)).normal(size=(4, 2)).astype(np.float32)
    index = build_index(Embeddings(vectors, Vocab(list("abcd"))), "flat")
    save_index(index, workspace.folder("index", "flat"), {"of": "items", "indexed": {"name": "vectors"}})


def served_version(client: Client) -> str:
    return str(client.get("/v1/similar/a").json()["version"])


def test_a_new_artifact_is_served_from_the_next_look_on(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, watch=0.001)
    old = served_version(client)
    client.service.tick()
    assert served_version(client) == old
    rebuild(plays)
    assert served_version(client) == old
    client.service.tick()
    assert served_version(client) == f"flat@{plays.find('index', 'flat').fingerprint[:12]}" != old
    assert [event for event, _ in client.events] == ["serving", "serving"]


def test_a_damaged_artifact_is_refused_and_stated(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, watch=0.001)
    old = served_version(client)
    rebuild(plays)
    (plays.folder("index", "flat") / "index.faiss").write_bytes(b"")
    for _ in range(2):
        client.service.tick()
        client.post("/v1/reload", {})
    assert served_version(client) == old
    (refusal,) = client.get("/health/ready").json()["refused"]
    assert refusal["name"] == "flat" and "is damaged" in refusal["reason"]
    assert [event for event, _ in client.events] == ["serving", "refused"]
    rebuild(plays)
    client.service.tick()
    assert served_version(client) != old
    assert client.get("/health/ready").json()["refused"] == []


def test_a_rollback_is_one_call(plays: Workspace, serve: Serve) -> None:
    client = serve(plays, watch=0.001)
    old = served_version(client)
    assert client.post("/v1/rollback", {}).status_code == 422
    rebuild(plays)
    assert client.post("/v1/reload", {}).status_code == 200
    new = served_version(client)
    assert new != old
    version = client.get("/v1/version").json()
    (before,) = version["previous"]
    assert before["name"] == "flat" and before["version"] not in [one["version"] for one in version["served"]]
    drift = client.get("/v1/drift", params={"from": before["version"], "to": "flat"}).json()
    assert (drift["from"], drift["compared"]) == (before["version"], 4)
    answer = client.send("POST", "/v1/rollback")
    assert answer.status_code == 200
    assert served_version(client) == old
    (plays.root / "indexes" / "other").mkdir()  # the workspace changes
    client.service.tick()
    assert served_version(client) == old
    client.send("POST", "/v1/reload")
    assert served_version(client) == new


def test_workers_follow_each_other(plays: Workspace, tmp_path: Path) -> None:
    def events(*given: Any, **more: Any) -> None:
        return None

    shared = tmp_path / "shared"
    shared.mkdir()
    first, second = (Service(plays, ServeSettings(watch=0.0, workers=2), events, shared) for _ in range(2))
    first.open()
    second.open()
    old = first.current().version
    rebuild(plays)
    new = first.reload().version
    assert new != old and second.current().version == old
    second.tick()
    assert second.current().version == new
    second.rollback()
    first.tick()
    assert (first.current().version, second.current().version) == (old, old)
    first.close()
    second.close()


def test_a_worker_that_is_behind_does_not_go_back_further(plays: Workspace, tmp_path: Path) -> None:
    """It has not seen the artifact that the others go back from, and does not serve it later."""
    first, second = (
        Service(plays, ServeSettings(watch=0.001, workers=2), lambda *given, **more: None, tmp_path) for _ in range(2)
    )
    first.open()
    second.open()
    old = first.current().version
    rebuild(plays)
    first.reload()
    first.rollback()
    second.tick()
    assert (first.current().version, second.current().version) == (old, old)
    first.close()
    second.close()


def test_requests_use_one_version_from_beginning_to_end(plays: Workspace, serve: Serve) -> None:
    """A rebuild while names are explained: the answer is that of the version it states."""
    client = serve(plays, index=("flat",), model=("cooccurrence",))
    served = client.service.current()
    rebuild(plays)
    client.service.load()
    assert client.service.current() is not served
    source = served.find("similar", None, None)
    assert source.similar().vocab.ids.tolist() == list("abcd")
    assert source.version != client.service.current().find("similar", None, None).version


def test_the_service_goes_on_after_unexpected_errors(
    plays: Workspace, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error beside the answers is reported once, and new artifacts are still found."""
    client = serve(plays, watch=0.001)
    old = served_version(client)

    def fail(now: float) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(service, "_PURGE", 0.0)
    monkeypatch.setattr(client.service.sessions, "purge", fail)
    client.service.tick()
    rebuild(plays)
    client.service.tick()
    assert served_version(client) != old
    assert [event for event, _ in client.events] == ["serving", "failed", "serving"]
    assert "ZeroDivisionError: a fault" in client.events[1][1]["message"]


def test_an_artifact_whose_reader_fails_is_refused(
    plays: Workspace, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Source) -> None:
        raise ZeroDivisionError("a fault")

    client = serve(plays, watch=0.001)
    old = served_version(client)
    rebuild(plays)
    monkeypatch.setattr(Source, "open", fail)
    client.service.tick()
    assert served_version(client) == old
    (refusal,) = client.service.refused
    assert refusal.reason == "flat cannot be opened (a fault)"


def test_a_worker_that_starts_after_a_rollback_serves_what_the_others_serve(plays: Workspace, tmp_path: Path) -> None:
    def start() -> Service:
        started = Service(plays, ServeSettings(watch=0.0, workers=2), lambda *given, **more: None, tmp_path)
        started.open()
        return started

    first = start()
    old = first.current().version
    folder = plays.folder("index", "newer")
    vectors = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    save_index(build_index(Embeddings(vectors, Vocab(list("abcd"))), "flat"), folder, {"of": "items"})
    assert first.reload().version != old
    first.rollback()
    second = start()
    assert (first.current().version, second.current().version) == (old, old)
    shutil.rmtree(plays.folder("index", "flat"))
    shutil.rmtree(plays.root / "models")
    third = start()  # only the newer one is left
    assert [source.name for source in third.current().sources.values()] == ["newer"]
    for started in (first, second, third):
        started.close()


def test_threads_of_answers_search_alone(plays: Workspace, serve: Serve) -> None:
    import faiss

    client = serve(plays)
    assert client.service.executor.submit(faiss.omp_get_max_threads).result() == 1
