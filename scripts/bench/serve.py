"""The service under load: requests a second and latency, hot swaps, kills, hostile requests, start.

usage: python scripts/bench/serve.py similar   [--rate 6000] [--at 3000] [--seconds 30] [--workers 2]
       python scripts/bench/serve.py recommend --workspace FOLDER [--model NAME | --index NAME] [--rate 3000]
       python scripts/bench/serve.py swaps     [--swaps 200] [--requests 1000000] [--rate 3000]
       python scripts/bench/serve.py kills     [--sessions 10000]
       python scripts/bench/serve.py hostile   [--requests 10000]
       python scripts/bench/serve.py memory    [--seconds 3600] [--rate 1000]
       python scripts/bench/serve.py start     [--items 1000000] [--dim 256]

Client and server run on the same cores. Load is offered at a constant rate, see `serve_load.py`, after a warm-up.
`similar` and others without --workspace build an index of 100,000 × 64 random vectors around 200 centres.
`recommend` takes histories of 1 to 20 items from the sessions that the model was trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import numpy as np
from serve_load import Load, get, offer, post

from embedrec import Embeddings, Vocab, build_index, save_index
from embedrec.data.sessions import Sessions
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import training_sessions

WARM_UP = 5  # seconds


class Server:
    """A running `embedrec serve`."""

    def __init__(self, workspace: Path, *options: str) -> None:
        self.began = time.perf_counter()
        self.log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 (it lives as long as the server)
        command = [sys.executable, "-m", "embedrec", "serve", "--workspace", str(workspace), *options]
        if "--bind" not in options:
            command += ["--bind", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=self.log)
        self.address = ("127.0.0.1", self._wait(self._port))
        self._wait(self._ready)
        self.seconds = time.perf_counter() - self.began

    def _wait(self, condition: Callable[[], Any]) -> Any:
        while not (result := condition()):
            if self.process.poll() is not None or time.perf_counter() - self.began > 120:
                self.process.kill()
                raise SystemExit(Path(self.log.name).read_text())
            time.sleep(0.005)
        return result

    def _port(self) -> int:
        found = re.search(r" at http://127\.0\.0\.1:(\d+)", Path(self.log.name).read_text())
        return int(found[1]) if found else 0

    def _ready(self) -> bool:
        with suppress(OSError):
            return bool(self.get("/health/ready"))
        return False

    def get(self, path: str) -> Any:
        """The answer to a GET request."""
        with urlopen(f"http://{self.address[0]}:{self.address[1]}{path}") as answer:
            return json.load(answer)

    def workers(self) -> list[int]:
        """The process ids of the workers; that of the server if it is its own worker."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children] or [pid]

    def memory(self) -> dict[str, float]:
        """Megabytes of all workers: resident, and of these not shared with files."""
        sums: Counter[str] = Counter()
        for pid in self.workers():
            for name, kilobytes in re.findall(r"(VmRSS|RssAnon):\s+(\d+)", Path(f"/proc/{pid}/status").read_text()):
                sums[name] += int(kilobytes)
        return {name: kilobytes / 1024 for name, kilobytes in sums.items()}

    def proportional_memory(self) -> float:
        """Megabytes of all processes of the service; a page that several share counts once."""
        pids = {self.process.pid, *self.workers()}
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        return sum(int(kilobytes) for text in rollups for kilobytes in re.findall(r"^Pss:\s+(\d+)", text, re.M)) / 1024

    def processor_seconds(self) -> float:
        """Processor time of all workers until now."""
        ticks = 0
        for pid in self.workers():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@contextmanager
def serving(workspace: Path, *options: str) -> Iterator[Server]:
    server = Server(workspace, *options)
    try:
        yield server
    finally:
        server.stop()


