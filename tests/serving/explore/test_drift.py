"""Drift: items that came and went, and whose neighbours changed."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.evaluation import drift
from tests.serving.conftest import Client
from tests.serving.explored import NAMES, N


def lists_of(client: Client, index: str, k: int) -> dict[str, list[str]]:
    """Item → its neighbours."""
    body = {"items": [f"item:{n}" for n in range(N - 1)], "index": index, "k": k}
    results = client.post("/v1/similar", body).json()["results"]
    return {one["item"]: [other["item"] for other in one["neighbours"]] for one in results}


def test_moved_items_and_those_that_went_are_named(explored: Client) -> None:
    answer = explored.get("/v1/drift", params={"from": "flat", "to": "new", "k": 5, "most": 100}).json()
    old, new = lists_of(explored, "flat", 5), lists_of(explored, "new", 5)
    overlaps = {item: len(set(old[item]) & set(new[item])) / 5 for item in old}
    assert (answer["k"], answer["compared"]) == (5, N - 1)
    assert answer["from"].startswith("flat@") and answer["to"].startswith("new@")
    assert answer["overlap"] == pytest.approx(np.mean(list(overlaps.values())), abs=1e-4)
    assert answer["unchanged"] == sum(old[item] == new[item] for item in old)
    counts = [round(overlap * 5) for overlap in overlaps.values()]
    assert answer["distribution"] == np.bincount(counts, minlength=6).tolist()
    assert {one["item"] for one in answer["moved"]} == {item for item in old if old[item] != new[item]}
    worst = answer["moved"][0]
    assert worst["item"] in ("item:10", "item:30") and worst["overlap"] == 0
    for one in answer["moved"]:
        assert [other["item"] for other in one["lost"]] == [i for i in old[one["item"]] if i not in new[one["item"]]]
        assert [other["item"] for other in one["gained"]] == [i for i in new[one["item"]] if i not in old[one["item"]]]
    assert worst["name"] == NAMES[int(worst["item"].removeprefix("item:"))]
    assert answer["came"] == {"count": 0, "items": []}
    assert answer["went"] == {"count": 1, "items": [{"item": "item:59", "name": "cloud 59"}]}


def test_the_other_direction_has_items_that_came(explored: Client) -> None:
    answer = explored.get("/v1/drift", params={"from": "new", "to": "flat", "most": 100}).json()
    assert answer["came"]["items"] == [{"item": "item:59", "name": "cloud 59"}]
    assert answer["went"]["count"] == 0
    assert any(other["item"] == "item:59" for one in answer["moved"] for other in one["gained"])


def test_a_version_is_like_itself(explored: Client) -> None:
    answer = explored.get("/v1/drift", params={"from": "flat", "to": "mf", "k": 3}).json()
    assert (answer["overlap"], answer["rank_biased_overlap"], answer["unchanged"]) == (1, 1, N)
    assert (answer["moved"], answer["distribution"]) == ([], [0, 0, 0, N])


def test_many_items_are_sampled(explored: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "FEWEST_ITEMS", 7)
    monkeypatch.setattr(drift, "WORK", 10)
    answer = explored.get("/v1/drift", params={"from": "flat", "to": "new", "k": 4}).json()
    assert answer["compared"] == 7
    assert answer["messages"] == ["the 7 most frequent of the 59 items in both are compared"]


def test_versions_that_are_not_served_are_refused(explored: Client) -> None:
    for name in ("sknn", "flt", "flat@0"):
        response = explored.get("/v1/drift", params={"from": name, "to": "new"})
        assert response.status_code == 422
        assert response.json()["detail"].startswith(f"no version {name!r} with similar items is served")
    assert explored.get("/v1/drift", params={"from": "flat"}).status_code == 422
