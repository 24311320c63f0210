"""Live sessions: answers follow their events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.models.gru4rec.recipe import RecurrentModel
from embedrec.serving import live_sessions
from embedrec.serving.live_sessions import IDLE, States
from embedrec.serving.session_store import Event, LiveSession
from embedrec.storage.workspace import Workspace
from tests.serving.conftest import Client, Serve
from tests.workflows.toy_models import many_sessions, train_toy


def events(*items: str, **more: Any) -> dict[str, Any]:
    return {"events": [{"item": item, **more} for item in items]}


def test_the_answer_follows_the_events(client: Client) -> None:
    assert client.get("/v1/sessions/s/recommend").status_code == 404
    for items in (["a"], ["b", "zz"]):
        answer = client.post("/v1/sessions/s/events", events(*items, time=7, kind="click")).json()
    assert (answer["session"], answer["events"], answer["kept"]) == ("s", 3, True)
    live = client.get("/v1/sessions/s/recommend?model=sknn&k=2").json()
    history = {"items": ["a", "b"], "times": [7, 7], "kinds": ["click", "click"], "model": "sknn", "k": 2}
    assert live["results"] == client.post("/v1/recommend", history).json()["results"]
    assert live["messages"] == ["1 of 3 items of a history are unknown and left out"]
    filtered = client.get("/v1/sessions/s/recommend?model=sknn&exclude=c&exclude_seen=false").json()
    assert "c" not in [item["item"] for item in filtered["results"][0]["items"]]


def test_sessions_are_forgotten(client: Client) -> None:
    client.post("/v1/sessions/a%2Fb/events", events("a"))
    assert client.send("DELETE", "/v1/sessions/a%2Fb").json()["session"] == "a/b"
    assert client.send("DELETE", "/v1/sessions/a%2Fb").status_code == 404
    assert client.get("/v1/sessions/a%2Fb/recommend").status_code == 404


def test_nothing_is_kept_without_consent(client: Client, plays: Workspace) -> None:
    client.post("/v1/sessions/private/events", events("a", "b"))
    answer = client.post("/v1/sessions/private/events", {**events("c"), "consent": False}).json()
    assert (answer["events"], answer["kept"]) == (0, False)
    assert client.get("/v1/sessions/private/recommend").status_code == 404
    client.service.states._kept.clear()
    for file in (plays.root / "serving").glob("sessions.sqlite-wal"):
        file.unlink()
    assert b"private" not in (plays.root / "serving" / "sessions.sqlite").read_bytes()


@pytest.fixture
def recurrent(workspace: Workspace, serve: Serve) -> Client:
    train_toy(workspace, "gru4rec")
    return serve(workspace, model=("gru4rec",))


def test_the_state_of_a_network_goes_on(recurrent: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer equals that for the whole history, and costs one step."""
    items = many_sessions().vocab.ids.tolist()
    steps: list[int] = []
    step = RecurrentModel.step
    monkeypatch.setattr(RecurrentModel, "step", lambda model, state, rows: steps.append(1) or step(model, state, rows))
    history: list[Any] = []
    for at, item in enumerate([items[0], items[2], "zz", items[1]]):
        recurrent.post("/v1/sessions/s/events", events(item))
        history.append(item)
        for seen in ("true", "false"):
            live = recurrent.get(f"/v1/sessions/s/recommend?k=3&exclude_seen={seen}").json()
            whole = {"items": history, "k": 3, "exclude_seen": seen == "true", "skip_unknown": True}
            assert live["results"] == recurrent.post("/v1/recommend", whole).json()["results"]
        assert len(steps) == at + 1


def test_states_of_other_sessions_are_not_used(recurrent: Client) -> None:
    model = recurrent.service.current().defaults["recommend"].recommender.model
    states = States()

    def state(born: str, count: int, *rows: int) -> np.ndarray:
        live = LiveSession(born, count, [Event(row, 0) for row in rows])
        return states.advance(model, "v", "s", live, rows).queries

    first = state("x", 2, 0, 1)
    np.testing.assert_array_equal(state("x", 3, 0, 1, 2), state("y", 3, 0, 1, 2))
    np.testing.assert_array_equal(state("z", 2, 0, 1), first)
    assert not np.array_equal(state("w", 2, 1, 0), first)
    np.testing.assert_array_equal(state("w", 9, 0, 1), first)  # events between were not kept


def test_states_are_bounded(recurrent: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_sessions, "MOST_STATES", 2)
    item = many_sessions().vocab.ids.tolist()[0]
    for session in "abc":
        recurrent.post(f"/v1/sessions/{session}/events", events(item))
        recurrent.get(f"/v1/sessions/{session}/recommend")
    assert [session for session, _ in recurrent.service.states._kept] == ["b", "c"]


def test_states_are_forgotten_with_their_sessions(recurrent: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once in the worker that deletes a session, in the others once they were not used for a while."""
    item = many_sessions().vocab.ids.tolist()[0]
    states = recurrent.service.states
    for session in "abc":
        recurrent.post(f"/v1/sessions/{session}/events", events(item))
        recurrent.get(f"/v1/sessions/{session}/recommend")
    recurrent.send("DELETE", "/v1/sessions/a")
    recurrent.post("/v1/sessions/c/events", {**events(item), "consent": False})
    assert [session for session, _ in states._kept] == ["b"]
    used = next(iter(states._kept.values())).used
    states.purge(used + IDLE)
    assert [session for session, _ in states._kept] == ["b"]
    states.purge(used + IDLE + 1)
    assert not states._kept
