"""The records of generations in Redis: switches, lost keys, and removal, also after a kill between two steps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedrec.errors import PublishError
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import generations_at, publish, rollback
from embedrec.publish.redis import Redis
from tests.publish.content import of_lists
from tests.publish.test_redis_load import expected, pairs, served, turned


def target(url: str, **more: Any) -> Redis:
    return Redis(Endpoint(url, retries=Retries(2, 0.01)), **more)


def changed(*items: int) -> dict[str, list[tuple[str, float]]]:
    lists = pairs(40)
    return {**lists, **{f"i{a}": turned(lists[f"i{a}"]) for a in items}}


def test_foreign_values_are_refused(redis: Any, redis_url: str) -> None:
    publish(of_lists(pairs(9)), target(redis_url))
    redis.hset("embedrec:placed", "of", "people")
    with pytest.raises(PublishError, match="a foreign value in embedrec:placed; choose another --prefix"):
        generations_at(target(redis_url))


def test_lost_keys_of_a_delta_are_counted(redis: Any, redis_url: str) -> None:
    publish(of_lists(changed()), target(redis_url))
    publish(of_lists(changed(1, 2)), target(redis_url), keep=2, grace=0)
    publish(of_lists(changed(1, 2, 3)), target(redis_url), keep=2, grace=0)
    with target(redis_url) as ours:
        assert [ours.lost(n) for n in (1, 2, 3)] == [0, 0, 0]
        redis.delete("embedrec:2:i1", "embedrec:1:i20")
        assert [ours.lost(n) for n in (1, 2, 3)] == [2, 1, 1]
        redis.lpop("embedrec:changes:3")
        assert [ours.lost(n) for n in (1, 2, 3)] == [3, 2, 1]


@pytest.mark.parametrize("keep", [0, 1, 2])
@pytest.mark.parametrize("stop", range(12))
def test_a_removal_that_was_killed_is_completed(
    redis: Any, redis_url: str, stop: int, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is killed before one of its calls to the server; the next publish ends with the same keys."""
    for lists in (changed(), changed(1, 2)):
        publish(of_lists(lists), target(redis_url), keep=2, grace=0)
    rollback(target(redis_url))
    ours = target(redis_url)
    call, drop, removing, calls = ours.session.call, ours.drop, [False], [0]

    def killed(function: Any) -> Any:
        calls[0] += removing[0]
        if calls[0] > stop:
            raise KeyboardInterrupt
        return call(function)

    def dropped(number: int) -> None:
        removing[0] = True
        drop(number)

    monkeypatch.setattr(ours.session, "call", killed)
    monkeypatch.setattr(ours, "drop", dropped)
    try:
        publish(of_lists(changed(5)), ours, keep=keep, grace=0)
    except KeyboardInterrupt:
        assert served(redis) == expected(changed(5))
    publish(of_lists(changed(5)), target(redis_url), keep=0, grace=0)
    assert served(redis) == expected(changed(5)) and redis.hlen("embedrec:generations") == 1
    start = f"embedrec:{redis.get('embedrec:served')}:"
    left = {key for key in redis.keys("*") if not key.startswith(start)}
    assert left <= {f"embedrec:{name}" for name in ("served", "generations", "digests", "last", "placed", "keyspace")}
    assert json.loads(redis.hvals("embedrec:generations")[0]).get("base") is None
