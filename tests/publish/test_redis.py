"""Redis, with a server: keys, switches, clean-up, and what readers see meanwhile."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import PublishError, SettingsError
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import Published, publish
from embedrec.publish.redis import Redis
from embedrec.publish.redis_commands import READ_JSON, READ_LIST
from tests.publish.content import content, lists, scored_lists
from tests.publish.servers import free_port, redis_missing, redis_server, running


def target(url: str, **more: Any) -> Redis:
    return Redis(Endpoint(url, retries=Retries(2, 0.01)), **more)


def read(client: Any, item: str, prefix: str = "embedrec") -> list[str]:
    """The list of an item, read in the two steps of a reader."""
    result: list[str] = client.lrange(f"{prefix}:{client.get(f'{prefix}:served')}:{item}", 0, -1)
    return result


def served(client: Any, publication: PublishContent, prefix: str = "embedrec") -> dict[str, list[str]]:
    items, pipe = publication.vocab.ids.tolist(), client.pipeline()
    for item in items:
        pipe.lrange(f"{prefix}:{client.get(f'{prefix}:served')}:{item}", 0, -1)
    return dict(zip(items, pipe.execute(), strict=True))


def generations(client: Any) -> set[str]:
    """The generations that have keys."""
    return {key.split(":")[1] for key in client.keys("embedrec:[0-9]*")}


def test_keys_by_hand(redis: Any, redis_url: str) -> None:
    small = content(3, 2, ids=["a", "b:c", "d"], parts="neighbours", short=False)
    published = publish(small, target(redis_url))
    assert published.generation == 1 and published.written["keys"] == 3
    assert sorted(redis.keys()) == [
        "embedrec:1:a", "embedrec:1:b:c", "embedrec:1:d", "embedrec:digests", "embedrec:generations",
        "embedrec:keyspace", "embedrec:last", "embedrec:served",
    ]  # fmt: skip
    assert redis.get("embedrec:served") == "1"
    assert served(redis, small) == lists(small)
    about = json.loads(redis.hget("embedrec:generations", "1"))
    assert about["state"] == "whole" and about["keys"] == 3


@pytest.mark.parametrize("ids", [None, list(range(-3, 17))])
def test_lists_and_json_are_read_by_the_scripts(redis: Any, redis_url: str, ids: Any) -> None:
    publication = content(20, 4, ids=ids, parts="neighbours")
    publish(publication, target(redis_url))
    assert served(redis, publication) == {item: [str(o) for o in others] for item, others in lists(publication).items()}
    publish(publication, target(redis_url, prefix="as-json", format="json"))
    for item, pairs in scored_lists(publication).items():
        text = json.loads(redis.eval(READ_JSON, 0, "as-json", item))
        assert text["items"] == [other for other, _ in pairs]
        assert text["scores"] == pytest.approx([score for _, score in pairs], rel=1e-6)
        assert redis.eval(READ_LIST, 0, "embedrec", item) == [str(o) for o, _ in pairs]


def test_many_batches_and_one_item_are_published(redis: Any, redis_url: str) -> None:
    publication = content(5000, 3, parts="neighbours")
    message: list[int] = []
    published = publish(publication, target(redis_url), report=lambda event, **numbers: message.append(numbers["done"]))
    assert served(redis, publication) == lists(publication) and message == [2048, 4096, 5000]
    assert published.written == target(redis_url).measure(publication)
    single = content(1, 3, parts="neighbours", short=False)
    assert publish(single, target(redis_url, prefix="alone")).written["keys"] == 0
    assert redis.eval(READ_LIST, 0, "alone", single.vocab.id(0)) == []


def test_equal_content_is_not_written_again(redis: Any, redis_url: str) -> None:
    publication = content(parts="neighbours")
    publish(publication, target(redis_url))
    values = {key: redis.dump(key) for key in redis.keys("*")}
    assert publish(publication, target(redis_url)) == Published(1)
    assert {key: redis.dump(key) for key in redis.keys("*")} == values


def test_generations_are_kept_and_dropped(redis: Any, redis_url: str) -> None:
    contents = [content(seed=seed, parts="neighbours") for seed in range(4)]
    for number, publication in enumerate(contents[:3], 1):
        assert publish(publication, target(redis_url), grace=0).generation == number
        assert served(redis, publication) == lists(publication)
    assert generations(redis) == {"2", "3"}
    assert publish(contents[1], target(redis_url), grace=0).written == {}  # returns to a kept generation
    assert redis.get("embedrec:served") == "2" and served(redis, contents[1]) == lists(contents[1])
    publish(contents[3], target(redis_url), keep=2, grace=0)
    assert generations(redis) == {"2", "3", "4"}
    publish(contents[3], target(redis_url), keep=0, grace=0)
    assert generations(redis) == {"4"} and redis.hlen("embedrec:retired") == 0


def test_a_generation_is_dropped_after_the_grace_period(redis: Any, redis_url: str) -> None:
    """The old generation is dropped when the grace period after the switch ends."""
    first, second = content(seed=1, parts="neighbours"), content(seed=2, parts="neighbours")
    publish(first, target(redis_url))
    message: list[tuple[str, Any, set[str]]] = []
    publish(
        second,
        target(redis_url),
        keep=0,
        grace=0.3,
        report=lambda event, **numbers: message.append((event, redis.get("embedrec:served"), generations(redis))),
    )
    assert [s for s in message if s[0] != "progress"] == [("waiting", "2", {"1", "2"}), ("dropped", "2", {"2"})]


def test_unfinished_generations_are_removed(redis: Any, redis_url: str) -> None:
    first, second = content(seed=1, parts="neighbours"), content(3000, 2, seed=2, parts="neighbours")
    publish(first, target(redis_url))

    def stop(event: str, **numbers: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(second, target(redis_url), report=stop)
    assert generations(redis) == {"1"} and served(redis, first) == lists(first)  # the publisher removed it
    half = target(redis_url)
    half.__enter__()
    redis.hset("embedrec:generations", "7", json.dumps({"state": "loading"}))
    redis.rpush("embedrec:7:x", "y")
    redis.set("embedrec:70:x", "no part of generation 7")
    half.session.client.connection.disconnect()  # like a killed process: it stays the registered publisher
    message: list[Any] = []
    publish(first, target(redis_url), report=lambda event, **numbers: message.append((event, numbers)))
    assert message == [("cleaned", {"half_loaded": 1})] and generations(redis) == {"1", "70"}


def test_one_publisher_at_a_time(redis: Any, redis_url: str) -> None:
    with target(redis_url), pytest.raises(PublishError, match=r"another publish to 'embedrec' at .* is running"):
        publish(content(parts="neighbours"), target(redis_url))
    with target(redis_url, prefix="other"):
        publish(content(parts="neighbours"), target(redis_url))
    publish(content(parts="neighbours"), target(redis_url))
    first = target(redis_url)
    first.__enter__()
    redis.set("embedrec:publisher", "somebody:1:else")
    with pytest.raises(PublishError, match="started meanwhile"):
        first.switch(1)
    redis.delete("embedrec:publisher")
    first.session.client.close()


def test_lost_connections_are_restored(redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch may have arrived when the connection is lost before the response: it is written once."""
    from redis import ConnectionError

    publication = content(5000, 3, parts="neighbours")
    retries: list[dict[str, Any]] = []

    def record(event: str, **numbers: Any) -> None:
        if event == "retry":
            retries.append(numbers)

    ours = Redis(Endpoint(redis_url, retries=Retries(2, 0.01), report=record))

    def lose(event: str, **numbers: Any) -> None:
        """After each batch but the last, the response to the next one is lost."""
        connection = ours.session.client.connection

        def lost(*_: Any, **__: Any) -> Any:
            monkeypatch.undo()
            raise ConnectionError("lost s3cret-redis")

        if event == "progress" and numbers["done"] < numbers["total"]:
            monkeypatch.setattr(connection, "read_response", lost)

    publish(publication, ours, report=lose)
    assert served(redis, publication) == lists(publication)
    assert retries == [{"seconds": 0.01, "reason": "lost ***"}] * 2


