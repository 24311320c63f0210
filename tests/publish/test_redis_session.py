"""The connection to Redis: names, scans, and one publisher at a time."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import PublishError
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.redis_commands import Batch, exists_command
from embedrec.publish.redis_session import Session


def session(url: str, prefix: str = "embedrec") -> Session:
    made = Session(Endpoint(url, retries=Retries(1, 0.01)), prefix)
    made.call(made.connect)
    return made


def test_keys_and_patterns() -> None:
    made = Session(Endpoint("redis://h"), "a*b")
    assert made.key("changes", "3") == "a*b:changes:3" and made.pattern(3) == r"a\*b:3:*"


def test_keys_of_a_generation_are_counted(redis: Any, redis_url: str) -> None:
    for name in ("embedrec:1:a", "embedrec:1:b:c", "embedrec:11:a", "embedrec:served", "other:1:a"):
        redis.set(name, 1)
    ours = session(redis_url)
    assert ours.count(1) == 2 and ours.count(2) == 0
    assert {key for keys in ours.scan(11) for key in keys} == {b"embedrec:11:a"}
    assert ours.ask(exists_command(b"embedrec:1:", [b"a", b"b:c", b"absent"])) == 2
    ours.client.close()


def test_a_response_that_is_not_expected_is_an_error(redis: Any, redis_url: str) -> None:
    ours = session(redis_url)
    redis.rpush("embedrec:1:a", "foreign")
    batch = Batch([b"embedrec:1:a"], b"*3\r\n$5\r\nRPUSH\r\n$12\r\nembedrec:1:a\r\n$1\r\nx\r\n", [1])
    with pytest.raises(PublishError, match="has foreign keys under 'embedrec'; choose another --prefix"):
        ours.send(batch)
    ours.client.close()


def test_the_next_publisher_registers_when_the_first_has_gone(redis: Any, redis_url: str) -> None:
    first, second = session(redis_url), session(redis_url)
    first.call(first.register)
    assert redis.get("embedrec:publisher").startswith(first.token)
    first.client.close()  # without handing over
    second.call(second.register)
    assert redis.get("embedrec:publisher").startswith(second.token)
    second.close()
    assert redis.get("embedrec:publisher") is None
