"""Publishing a day to Redis: seconds of a delta and of a full publish, and the misses of readers meanwhile.

usage: python scripts/bench/refresh.py publish [--keys 1000000] [--neighbours 50] [--changed 0.05] [--days 3] [--seed 0]

Starts a redis-server on a free port of 127.0.0.1. The lists are at hand, so that no search is measured. Every day
changes one result of `--changed` of the lists; a hundredth of those items is new, and as many are gone. A publish is
measured from the first connection to the switch and the removal of the generations that are not kept (`--keep 1`,
without grace); "CPU" is the processor time of the command and of the server's main thread, which other programs of the
machine disturb less. A reader process reads lists of items that exist on all days, in two steps as services do; what it
reads must be the list of a day up to the current one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # servers are started as in the tests
from tests.publish.servers import redis_server

READS = 500  # a second
MOST = 0.15  # of the time of a full publish
_READER = """\
import json, sys, time
import redis
url, n, rate, prefix, days = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
client = redis.Redis.from_url(url)
reads = misses = 0
slowest = 0.0
print("ready", flush=True)
began = time.perf_counter()
while client.get("stop") is None if reads % 100 == 0 else True:
    item = f"spotify:artist:{reads * 7919 % n:022d}"
    at = time.perf_counter()
    got = client.lrange(f"{prefix}:{int(client.get(f'{prefix}:served'))}:{item}", 0, -1)
    slowest = max(slowest, time.perf_counter() - at)
    misses += not got or (int(got[0].rpartition(b":")[2]) - reads * 7919) % n > days
    reads += 1
    time.sleep(max(0.0, began + reads / rate - time.perf_counter()))
print(json.dumps({"reads": reads, "misses": misses, "slowest": slowest}))
"""


class Days:
    """The lists of n items on consecutive days: rows (n, k) of a catalogue whose ids change at its end.

    The first result of item i is item i + DAY of its last change, so that a reader knows a list that belongs to it;
    the other results are items of all days.
    """

    def __init__(self, n: int, k: int, changed: float, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.n, self.day = n, 0
        self.churn = int(n * changed / 100)
        self.changed = int(n * changed) - 2 * self.churn
        self.rows = self.rng.integers(0, self.stable, (n, k))
        self.last = np.zeros(n, dtype=np.int64)

    @property
    def stable(self) -> int:
        """The items of all days are the first ones."""
        return self.n - self.churn

    def next(self) -> None:
        self.day += 1
        self.last[self.rng.choice(self.stable, self.changed, replace=False)] = self.day

    def content(self) -> Any:
        from embedrec import TopK, Vocab
        from embedrec.data.result_lists import ResultLists
        from embedrec.publish.content import PublishContent

        numbers = np.arange(self.n)
        numbers[self.stable :] += self.day * self.churn
        vocab = Vocab(np.array([f"spotify:artist:{i:022d}" for i in numbers.tolist()], dtype=object))
        rows = self.rows.copy()
        rows[:, 0] = (np.arange(self.n) + self.last) % self.stable
        scores = np.broadcast_to(np.arange(rows.shape[1], 0, -1, dtype=np.float32), rows.shape)

        def best(queries: np.ndarray, k: int) -> TopK:
            return TopK(rows[queries, :k], scores[queries, :k], vocab)

        return PublishContent(ResultLists(vocab, vocab, best, rows.shape[1]), None, rows.shape[1], {"day": self.day})


def timed(client: Any, url: str, content: Any, prefix: str, *, full: bool) -> tuple[float, float, dict[str, int]]:
    """Seconds and processor seconds of a publish, and what it wrote."""
    from embedrec.publish.endpoint import Endpoint
    from embedrec.publish.generations import publish
    from embedrec.publish.redis import Redis

    began, used = time.perf_counter(), processor(client)
    done = publish(content, Redis(Endpoint(url), prefix, full=full), keep=1, grace=0)
    return time.perf_counter() - began, processor(client) - used, dict(done.written)


def processor(client: Any) -> float:
    """Processor seconds of this process and of the server."""
    used = client.info("cpu")
    return time.process_time() + float(used["used_cpu_sys_main_thread"]) + float(used["used_cpu_user_main_thread"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=50)
    parser.add_argument("--changed", type=float, default=0.05)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shares = []
    with redis_server() as url:
        import redis

        client = redis.Redis.from_url(url)
        days = Days(given.keys, given.neighbours, given.changed, given.seed)
        timed(client, url, days.content(), "delta", full=True)
        words = [sys.executable, "-c", _READER, url, str(days.stable), str(READS), "delta", str(given.days)]
        reader = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        print("day       keys  delta, s     CPU   full, s     CPU  share    CPU")
        for _ in range(given.days):
            days.next()
            content = days.content()
            seconds, used, size = timed(client, url, content, "delta", full=False)
            whole, all_used, _ = timed(client, url, content, "full", full=True)
            shares.append(seconds / whole)
            print(
                f"{days.day:3}  {size['keys']:9,}  {seconds:8.2f}  {used:6.2f}  {whole:8.2f}  {all_used:6.2f}  "
                f"{shares[-1]:5.3f}  {used / all_used:5.3f}",
                flush=True,
            )
        client.set("stop", 1)
        counted = json.loads(reader.communicate()[0])
        print(
            f"{counted['reads']:,} reads: {counted['misses']} misses; the slowest took {counted['slowest']:.3f} s; "
            f"{client.info('memory')['used_memory_human']} of memory"
        )
    mean = sum(shares) / len(shares)
    met = mean <= MOST and not counted["misses"]
    print(f"a delta takes {mean:.3f} of a full publish (at most {MOST}): {'met' if met else 'NOT MET'}")
    if not met:
        sys.exit(3)


if __name__ == "__main__":
    main()