def test_exhausted_memory_removes_the_loaded_keys(redis: Any, redis_url: str) -> None:
    """The error is one sentence."""
    publish(content(seed=1, parts="neighbours"), target(redis_url))

    def fill(event: str, **numbers: Any) -> None:
        if event == "progress":
            redis.config_set("maxmemory", 1)

    try:
        with pytest.raises(PublishError, match=r"used memory > 'maxmemory'.*; see the server's message$"):
            publish(content(5000, 3, seed=2, parts="neighbours"), target(redis_url), report=fill)
    finally:
        redis.config_set("maxmemory", 0)
    assert generations(redis) == {"1"} and list(redis.hgetall("embedrec:generations")) == ["1"]
    assert publish(content(seed=2, parts="neighbours"), target(redis_url)).generation == 3


@pytest.mark.skipif(redis_missing() != "", reason="there is no redis-server")
def test_a_server_that_stops_is_an_error() -> None:
    """The error is one sentence; when the server returns empty, it names the lost generation."""
    publication = content(6000, 3, parts="neighbours")
    with ExitStack() as stack:
        url = stack.enter_context(redis_server())

        def stop(event: str, **numbers: Any) -> None:
            if event == "progress":
                stack.close()

        with pytest.raises(PublishError, match=r"refused.*; check the URL, and whether the service runs$") as raised:
            publish(publication, target(url), report=stop)
        assert raised.value.__suppress_context__
    with ExitStack() as first, ExitStack() as second:
        url = first.enter_context(redis_server())

        def restart(event: str, **numbers: Any) -> None:
            if event == "progress":
                first.close()
                second.enter_context(redis_server(port=int(url.split(":")[2].split("/")[0])))

        with pytest.raises(PublishError, match=r"restarted during the publish; publish again$"):
            publish(publication, target(url), report=restart)


