"""Deltas in Redis, with a server: what is written, what readers see, and what is left."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedrec.errors import PublishError
from embedrec.publish import content, redis_load
from embedrec.publish.digests import StoredDigests, pack
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import generations_at, publish, rollback
from embedrec.publish.redis import Redis
from tests.publish.content import of_lists

Pairs = dict[str, list[tuple[str, float]]]


def target(url: str, **more: Any) -> Redis:
    return Redis(Endpoint(url, retries=Retries(2, 0.01)), **more)


def pairs(n: int, shift: int = 1) -> Pairs:
    return {f"i{a}": [(f"i{(a + shift + j) % n}", 3.0 - j) for j in range(3)] for a in range(n)}


def turned(others: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same results in the opposite order."""
    return [(other, score) for (other, _), (_, score) in zip(reversed(others), others, strict=True)]


def served(client: Any, kind: str = "list") -> dict[str, Any]:
    """All lists in place, read as readers do."""
    start = f"embedrec:{client.get('embedrec:served')}:"
    read = client.get if kind == "json" else lambda key: client.lrange(key, 0, -1)
    return {key.removeprefix(start): read(key) for key in client.keys(f"{start}*")}


def expected(lists: Pairs) -> dict[str, list[str]]:
    return {item: [other for other, _ in others] for item, others in lists.items() if others}


def written(url: str, lists: Pairs, **more: Any) -> dict[str, int]:
    options = {"keep": 1, "grace": 0, **{name: more.pop(name) for name in ("keep", "report") if name in more}}
    return dict(publish(of_lists(lists), target(url, **more), **options).written)


def test_only_changed_new_and_gone_lists_travel(redis: Any, redis_url: str) -> None:
    first = pairs(40)
    second = {**first, "i3": turned(first["i3"]), "i5": [], "new": [("i1", 1.0)]}
    del second["i39"]
    second = {item: [(o, s) for o, s in others if o != "i39"] for item, others in second.items()}
    changed = {"i3", "new", "i36", "i37", "i38"}
    assert written(redis_url, first) == target(redis_url).measure(of_lists(first))
    done = written(redis_url, second)
    assert (done["keys"], done["unchanged"]) == (len(changed), len(expected(second)) - len(changed))
    assert redis.get("embedrec:served") == "1" and served(redis) == expected(second)
    assert set(redis.lrange("embedrec:changes:2", 0, -1)) == changed | {"i5", "i39"}
    aside = {key.removeprefix("embedrec:2:"): redis.lrange(key, 0, -1) for key in redis.keys("embedrec:2:*")}
    assert aside == {item: expected(first)[item] for item in (changed - {"new"}) | {"i5", "i39"}}
    assert [(g.number, g.served) for g in generations_at(target(redis_url))] == [(1, False), (2, True)]
    assert rollback(target(redis_url)) == (1, 2) and served(redis) == expected(first)
    assert rollback(target(redis_url)) == (2, 1) and served(redis) == expected(second)
    assert publish(of_lists(first), target(redis_url)).written == {} and served(redis) == expected(first)


def test_gone_lists_are_found_in_their_blocks(redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "BLOCK", 8)
    first, gone = {**pairs(60), "i50": []}, {"i3", "i4", "i45", "i59"}  # a block of seven keys
    second = {a: [(o, s) for o, s in others if o not in gone] for a, others in first.items() if a not in gone}
    written(redis_url, first)
    done = written(redis_url, second)
    assert done["unchanged"] and served(redis) == expected(second)
    assert gone < set(redis.lrange("embedrec:changes:2", 0, -1))


@pytest.mark.parametrize("kind", ["list", "json"])
def test_scores_matter_in_json_only(redis: Any, redis_url: str, kind: Any) -> None:
    first = pairs(20)
    second = {**first, "i4": [(other, score + 1) for other, score in first["i4"]]}
    written(redis_url, first, format=kind)
    assert written(redis_url, second, format=kind)["keys"] == (kind == "json")
    if kind == "json":
        assert json.loads(served(redis, kind)["i4"])["scores"] == [4.0, 3.0, 2.0]


