"""The binary answers of the map."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from embedrec.serving.explore.layout import lay_out
from embedrec.version import __version__
from tests.serving.conftest import Client
from tests.serving.explored import NAMES, N, item_features, item_vocab, past_sessions


def unpack(body: bytes) -> dict[str, Any]:
    """The head, and the arrays by name."""
    size = int.from_bytes(body[:4], "little")
    head = json.loads(body[4 : 4 + size])
    assert size % 4 == 0
    result, at = {"head": head}, 4 + size
    for array in head["arrays"]:
        length = int(np.prod(array["shape"])) * np.dtype(array["type"]).itemsize
        result[array["name"]] = np.frombuffer(body[at : at + length], array["type"]).reshape(array["shape"])
        at += length
    assert at == len(body)
    return result


def test_the_map_has_the_place_popularity_and_cluster_of_each_item(explored: Client) -> None:
    response = explored.get("/v1/map")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["embedrec-version"].startswith("flat@")
    data = unpack(response.content)
    source = explored.service.current().find("similar", "flat", None)
    expected = lay_out(source.similar().vectors)
    assert data["position"].tolist() == expected.positions.tolist()
    vocab = source.similar().vocab
    counts = np.log1p(np.bincount(past_sessions().items)[item_vocab().rows(vocab.ids)])
    np.testing.assert_allclose(data["popularity"], counts / counts.max(), rtol=1e-6)
    head = data["head"]
    assert (head["items"], head["features"]) == (N, ["group", "tag", "year"])
    assert data["cluster"].tolist() == [0] * N and len(head["clusters"]) == 1  # few items are one cluster
    assert sorted(label["text"] for label in head["labels"]) == sorted(NAMES)  # each is a landmark
    top = head["labels"][0]
    assert (
        top["row"] == int(np.argmax(counts))
        and [top["x"], top["y"]] == expected.positions[top["row"]].astype(float).round(4).tolist()
    )


def test_an_unchanged_map_is_not_sent_again(explored: Client) -> None:
    etag = explored.get("/v1/map").headers["etag"]
    assert etag.endswith(f'-{__version__}"')
    assert explored.get("/v1/map", headers={"if-none-match": etag}).status_code == 304


def test_colours_are_the_groups_of_a_feature(explored: Client) -> None:
    data = unpack(explored.get("/v1/map/colours", params={"feature": "group", "index": "flat"}).content)
    vocab = explored.service.current().find("similar", "flat", None).similar().vocab
    column = item_features(item_vocab()).categorical["group"]
    rows = item_vocab().rows(vocab.ids)
    assert [data["head"]["groups"][code] for code in data["group"]] == [column.names[c] for c in column.codes[rows]]
    assert data["head"]["ordered"] is False


def test_sources_without_vectors_or_features_are_refused(explored: Client) -> None:
    for path, detail in (
        ("/v1/map?model=sknn", "model sknn has no item vectors, which a map needs"),
        ("/v1/map?model=cooccurrence", "model cooccurrence has no item vectors, which a map needs"),
        ("/v1/map/colours?feature=group&index=new", "the items have no features"),
        ("/v1/map/colours?feature=gruop", "the items have no feature 'gruop'; did you mean 'group'?"),
    ):
        response = explored.get(path)
        assert (response.status_code, response.json()["detail"]) == (422, detail)