def test_an_emptied_server_is_an_error(redis: Any, redis_url: str) -> None:
    def empty(event: str, **numbers: Any) -> None:
        redis.flushall()

    with pytest.raises(PublishError, match=r"lost keys of 'embedrec' during the publish; publish again$"):
        publish(content(parts="neighbours"), target(redis_url), report=empty)


@pytest.mark.parametrize("kind", ["list", "json"])
def test_lost_keys_are_published_again(redis: Any, redis_url: str, kind: Any) -> None:
    publication = content(5000, 3, parts="neighbours")  # lists of some items are empty, and no keys
    publish(publication, target(redis_url, format=kind))
    assert publish(publication, target(redis_url, format=kind)) == Published(1)
    redis.delete(f"embedrec:1:{publication.vocab.id(4321)}", f"embedrec:1:{publication.vocab.id(3)}")
    message: list[Any] = []
    published = publish(
        publication, target(redis_url, format=kind), grace=0, report=lambda event, **n: message.append((event, n))
    )
    assert published.generation == 2 and published.written["keys"] == len(redis.keys("embedrec:2:*")) >= 4000
    assert message[0] == ("incomplete", {"generation": 1, "missing": 2})
    assert message[-1] == ("dropped", {"generation": 1}) and generations(redis) == {"2"}
    assert publish(publication, target(redis_url, format=kind)) == Published(2)


def test_prefixes_like_those_of_a_generation_are_refused() -> None:
    """A pattern for generation 1 of `embedrec` would also match the keys of the prefix `embedrec:1`."""
    for invalid in ("embedrec:1", "a:b:20", "shop:3:x"):
        with pytest.raises(SettingsError, match=rf"^the prefix '{invalid}' has a number after ':', .*; choose another"):
            Redis(Endpoint("redis://h"), prefix=invalid)
    for valid in ("1", "a:b1", "v2:x", "a:1b"):
        Redis(Endpoint("redis://h"), prefix=valid)


def test_databases_are_numbers() -> None:
    for invalid in ("redis://h:7391/abc", "rediss://h/1/2", "redis://h/-1", "redis://h/0x"):
        with pytest.raises(SettingsError, match=r"^the database in the URL is not a number; write the URL as redis://"):
            Redis(Endpoint(invalid))
    for valid in ("redis://h", "redis://h/", "redis://h:1/7?db=2", "unix:///run/redis.sock?db=1"):
        Redis(Endpoint(valid))


def test_a_connection_closed_by_the_server_is_restored(redis: Any, redis_url: str) -> None:
    publication = content(5000, 3, parts="neighbours")
    killed: list[int] = []

    def kill(event: str, **numbers: Any) -> None:
        if event == "progress" and len(killed) < 2:
            killed.append(redis.client_kill_filter(_type="normal", skipme=True))

    publish(publication, target(redis_url), report=kill)
    assert sum(killed) >= 2 and served(redis, publication) == lists(publication)


def test_readers_see_complete_lists_during_switches(redis: Any, redis_url: str) -> None:
    """Every one of 1,000 reads a second during switches returns the old list or the new one."""
    contents = [content(300, 5, seed=seed, parts="neighbours", short=False) for seed in range(2)]
    publish(contents[0], target(redis_url))
    right = {item: {tuple(lists(c)[item]) for c in contents} for item in contents[0].vocab.ids.tolist()}
    items = list(right)
    reads, wrong = [0], []
    finished = threading.Event()

    def reader() -> None:
        began = time.perf_counter()
        while not finished.is_set():
            item = items[reads[0] % len(items)]
            result = tuple(read(redis, item))
            reads[0] += 1
            if result not in right[item]:
                wrong.append((item, result))
            time.sleep(max(0.0, began + reads[0] / 1000 - time.perf_counter()))

    thread = threading.Thread(target=reader)
    thread.start()
    switches = 0
    began = time.perf_counter()
    try:
        while time.perf_counter() - began < 1.5 or reads[0] < 300:
            switches += 1
            publish(contents[switches % 2], fresh(redis_url, switches), keep=3, grace=0.5)
    finally:
        finished.set()
        thread.join()
    assert switches >= 3 and not wrong