def vectors(n: int, dim: int, seed: int) -> Embeddings:
    """Vectors around 200 centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(200, dim))
    near = centres[rng.integers(0, 200, n)] + 0.6 * rng.normal(size=(n, dim))
    return Embeddings(near.astype(np.float32), Vocab([f"spotify:artist:{row:06d}" for row in range(n)]))


def indexed(folder: Path, n: int, dim: int, kind: str, seed: int = 0) -> None:
    """Write an index of vectors."""
    save_index(build_index(vectors(n, dim, seed), kind), folder / "indexes" / "bench", {})


def similar_requests(n: int) -> list[bytes]:
    rng = random.Random(0)
    return [get(f"/v1/similar/spotify:artist:{rng.randrange(n):06d}") for _ in range(50_000)]


def row(what: str, load: Load) -> None:
    print(
        f"| {what} | {load.offered:,.0f} | {load.rate:,.0f} | {load.quantile(0.5):.2f} | {load.quantile(0.99):.2f} | "
        f"{load.failed} |",
        flush=True,
    )


def measure(server: Server, requests: list[bytes], given: argparse.Namespace) -> None:
    """The most requests a second, and latency at a lower rate."""
    print("| | offered/s | answered/s | p50 ms | p99 ms | failed |\n|---|---|---|---|---|---|")
    offer(server.address, requests, min(given.at, 500), WARM_UP)
    before = server.processor_seconds()
    load = offer(server.address, requests, given.at, given.seconds)
    used = server.processor_seconds() - before
    row("latency", load)
    row("throughput", offer(server.address, requests, given.rate, given.seconds))
    micros = used / sum(load.statuses.values()) * 1e6
    print(f"\nprocessor time of the workers: {micros:.0f} µs a request at the lower rate")
    print("memory of all workers, MB:", {name: round(mb) for name, mb in server.memory().items()})


def similar(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        indexed(Path(folder), 100_000, 64, "auto")
        with serving(Path(folder), "--workers", str(given.workers), "--max-concurrent", "1000") as server:
            measure(server, similar_requests(100_000), given)


def recommend(given: argparse.Namespace) -> None:
    workspace = Workspace(given.workspace)
    options = [
        word for name in ("index", "model") if given.__dict__[name] for word in (f"--{name}", given.__dict__[name])
    ]
    source = workspace.find("index", given.index) if given.index else workspace.find("model", given.model)
    model = workspace.find("model", source.about["indexed"]["name"]) if given.index else source
    sessions = Sessions.load(training_sessions(workspace, model))
    rng = random.Random(0)
    requests = []
    for number in rng.sample(range(len(sessions)), min(20_000, len(sessions))):
        items = sessions.vocab.ids[sessions[number][: rng.randint(1, 20)]].tolist()
        requests.append(post("/v1/recommend", msgspec.json.encode({"items": items, "k": 20})))
    with serving(workspace.root, *options, "--workers", str(given.workers), "--max-concurrent", "1000") as server:
        measure(server, requests, given)


class SameVersion:
    """Whether the neighbours of an answer are those of the version that it states."""

    def __init__(self, neighbours: dict[str, list[str]]) -> None:
        self.neighbours = neighbours

    def __call__(self, body: bytes) -> bool:
        answer = msgspec.json.decode(body)
        (result,) = answer["results"]
        return result["neighbours"][0]["item"] == self.neighbours[answer["version"]][int(result["item"][-6:])]


def swaps(given: argparse.Namespace) -> None:
    """Swap two indexes under load; every answer must be of the version that it states."""
    n = 5000
    with tempfile.TemporaryDirectory() as folder:
        workspace, built, neighbours = Workspace(folder), [], {}
        for seed in (1, 2):
            indexed(Path(folder), n, 64, "flat", seed)
            version = f"bench@{workspace.find('index', 'bench').fingerprint[:12]}"
            built.append(build_index(vectors(n, 64, seed), "flat"))
            nearest = built[-1].neighbours(np.arange(n), 1)
            neighbours[version] = built[-1].vocab.ids[nearest.rows[:, 0]].tolist()
        with serving(
            Path(folder), "--workers", str(given.workers), "--watch", "0.2", "--max-concurrent", "1000"
        ) as server:
            seconds = given.requests / given.rate
            script = f"import serve; serve.swap_for_ever({folder!r}, {n}, {seconds / given.swaps})"
            swapping = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent)
            load = offer(server.address, similar_requests(n), given.rate, seconds, SameVersion(neighbours))
            swapping.terminate()
            swapping.wait()
            switched = Path(server.log.name).read_text().count("serving bench@") // given.workers - 1
        print("| requests | swaps served | failed | wrong version | p99 ms |\n|---|---|---|---|---|")
        total = sum(load.statuses.values())
        print(f"| {total:,} | {switched} | {load.failed} | {load.wrong} | {load.quantile(0.99):.1f} |")
        if load.failed:
            others = {status: count for status, count in sorted(load.statuses.items()) if status != 200}
            print(f"\nrequests by status (0: connection lost, -1: never answered): {others}")


def swap_for_ever(folder: str, n: int, seconds: float) -> None:
    """Write the two indexes in turn, one every so many seconds."""
    built = [build_index(vectors(n, 64, seed), "flat") for seed in (1, 2)]
    for turn in range(1 << 30):
        began = time.perf_counter()
        save_index(built[turn % 2], Path(folder) / "indexes" / "bench", {})
        time.sleep(max(0.0, began + seconds - time.perf_counter()))


def kills(given: argparse.Namespace) -> None:
    """Kill a worker under load, then the whole service with live sessions."""
    with tempfile.TemporaryDirectory() as folder:
        indexed(Path(folder), 5000, 64, "flat")
        server = Server(Path(folder), "--workers", "2")
        events = [
            post(f"/v1/sessions/s{s}/events", b'{"events": [{"item": "spotify:artist:%06d"}]}' % (s % 5000))
            for s in range(given.sessions)
        ]
        kept = offer(server.address, events, 500, given.sessions / 500)
        script = f"import os, time; time.sleep(2); os.kill({server.workers()[0]}, 9)"
        killer = subprocess.Popen([sys.executable, "-c", script])
        load = offer(server.address, similar_requests(5000), 500, 8)
        killer.wait()
        lost = load.failed
        workers = server.workers()
        for pid in [server.process.pid, *workers]:
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
        import sqlite3

        again = Server(Path(folder))
        with sqlite3.connect(Path(folder) / "serving" / "sessions.sqlite") as connection:
            (there,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
        again.stop()
    print("| what | number |\n|---|---|")
    print(f"| sessions that were kept | {kept.statuses[200]:,} |\n| sessions after kill -9 of everything | {there:,} |")
    print(f"| requests around kill -9 of one of two workers | {sum(load.statuses.values()):,} |")
    print(f"| of these without an answer, as they were sent to the killed worker | {lost} |")


def hostile(given: argparse.Namespace) -> None:
    """Requests that mean harm: none may end in 5xx but 503, in a traceback or in much memory."""
    rng = random.Random(0)
    statuses: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        indexed(Path(folder), 5000, 64, "flat")
        secret = Path(folder).parent / f"secret-{os.getpid()}"
        secret.write_text("secret content")
        with serving(Path(folder), "--timeout", "2") as server:
            before = server.memory()["VmRSS"]
            for number in range(given.requests):
                raw = _hostile(rng, secret.name)
                slow = number % 500 == 0
                statuses[_exchange(server.address, raw, slow)] += 1
            after = server.memory()["VmRSS"]
            alive = server.get("/health/ready")["status"]
            log = Path(server.log.name).read_text()
        secret.unlink()
    print("| status | requests |\n|---|---|")
    for status, count in sorted(statuses.items()):
        print(f"| {status} | {count:,} |")
    print(f"\nthen {alive}; tracebacks {log.count('Traceback')}; memory {before:.0f} → {after:.0f} MB")


def _hostile(rng: random.Random, secret: str) -> bytes:
    """A hostile request."""
    noise = bytes(rng.randrange(256) for _ in range(rng.choice([1, 10, 300])))
    quoted = "".join(f"%{byte:02X}" for byte in noise)
    path = rng.choice(
        [
            f"/v1/similar/{quoted}", f"/v1/similar/../../{secret}", f"/v1/similar/%2e%2e%2f{secret}", f"/../{secret}",
            "/v1/similar/" + "a" * rng.choice([100, 10_000, 60_000]), f"/v1/items?query={quoted}&k=1",
            f"/v1/items?{quoted}={quoted}", "/v1/items?" + "&".join(["query=a"] * 5000),
            f"/v1/sessions/{quoted}/recommend",
            "/v1/similar/a?k=99999999999999999999", "/v1/similar/a?where=" + "x" * 5000, "/v1/similar/a?popularity=nan",
            f"/v1/similar/spotify:artist:000001?model=../../{secret}", "//", "/v1/", f"/docs/../{secret}",
        ]
    )  # fmt: skip
    bodies = [
        noise, b"[" * 50_000, b'{"items": ' * 5000, b'{"items": ["\xff\xfe"]}',
        b'{"items": [%s]}' % b",".join([b"1"] * 100_000),
        b'{"items": ["a"], "k": 1e400}', b'{"items": [1e400]}', b'{"items": [123456789012345678901234567890]}',
        b'{"items": ["\\ud800"]}', b'{"items": ["a"], "times": [9e30]}', b"x" * 2_000_000, b"null", b'{"a": {"b": 1}}',
        b'{"histories": [%s]}' % b",".join([b'{"items": []}'] * 200), b'{"items": ["a"], "items": ["b"]}',
        b'{"session": "' + b"s" * 5000 + b'"}', b'{"events": [{"item": "a", "time": -99999999999999999}]}',
        b'{"items": ["spotify:artist:000001"], "index": "../../%s"}' % secret.encode(), b"",
    ]  # fmt: skip
    if rng.random() < 0.5:
        method = rng.choice(["GET", "GET", "GET", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
        return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    body = rng.choice(bodies)
    target = rng.choice(
        [
            "/v1/similar",
            "/v1/recommend",
            "/v1/neighbours",
            f"/v1/sessions/{quoted}/events",
            "/v1/reload",
            "/v1/rollback",
        ]
    )
    stated = rng.choice([str(len(body))] * 8 + ["99999999999999", "-1"])
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {stated}\r\n\r\n"
    return head.encode() + body


def _exchange(address: tuple[str, int], raw: bytes, slow: bool) -> str:
    """The status of the answer to a request."""
    with socket.create_connection(address, timeout=10) as connection:
        with suppress(OSError):
            if slow:
                connection.sendall(raw[: len(raw) // 2])
            else:
                connection.sendall(raw)
        answer = b""
        with suppress(OSError):
            while len(answer) < 12 and (part := connection.recv(4096)):
                answer += part
    return answer[9:12].decode("ascii", "replace") or "closed"


def memory(given: argparse.Namespace) -> None:
    """Resident memory over time."""
    with tempfile.TemporaryDirectory() as folder:
        indexed(Path(folder), 100_000, 64, "auto")
        with serving(Path(folder), "--workers", str(given.workers)) as server:
            requests = similar_requests(100_000)
            offer(server.address, requests, given.rate, WARM_UP * 4)
            print("| seconds | resident MB | failed |\n|---|---|---|")
            began = time.perf_counter()
            for _ in range(10):
                load = offer(server.address, requests, given.rate, given.seconds / 10)
                print(
                    f"| {time.perf_counter() - began:.0f} | {server.memory()['VmRSS']:.1f} | {load.failed} |",
                    flush=True,
                )


def start(given: argparse.Namespace) -> None:
    """Seconds from the command to the first answer of /health/ready, files are in the disk cache; memory by workers."""
    with tempfile.TemporaryDirectory() as folder:
        indexed(Path(folder), given.items, given.dim, "flat")
        size = sum(file.stat().st_size for file in (Path(folder) / "indexes" / "bench").iterdir())
        seconds = []
        for _ in range(4):
            with serving(Path(folder)) as server:
                seconds.append(server.seconds)
        requests = similar_requests(given.items)
        megabytes = []
        for workers in (1, 2, 3):
            with serving(Path(folder), "--workers", str(workers)) as server:
                offer(server.address, requests, 200, 3)
                megabytes.append(server.proportional_memory())
    print(f"{size / 1e9:.2f} GB; seconds from the command to ready, the first time and later: ", end="")
    print(", ".join(f"{one:.2f}" for one in seconds))
    print("memory of one, two and three workers after requests, shared pages once: ", end="")
    print(", ".join(f"{one:.0f}" for one in megabytes), "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scenarios = {s.__name__: s for s in (similar, recommend, swaps, kills, hostile, memory, start)}
    parser.add_argument("scenario", choices=scenarios)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--index")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--at", type=float)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    given = parser.parse_args()
    rates = {"similar": (6000, 3000), "recommend": (3000, 1500), "memory": (1000, 0)}
    rate, at = rates.get(given.scenario, (3000, 0))
    given.rate, given.at = given.rate or rate, given.at or at
    given.requests = given.requests or (10_000 if given.scenario == "hostile" else 1_000_000)
    scenarios[given.scenario](given)


if __name__ == "__main__":
    main()
