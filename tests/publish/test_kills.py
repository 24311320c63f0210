"""SIGKILL at random times of a publish: the served content is complete, and the next publish succeeds."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from embedrec.publish.generations import publish
from embedrec.publish.parquet import publish_folder
from tests.publish.content import lists
from tests.publish.killed import published, target

ROOT = Path(__file__).parents[2]


def kill_one(kind: str, url: str, seed: int, after: float) -> bool:
    """Start a publish and kill it `after` that many seconds; whether it ended before."""
    words = [sys.executable, "-m", "tests.publish.killed", kind, url, str(seed)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"ready\n", process.stderr.read()
        time.sleep(after)
        process.kill()
        message = process.stderr.read()
        assert not message, message.decode()
    return process.returncode == 0


def kill_times(kind: str, url: str, kills: int) -> list[tuple[int, float]]:
    """Seeds of contents, and seconds until the kill: up to a little more than a publish takes."""
    began = time.perf_counter()
    if kind == "parquet":
        publish_folder(published(kind, 1), Path(url))
    else:
        publish(published(kind, 1), target(kind, url), keep=0, grace=0)
    duration = time.perf_counter() - began
    return [(2 + i % 2, random.Random(i).random() * duration * 1.2) for i in range(kills)]


@pytest.mark.parametrize("kind", ["redis", "redis-delta"])
def test_redis_serves_complete_lists_after_a_kill(redis: Any, redis_url: str, kind: str) -> None:
    expected = {seed: lists(published(kind, seed)) for seed in (1, 2, 3)}

    def served() -> dict[str, list[str]]:
        generation, pipe = redis.get("embedrec:served"), redis.pipeline()
        for item in expected[1]:
            pipe.lrange(f"embedrec:{generation}:{item}", 0, -1)
        return dict(zip(expected[1], pipe.execute(), strict=True))

    for seed, after in kill_times(kind, redis_url, 8):
        kill_one(kind, redis_url, seed, after)
        assert served() in expected.values()
    publish(published(kind, 2), target(kind, redis_url), keep=0, grace=0)
    assert redis.get("embedrec:served") == "1" or kind == "redis"  # deltas stay in the store
    assert served() == expected[2]
    redis.delete("embedrec:last")
    keys = {key.replace(f":{redis.get('embedrec:served')}:", ":N:") for key in redis.scan_iter(count=10_000)}
    assert keys - {"embedrec:placed"} == {f"embedrec:N:{item}" for item in expected[2]} | {
        f"embedrec:{name}" for name in ("served", "generations", "digests", "keyspace")
    }


def test_postgres_serves_complete_lists_after_a_kill(postgres: Any, postgres_url: str) -> None:
    expected = {seed: lists(published("postgres", seed)) for seed in (1, 2, 3)}

    def served() -> dict[str, list[str]]:
        rows = "SELECT item, array_agg(other ORDER BY rank) FROM embedrec_neighbours GROUP BY item"
        assert postgres.execute("SELECT count(*) FROM embedrec_vectors").fetchone() == (len(expected[1]),)
        return dict(postgres.execute(rows).fetchall())

    for seed, after in kill_times("postgres", postgres_url, 6):
        kill_one("postgres", postgres_url, seed, after)
        assert served() in expected.values()
    publish(published("postgres", 2), target("postgres", postgres_url), keep=0, grace=0)
    assert served() == expected[2]
    assert postgres.execute("SELECT count(DISTINCT generation) FROM embedrec_neighbours_all").fetchone() == (1,)


def test_a_folder_is_complete_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    expected = [published("parquet", seed) for seed in (1, 2, 3)]
    pairs = [[(i, o) for i, others in lists(p).items() for o in others] for p in expected]

    def served() -> list[tuple[str, str]]:
        table = pq.read_table(folder / "neighbours.parquet")
        return list(zip(table["item"].to_pylist(), table["other"].to_pylist(), strict=True))

    for seed, after in kill_times("parquet", str(folder), 4):
        kill_one("parquet", str(folder), seed, after)
        assert served() in pairs
    publish_folder(expected[1], folder)
    assert served() == pairs[1] and [f.name for f in tmp_path.iterdir()] == ["out"]
    assert json.loads((folder / "manifest.json").read_text())["kind"] == "publication"


@pytest.mark.usefixtures("qdrant_in_a_folder")
@pytest.mark.filterwarnings("ignore:Local mode is not recommended")
def test_qdrant_publishes_after_a_kill(tmp_path: Path) -> None:
    from qdrant_client import QdrantClient

    folder = str(tmp_path / "qdrant")
    expected = {seed: lists(published("qdrant", seed)) for seed in (1, 2, 3)}
    for seed, after in kill_times("qdrant", folder, 2):
        kill_one("qdrant", folder, seed, after)
    publish(published("qdrant", 2), target("qdrant", folder), keep=0, grace=0)
    client = QdrantClient(path=folder)
    try:
        result = client.scroll("embedrec", limit=len(expected[1]) + 1)[0]
        served = {p.payload["item"]: [o["item"] for o in p.payload["neighbours"]] for p in result if p.payload}
        assert served == expected[2] and len(client.get_collections().collections) == 1
    finally:
        client.close()