def test_everything_is_written_if_much_has_changed(redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the lists of the first blocks, which were equal."""
    monkeypatch.setattr(content, "BLOCK", 8)
    first = pairs(40)
    second = {item: others if int(item[1:]) < 20 else turned(others) for item, others in first.items()}
    written(redis_url, first)
    assert written(redis_url, second).keys() == {"keys", "bytes"}
    assert redis.get("embedrec:served") == "2" and served(redis) == expected(second)
    assert not redis.keys("embedrec:changes:*")
    many_gone = {item: [o for o in others if int(o[0][1:]) < 25] for item, others in second.items()}
    many_gone = {item: others for item, others in many_gone.items() if int(item[1:]) < 25}
    assert written(redis_url, many_gone).keys() == {"keys", "bytes"}
    assert redis.get("embedrec:served") == "3" and served(redis) == expected(many_gone)


@pytest.mark.parametrize("loss", ["digests", "ids", "key", "full", "format"])
def test_what_is_lost_is_written_again(redis: Any, redis_url: str, loss: str) -> None:
    first = pairs(40)
    second = {item: others[1:] if item == "i1" else others for item, others in first.items()}
    del second["i0"]
    second = {item: [(o, s) for o, s in others if o != "i0"] for item, others in second.items()}
    written(redis_url, first)
    if loss == "digests":
        redis.delete("embedrec:digests")
    elif loss == "ids":
        redis.hdel("embedrec:digests", "1:0:ids")
    elif loss == "key":
        redis.delete("embedrec:1:i20")
    elif loss == "format":
        redis.hset("embedrec:generations", "1", redis.hget("embedrec:generations", "1").replace('"list"', '"json"'))
    done = written(redis_url, second, full=loss == "full")
    assert done["keys"] == (5 if loss == "key" else 39) and ("unchanged" in done) == (loss == "key")
    assert served(redis) == expected(second)


def test_a_rollback_over_lost_keys_is_refused(redis: Any, redis_url: str) -> None:
    first = pairs(40)
    written(redis_url, first)
    written(redis_url, {**first, "i3": turned(first["i3"])})
    redis.delete("embedrec:2:i3")
    with pytest.raises(PublishError, match=r"generation 1 is incomplete \(lost entries: 1\); publish it again"):
        rollback(target(redis_url))
    assert written(redis_url, first)["keys"] == 1 and served(redis) == expected(first)


def test_a_lost_response_to_the_switch_changes_nothing(
    redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script is sent again: keys must not be exchanged twice."""
    from redis import ConnectionError

    first = pairs(40)
    second = {**first, "i3": turned(first["i3"])}
    written(redis_url, first)
    ours = target(redis_url)
    script = type(ours.session).script
    calls: list[str] = []

    def lose(session: Any, text: str, keys: list[str], *values: str) -> Any:
        result = script(session, text, keys, *values)
        if "exchange" in text:
            calls.append(text)
            if len(calls) == 1:
                raise ConnectionError("lost")
        return result

    monkeypatch.setattr(type(ours.session), "script", lose)
    publish(of_lists(second), ours, grace=0)
    assert len(calls) == 2 and served(redis) == expected(second)


def test_a_user_who_may_not_rename_changes_nothing(redis: Any, redis_url: str) -> None:
    first = pairs(40)
    written(redis_url, first)
    redis.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-rename"])
    try:
        with pytest.raises(PublishError, match=r"can't run this command.*; see the server's message$"):
            written(redis_url.replace(":s3cret-redis@", "limited:pa55word@"), {**first, "i3": turned(first["i3"])})
    finally:
        redis.acl_deluser("limited")
    assert served(redis) == expected(first) and redis.hlen("embedrec:generations") == 1
    assert [(g.number, g.served) for g in generations_at(target(redis_url))] == [(1, True)]


ITEMS = st.integers(0, 23)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sets(ITEMS, max_size=4), st.sets(ITEMS, max_size=2), st.integers(0, 3)),
        st.tuples(st.just("rollback"), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=9,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(steps=STEPS)
def test_any_sequence_of_publishes_and_rollbacks(redis: Any, redis_url: str, steps: list[Any]) -> None:
    """Slow reference: a dictionary of the lists of every generation. At the end nothing else is left."""
    redis.flushall()
    contents: dict[int, Pairs] = {}
    shift = 0
    for kind, *given_ in [("publish", set(), set(), 1), *steps]:
        if kind == "publish":
            changed, gone, keep = given_
            shift += 1
            present = [a for a in range(24) if a not in gone]
            lists = {
                f"i{a}": [(f"i{b}", 1.0) for b in present if b % 7 == (a + shift * (a in changed)) % 7] for a in present
            }
            number = publish(of_lists(lists), target(redis_url), keep=keep, grace=0).generation
            contents[number] = lists
        elif kept := [g.number for g in generations_at(target(redis_url)) if not g.served]:
            number = rollback(target(redis_url), kept[given_[0] % len(kept)])[0]
        assert served(redis) == expected(contents[number])
        assert [g.number for g in generations_at(target(redis_url)) if g.served] == [number]
    assert publish(of_lists(pairs(9)), target(redis_url), keep=0, grace=0).generation
    start = f"embedrec:{redis.get('embedrec:served')}:"
    others = {key for key in redis.keys("*") if not key.startswith(start)}
    assert others <= {f"embedrec:{name}" for name in ("served", "generations", "digests", "last", "keyspace")}
    assert served(redis) == expected(pairs(9)) and redis.hlen("embedrec:generations") == 1
    assert redis.hlen("embedrec:digests") == 2


def test_readers_see_old_or_new_lists_during_a_delta(redis: Any, redis_url: str) -> None:
    first = pairs(400)
    second = {**first, **{f"i{a}": turned(first[f"i{a}"]) for a in range(0, 80)}}
    written(redis_url, first)
    right = {item: (expected(first)[item], expected(second)[item]) for item in first}
    finished, wrong, reads = threading.Event(), [], [0]

    def reader() -> None:
        from redis import Redis as Client

        with Client.from_url(redis_url, decode_responses=True) as client:
            while not finished.is_set():
                item = f"i{reads[0] % 400}"
                got = client.lrange(f"embedrec:{client.get('embedrec:served')}:{item}", 0, -1)
                reads[0] += 1
                if got not in right[item]:
                    wrong.append((item, got))

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        deltas = 0
        while deltas < 20 or reads[0] < 400:
            publish(of_lists(second if deltas % 2 == 0 else first), fresh(redis_url, deltas), keep=0, grace=0)
            deltas += 1
    finally:
        finished.set()
        thread.join()
    assert not wrong and redis.get("embedrec:served") == "1"


def fresh(url: str, number: int) -> Redis:
    """A target that never recognises equal content."""

    class Again(Redis):
        @property
        def layout(self) -> str:
            return f"test-{number}"

    return Again(Endpoint(url))


def test_the_limit_of_a_delta() -> None:

    stored = StoredDigests.unpack([pack(np.arange(10, dtype=np.uint64), np.zeros(10, np.uint64))])
    assert stored is not None
    base = redis_load.Base(1, 1, stored, intact=True)
    assert [base.limit(n) for n in (4, 12, 10**7)] == [2, 3, redis_load.MAX_CHANGES]
