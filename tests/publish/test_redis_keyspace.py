"""Redis is asked for its keys only if some may be lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from embedrec.publish.generations import rollback
from embedrec.publish.redis_keyspace import Keyspace
from tests.publish.test_redis_load import expected, pairs, served, target, turned, written

FIRST = pairs(40)
SECOND = {**FIRST, "i3": turned(FIRST["i3"])}
THIRD = {**SECOND, "i5": turned(FIRST["i5"])}


def asked(client: Any) -> int:
    """How many commands EXISTS the server has received."""
    return int(client.info("commandstats").get("cmdstat_exists", {"calls": 0})["calls"])


def test_what_may_have_lost_keys() -> None:
    before = Keyspace("a", 3, 100)
    assert not any(now.may_have_lost(before) for now in (before, replace(before, keys=101)))
    changed = (
        replace(before, run="b"),
        replace(before, evicted=4),
        replace(before, evicted=0),
        replace(before, keys=99),
    )
    assert all(now.may_have_lost(before) for now in changed) and before.may_have_lost(None)


def test_a_delta_does_not_ask_for_keys_that_must_exist(redis: Any, redis_url: str) -> None:
    written(redis_url, FIRST)
    before = asked(redis)
    assert written(redis_url, SECOND)["keys"] == 1 and written(redis_url, THIRD)["keys"] == 1
    assert asked(redis) == before and served(redis) == expected(THIRD)
    assert json.loads(redis.get("embedrec:keyspace"))["keys"] == redis.dbsize() + 1  # the publisher


@pytest.mark.parametrize("loss", ["evicted", "run", "keyspace", "nonsense", "deleted"])
def test_keys_that_may_be_lost_are_asked_for_once(redis: Any, redis_url: str, loss: str) -> None:
    written(redis_url, FIRST)
    state = json.loads(redis.get("embedrec:keyspace"))
    if loss in state:
        redis.set("embedrec:keyspace", json.dumps({**state, loss: "x" if loss == "run" else 7}))
    elif loss == "keyspace":
        redis.delete("embedrec:keyspace")
    elif loss == "nonsense":
        redis.set("embedrec:keyspace", "{")
    redis.delete("embedrec:1:i20")
    assert written(redis_url, SECOND)["keys"] == 2 and served(redis) == expected(SECOND)
    before = asked(redis)
    assert written(redis_url, THIRD)["keys"] == 1 and asked(redis) == before


def test_a_rollback_hides_no_loss(redis: Any, redis_url: str) -> None:
    written(redis_url, FIRST)
    written(redis_url, SECOND)
    redis.delete("embedrec:keyspace")
    rollback(target(redis_url))
    assert redis.get("embedrec:keyspace") is None
    rollback(target(redis_url))
    redis.delete("embedrec:1:i20")
    assert written(redis_url, THIRD)["keys"] == 2 and served(redis) == expected(THIRD)


def test_a_server_that_hides_its_counters_is_asked(redis: Any, redis_url: str) -> None:
    redis.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-info"])
    limited = redis_url.replace(":s3cret-redis@", "limited:pa55word@")
    try:
        written(limited, FIRST)
        before = asked(redis)
        assert written(limited, SECOND)["keys"] == 1 and asked(redis) == before + 1
    finally:
        redis.acl_deluser("limited")
    assert redis.get("embedrec:keyspace") is None and served(redis) == expected(SECOND)


def test_counters_that_cannot_be_stored_do_not_fail_a_publish(
    redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedrec.errors import PublishError

    def full(*_: object) -> None:
        raise PublishError("the memory is full")

    monkeypatch.setattr(Keyspace, "store", full)
    written(redis_url, FIRST)
    assert served(redis) == expected(FIRST)
