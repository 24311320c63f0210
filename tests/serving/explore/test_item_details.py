"""Items by id and by row."""

from __future__ import annotations

import numpy as np

from tests.serving.conftest import Client
from tests.serving.explored import HOSTILE, past_sessions


def test_items_are_described_by_id_and_by_row(explored: Client) -> None:
    counts = np.bincount(past_sessions().items)
    expected = {
        "item": "item:3",
        "name": HOSTILE[3],
        "row": 3,
        "count": int(counts[3]),
        "features": {"year": 1993, "group": "river", "tag": ["new"]},
    }
    for body in ({"items": ["item:3"]}, {"rows": [3]}):
        answer = explored.post("/v1/items", {**body, "model": "cooccurrence"}).json()
        assert answer["items"] == [expected]
        assert answer["version"].startswith("cooccurrence@")


def test_unknown_items_are_null(explored: Client) -> None:
    assert explored.post("/v1/items", {"items": ["x", "item:0"], "index": "new"}).json()["items"][0] is None
    rows = explored.post("/v1/items", {"rows": [60, 59, 2**31 - 1], "index": "flat"}).json()["items"]
    assert [item and item["item"] for item in rows] == [None, "item:59", None]
    assert explored.post("/v1/items", {"items": []}).json()["items"] == []


def test_either_ids_or_rows_are_given(explored: Client) -> None:
    for body in ({}, {"items": ["a"], "rows": [1]}):
        response = explored.post("/v1/items", body)
        assert response.status_code == 422
        assert response.json()["detail"] == "give either items, a list of ids, or rows"
