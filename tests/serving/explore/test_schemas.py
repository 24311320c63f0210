"""Requests for exploring that fit the schemas, and those that do not."""

from __future__ import annotations

import msgspec
import pytest

from embedrec.serving.explore.schemas import ItemsRequest, PolicyQuery


def test_a_query_of_policies_is_parsed() -> None:
    given = {"item": "a", "mmr": "0.5", "mutual": "true", "cap": ["artist=2"], "where": ["year>2000"]}
    query = msgspec.convert(given, PolicyQuery, strict=False)
    assert query == PolicyQuery(item="a", mmr=0.5, mutual=True, cap=["artist=2"], where=["year>2000"])


@pytest.mark.parametrize("body", [b'{"rows": [-1]}', b'{"rows": ["a"]}', b'{"items": [null]}', b'{"names": ["a"]}'])
def test_other_requests_are_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=ItemsRequest)
