"""Training sessions by id."""

from __future__ import annotations

from tests.serving.conftest import Client
from tests.serving.explored import IDS, NAMES, past_sessions


def test_a_session_has_its_items_and_names_in_order(explored: Client) -> None:
    rows = past_sessions()[7].tolist()
    for model in ("cooccurrence", "sknn"):
        answer = explored.get("/v1/past-sessions", params={"session": "7", "model": model}).json()
        assert answer["session"] == 7
        assert answer["items"] == [IDS[row] for row in rows]
        assert answer["names"] == [NAMES[row] for row in rows]
        assert answer["time"] == "2023-11-14T23:00:20+00:00"


def test_unknown_sessions_and_sources_without_sessions_are_refused(explored: Client) -> None:
    missing = explored.get("/v1/past-sessions", params={"session": "1000", "model": "sknn"})
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "no training session has the id '1000'; did you mean '100' or '10'?",
    )
    imported = explored.get("/v1/past-sessions", params={"session": "7", "index": "new"})
    assert (imported.status_code, imported.json()["detail"]) == (
        422,
        "model imported was imported from a file; its training sessions are unknown",
    )
