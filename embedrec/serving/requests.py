"""Requests: path, query and body, with limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from embedrec.errors import DataError, decoding
from embedrec.serving.problems import Problem

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Headers = Sequence[tuple[bytes, bytes]]
S = TypeVar("S")

_MOST_FIELDS = 1000  # of a query string
_BARE_POINT = re.compile(r"[+-]?(\.\d+|\d+\.)")  # .3 and 1., which JSON does not write
_LISTS = ("where", "only", "exclude", "cap")  # fields that a query string may repeat


def header(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header, its name in lower case; None if it is missing."""
    return next((value for key, value in headers if key == name), None)


async def read_body(headers: Headers, receive: Receive, most: int, timeout: float) -> bytes:
    """The body of a request.

    Raises Problem 413 for more than `most` bytes, 408 if it takes longer than `timeout` seconds, 400 if it breaks off.
    """
    stated = header(headers, b"content-length") or b"0"
    too_large = Problem(413, f"the body must not have more than {most:,} bytes", headers={"connection": "close"})
    if not stated.isdigit() or len(stated) > 15 or int(stated) > most:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "the request broke off")
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise too_large
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        detail = f"the request took longer than {timeout:g} seconds"
        raise Problem(408, detail, headers={"connection": "close"}) from None


def parse_body(body: bytes, kind: type[S]) -> S:
    """The body as a request, {} if it is empty. Raises DataError if it is no JSON, Problem 422 if it does not fit."""
    try:
        with decoding(lambda why: DataError(f"the body is not valid JSON: {why}"), passing=(msgspec.ValidationError,)):
            return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as e:
        raise Problem(422, f"the body does not fit its schema: {e}") from e


def parse_query(query: bytes, kind: type[S]) -> S:
    """The query string as a request. Raises Problem 400 if it is malformed, 422 if it does not fit the schema."""
    if not query:
        return _convert({}, kind)
    with decoding(lambda why: DataError(f"the query string is malformed: {why}")):
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in _LISTS:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Problem(422, f"the query string has {name!r} twice")
        else:
            values[name] = value
    for name in _fractions(kind) & values.keys():  # type: ignore[arg-type]  # classes are hashable
        if _BARE_POINT.fullmatch(values[name]):
            values[name] = str(float(values[name]))
    return _convert(values, kind)


@cache
def _fractions(kind: type) -> frozenset[str]:
    """The fields of a schema that are numbers with a fraction."""
    fields = msgspec.inspect.type_info(kind).fields  # type: ignore[attr-defined]
    return frozenset(field.encode_name for field in fields if _is_fraction(field.type))


def _is_fraction(kind: Any) -> bool:
    """Whether a type is that of a number with a fraction, or may be."""
    if isinstance(kind, msgspec.inspect.Metadata):
        return _is_fraction(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(map(_is_fraction, kind.types))
    return isinstance(kind, msgspec.inspect.FloatType)


def _convert(values: Mapping[str, Any], kind: type[S]) -> S:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as e:
        raise Problem(422, f"the query string does not fit its schema: {e}") from e


def decode_segment(raw: bytes) -> str:
    """A part of a path, with its percent escapes decoded. Raises DataError if it is not UTF-8."""
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    with decoding(lambda why: DataError(f"the path is not UTF-8: {why}")):
        return raw.decode()
