"""Bodies, query strings and paths, malformed ones too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.serving.problems import Problem
from embedrec.serving.requests import decode_segment, header, parse_body, parse_query, read_body
from embedrec.serving.schemas import SimilarQuery, SimilarRequest


def read(messages: list[dict[str, Any]], most: int = 10, headers: list[tuple[bytes, bytes]] | None = None) -> bytes:
    given = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in given:
            return message
        await asyncio.sleep(60)
        raise AssertionError

    return asyncio.run(read_body(headers or [], receive, most, 0.05))


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_in_parts() -> None:
    assert read([part(b"ab", True), part(b"", True), part(b"c")]) == b"abc"


@pytest.mark.parametrize(
    ("messages", "headers", "status"),
    [
        ([part(b"0123456789a")], [], 413),
        ([part(b"012345", True), part(b"678901", True)], [], 413),
        ([], [(b"content-length", b"11")], 413),
        ([], [(b"content-length", b"9" * 40)], 413),
        ([part(b"01", True)], [], 408),
        ([part(b"01", True), {"type": "http.disconnect"}], [], 400),
    ],
)
def test_bodies_are_limited(messages: list[Any], headers: list[Any], status: int) -> None:
    with pytest.raises(Problem) as caught:
        read(messages, headers=headers)
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"items": ["\\ud800"]}', b"[" * 100_000, b"nul"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises((DataError, Problem)) as caught:
        parse_body(body, SimilarRequest)
    assert isinstance(caught.value, DataError) or caught.value.status == 422


def test_bodies_are_parsed() -> None:
    assert parse_body(b'{"items": ["a"]}', SimilarRequest) == SimilarRequest(items=["a"])
    with pytest.raises(Problem, match="the body does not fit its schema: Expected `array`, got `int`") as caught:
        parse_body(b'{"items": 5}', SimilarRequest)
    assert caught.value.status == 422


def test_query_strings_are_parsed() -> None:
    assert parse_query(b"", SimilarQuery) == SimilarQuery()
    query = parse_query(b"k=3&where=year%3E%3D2000&where=genre=a|b&only=5&explain=true", SimilarQuery)
    assert query == SimilarQuery(k=3, where=["year>=2000", "genre=a|b"], only=["5"], explain=True)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (b"k=1&k=2", 422),
        (b"k=x", 422),
        (b"kk=1", 422),
        (b"k=%FF", 400),
        (b"\xff=1", 400),
        (b"&".join([b"a=1"] * 1001), 400),
    ],
)
def test_query_strings_that_do_not_fit_are_refused(query: bytes, status: int) -> None:
    with pytest.raises((DataError, Problem)) as caught:
        parse_query(query, SimilarQuery)
    assert (caught.value.status if isinstance(caught.value, Problem) else 400) == status


def test_path_segments_are_decoded() -> None:
    assert decode_segment(b"a%2Fb%20c+d/%C3%B6") == "a/b c+d/ö"
    with pytest.raises(DataError, match="the path is not UTF-8"):
        decode_segment(b"%FF")


def test_headers_are_found() -> None:
    assert header([(b"a", b"1"), (b"b", b"2")], b"b") == b"2"
    assert header([], b"b") is None


@pytest.mark.parametrize(("text", "value"), [("0.3", 0.3), (".3", 0.3), ("1.", 1.0), ("1", 1.0)])
def test_fractions_may_begin_or_end_with_the_point(text: str, value: float) -> None:
    assert parse_query(f"popularity={text}".encode(), SimilarQuery).popularity == value


@pytest.mark.parametrize("query", [b"popularity=.", b"popularity=.x", b"popularity=-.3", b"k=.3", b"k=3."])
def test_what_is_no_fraction_stays_refused(query: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse_query(query, SimilarQuery)
    assert caught.value.status == 422
