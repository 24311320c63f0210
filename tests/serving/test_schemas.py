"""Requests that fit the schemas, and those that do not."""

from __future__ import annotations

import msgspec
import pytest

from embedrec.serving import schemas
from tests.serving.conftest import Client


def test_requests_are_parsed() -> None:
    request = msgspec.json.decode(b'{"items": ["a", 5], "k": 3, "where": ["year>=2000"]}', type=schemas.SimilarRequest)
    assert request == schemas.SimilarRequest(items=["a", 5], k=3, where=["year>=2000"])
    query = msgspec.convert({"k": "3", "explain": "true", "only": ["5"]}, schemas.SimilarQuery, strict=False)
    assert query == schemas.SimilarQuery(k=3, explain=True, only=["5"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"items": []}', schemas.SimilarRequest),
        (b'{"items": ["a"], "k": 0}', schemas.SimilarRequest),
        (b'{"items": ["a"], "k": 1001}', schemas.SimilarRequest),
        (b'{"items": ["a"], "popularity": 1.5}', schemas.SimilarRequest),
        (b'{"items": ["a"], "kk": 1}', schemas.SimilarRequest),
        (b'{"histories": []}', schemas.RecommendRequest),
        (b'{"items": [null]}', schemas.RecommendRequest),
        (b'{"items": [%s]}' % b",".join([b"1"] * 1001), schemas.RecommendRequest),
    ],
)
def test_requests_that_do_not_fit_are_refused(body: bytes, kind: type) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=kind)


def test_answers_leave_out_explanations_that_were_not_asked_for() -> None:
    assert schemas.encode(schemas.Neighbour("a", "Anna", 1, 0.5)) == b'{"item":"a","name":"Anna","rank":1,"score":0.5}'


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 64, 10**30])
def test_ids_beyond_64_bits_are_refused(client: Client, number: int) -> None:
    for path, body in [
        ("/v1/similar", {"items": [number]}),
        ("/v1/recommend", {"items": [], "user": number}),
        ("/v1/recommend", {"items": [number]}),
        ("/v1/neighbours", {"session": number}),
        ("/v1/items", {"items": [number]}),
        ("/v1/items", {"rows": [number]}),
        ("/v1/sessions/s/events", {"events": [{"item": number}]}),
        ("/v1/sessions/s/events", {"events": [], "user": number}),
    ]:
        assert client.post(path, body).status_code == 422, path
    assert client.post("/v1/neighbours", {"session": str(number)}).status_code == 404
    assert client.get(f"/v1/similar/{number}").status_code == 404


@pytest.mark.parametrize("number", [(1 << 63) - 1, -(1 << 63)])
def test_ids_of_64_bits_are_taken(client: Client, number: int) -> None:
    body = {"events": [{"item": number}], "user": number}
    assert client.post("/v1/sessions/s/events", body).status_code == 200
    assert client.get("/v1/sessions/s/recommend").status_code == 200
    assert client.post("/v1/neighbours", {"session": number}).status_code == 404
    assert client.post("/v1/items", {"items": [number]}).json()["items"] == [None]