def fresh(url: str, number: int) -> Redis:
    """A target that never recognises equal content."""

    class Again(Redis):
        @property
        def layout(self) -> str:
            return f"test-{number}"

    return Again(Endpoint(url))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("s3cret-redis", "wr0ng-redis"),
            r"redis://:\*\*\*@127.0.0.1:\d+/0 cannot be published to .*; check user and password",
        ),
        (("127.0.0.1:", "127.0.0.1:1"), "Port out of range 0-65535.; write the URL as redis://"),
        (("redis://", "radis://"), r"write the URL as redis://"),
        (("/0", "/0?socket_timeout=much"), r"write the URL as redis://"),
        (("/0", "/99"), "DB index is out of range"),
    ],
)
def test_invalid_endpoints_are_refused(redis_url: str, change: tuple[str, str], message: str) -> None:
    bad = redis_url.replace(*change)
    with pytest.raises(PublishError, match=message) as raised:
        publish(content(parts="neighbours"), Redis(Endpoint(bad, retries=Retries(0))))
    assert "s3cret" not in str(raised.value) and "wr0ng" not in str(raised.value)


@pytest.mark.skipif(
    redis_missing() != "" or shutil.which("openssl") is None, reason="there is no redis-server or openssl"
)
def test_tls_connections_are_verified(tmp_path: Path) -> None:
    import redis as package

    key, certificate, port = str(tmp_path / "key.pem"), str(tmp_path / "made.pem"), str(free_port())
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(words, check=True, capture_output=True)
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"

    def ready() -> bool:
        with suppress(package.ConnectionError), package.Redis.from_url(url) as client:
            return bool(client.ping())
        return False

    server = ["redis-server", "--bind", "127.0.0.1", "--port", "0", "--tls-port", port, "--tls-auth-clients", "no"]
    server += ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--save", ""]
    with running(server, ready, tmp_path):
        assert publish(content(parts="neighbours"), target(url)).generation == 1
        with pytest.raises(PublishError, match="certificate verify failed") as raised:
            publish(content(parts="neighbours"), target(f"rediss://:s3cret@127.0.0.1:{port}/0"))
        assert "s3cret" not in str(raised.value)


def test_a_missing_server_is_an_error() -> None:
    message: list[Any] = []
    place = Endpoint(
        f"redis://me:s3cret@127.0.0.1:{free_port()}",
        retries=Retries(2, 0.01),
        report=lambda event, **n: message.append(n),
    )
    with pytest.raises(PublishError, match=r"me:\*\*\*@.*refused.*; check the URL, and whether the service runs"):
        publish(content(parts="neighbours"), Redis(place))
    assert [n["seconds"] for n in message] == [0.01, 0.02] and "s3cret" not in str(message)


def test_other_keys_are_kept(redis: Any, redis_url: str) -> None:
    some = content(parts="neighbours")
    redis.hset("embedrec:generations", "of", "people")
    with pytest.raises(PublishError, match="a foreign value in embedrec:generations; choose another --prefix"):
        publish(some, target(redis_url))
    for foreign in ('{"a": 1}', "[]", "7", '{"state": "whole"}', '{"state": "whole", "fingerprint": "f", "keys": "x"}'):
        redis.delete("embedrec:generations")
        redis.hset("embedrec:generations", "1", foreign)
        with pytest.raises(PublishError, match="a foreign value in embedrec:generations; choose another --prefix"):
            publish(some, target(redis_url))
        assert redis.hgetall("embedrec:generations") == {"1": foreign}
    redis.delete("embedrec:generations")
    redis.hset("embedrec:retired", "of", "people")
    with pytest.raises(PublishError, match="a foreign value in embedrec:retired; choose another --prefix"):
        publish(some, target(redis_url))
    redis.delete("embedrec:retired")
    redis.rpush(f"embedrec:1:{some.vocab.id(1)}", "somebody else's")
    with pytest.raises(PublishError, match="has foreign keys under 'embedrec'"):
        publish(some, target(redis_url))
    redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(PublishError, match=r"used memory > 'maxmemory'.; see the server's message"):
            publish(some, target(redis_url))
    finally:
        redis.config_set("maxmemory", 0)
    with pytest.raises(SettingsError, match="redis supports neighbours only"):
        publish(content(), target(redis_url))
    with pytest.raises(SettingsError, match="must not be empty"):
        Redis(Endpoint(redis_url), prefix="")


def test_prefixes_are_not_patterns(redis: Any, redis_url: str) -> None:
    publish(content(seed=1, parts="neighbours"), target(redis_url, prefix="abc"))
    for seed in (1, 2, 3):
        publish(content(seed=seed, parts="neighbours"), target(redis_url, prefix="a*c[x]?^\\"), keep=0, grace=0)
    assert len(redis.keys("abc:1:*")) == len(redis.keys("a[*]*:3:*"))
    assert not redis.keys("a[*]*:2:*")
