"""Publishing to Redis: seconds, misses of readers during switches, and the state after kills.

usage: python scripts/bench/publish.py [--items 100000] [--neighbours 50] [--publishes 4]
       [--kills 200] [--seed 0]

Starts a redis-server on a free port of 127.0.0.1. A reader process reads 1,000 lists per second, in two steps as
services do; a miss is a reply without a list. Every kill is a SIGKILL of the whole command at a random moment; after
each, all lists of the served generation are read, and at the end the next publish must remove all other keys.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from generated import indexed

sys.path.insert(0, str(Path(__file__).parents[2]))  # servers are started as in the tests
from tests.publish.servers import redis_server

READS = 1000  # a second
_READER = """\
import json, sys, time
import redis
url, n, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = redis.Redis.from_url(url)
reads = misses = late = 0
print("ready", flush=True)
began = time.perf_counter()
while client.get("stop") is None if reads % 100 == 0 else True:
    item = f"spotify:artist:{reads * 7919 % n:022d}"
    if not client.lrange(f"embedrec:{int(client.get('embedrec:served'))}:{item}", 0, -1):
        misses += 1
    reads += 1
    time.sleep(max(0.0, began + reads / rate - time.perf_counter()))
print(json.dumps({"reads": reads, "misses": misses, "seconds": time.perf_counter() - began}))
"""


def command(url: str, folder: str, name: str, *more: str) -> list[str]:
    words = ["publish", "redis", url, "--workspace", folder, "--index", name, "--json", "--grace", "1", *more]
    return [sys.executable, "-m", "embedrec", *words]


def published(url: str, folder: str, name: str, *more: str) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, and its output."""
    began = time.perf_counter()
    done = subprocess.run(command(url, folder, name, *more), check=True, capture_output=True, text=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def measure(url: str, folder: str, name: str, n: int, k: int, publishes: int) -> None:
    """Publish repeatedly, with different numbers of neighbours, so that the content differs."""
    import redis

    client = redis.Redis.from_url(url)
    print(f"{'publish':>8}  {'keys':>9}  {'MB':>6}  {'seconds':>7}  {'whole command, s':>16}")
    reader: subprocess.Popen[str] | None = None
    for turn in range(publishes):
        seconds, said = published(url, folder, name, "-n", str(k - turn))
        print(
            f"{turn + 1:8}  {said['keys']:9,}  {said['bytes'] / 1e6:6.1f}  {said['seconds']:7.2f}  {seconds:16.2f}",
            flush=True,
        )
        if reader is None:
            words = [sys.executable, "-c", _READER, url, str(n), str(READS)]
            reader = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
    assert reader is not None
    client.set("stop", 1)
    counted = json.loads(reader.communicate()[0])
    rate = counted["reads"] / counted["seconds"]
    print(
        f"{counted['reads']:,} reads at {rate:,.0f} a second during {publishes - 1} publishes: "
        f"{counted['misses']} misses"
    )
    seconds, said = published(url, folder, name, "-n", str(k), "--format", "json", "--prefix", "json")
    print(f"    json  {said['keys']:9,}  {said['bytes'] / 1e6:6.1f}  {said['seconds']:7.2f}  {seconds:16.2f}")


def state(client: Any) -> list[list[bytes]]:
    """All lists of the served generation."""
    served = int(client.get("embedrec:served"))
    keys = sorted(client.scan_iter(match=f"embedrec:{served}:*", count=10_000))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.lrange(key, 0, -1)
    return pipe.execute()


def at_hand(url: str, n: int, k: int) -> None:
    """Publish stored neighbours, which need no search, as those of `cooccurrence`."""
    import numpy as np

    from embedrec import TopK, Vocab
    from embedrec.data.result_lists import ResultLists
    from embedrec.publish.content import PublishContent
    from embedrec.publish.endpoint import Endpoint
    from embedrec.publish.generations import publish
    from embedrec.publish.redis import Redis

    vocab = Vocab(np.array([f"spotify:artist:{i:022d}" for i in range(n)], dtype=object))
    rows = np.random.default_rng(0).integers(0, n, (n, k))
    scores = np.broadcast_to(np.arange(k, 0, -1, dtype=np.float32), (n, k))
    lists = ResultLists(vocab, vocab, lambda asked, max_k: TopK(rows[asked], scores[asked], vocab), k)
    found = PublishContent(lists, None, k, {})
    for kind in ("list", "json"):
        began = time.perf_counter()
        written = publish(found, Redis(Endpoint(url), prefix=f"hand-{kind}", format=kind)).written  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        print(f"{written['keys']:,} keys ({kind}), neighbours at hand: {seconds:.2f} s")


def kill(url: str, folder: str, name: str, kills: int, seed: int) -> None:
    import redis

    client = redis.Redis.from_url(url)
    client.flushall()
    right = []
    for k in (20, 19):
        whole, _ = published(url, folder, name, "-n", str(k), "--keep", "0")
        right.append(state(client))
    chance = random.Random(seed)
    killed = publishes = 0
    while killed < kills:
        publishes += 1
        words = command(url, folder, name, "-n", str(20 - publishes % 2), "--keep", "0")
        began = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            timer = threading.Timer(whole * (0.3 + 0.7 * chance.random()), process.kill)
            timer.start()
            process.wait()
            timer.cancel()
        if process.returncode == 0:
            whole = time.perf_counter() - began  # it was done before its turn came
        killed += process.returncode != 0
        assert state(client) in right, f"what is served after publish {publishes} is not whole"
    published(url, folder, name, "-n", "20", "--keep", "0")
    assert state(client) == right[0], "the publish after the kills left something else"
    left = {key.split(b":")[1] for key in client.scan_iter(match="embedrec:[0-9]*", count=10_000)}
    assert left == {client.get("embedrec:served")}, f"generations {left} were left"
    print(f"{killed} of {publishes} publishes killed: the served generation was whole each time, nothing is left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--neighbours", type=int, default=50)
    parser.add_argument("--publishes", type=int, default=4)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server() as url:
        if given.publishes:
            at_hand(url, given.items, given.neighbours)
            name = indexed(Path(folder), given.items, given.dim, "ivf")
            measure(url, folder, name, given.items, given.neighbours, given.publishes)
        if given.kills:
            with tempfile.TemporaryDirectory() as small:
                kill(url, small, indexed(Path(small), 5000, 16, "ivf"), given.kills, given.seed)


if __name__ == "__main__":
    main()
