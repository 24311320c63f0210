"""A publish in its own process, which tests kill: python -m tests.publish.killed TARGET URL SEED."""

from __future__ import annotations

import sys
from pathlib import Path

from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint
from embedrec.publish.generations import Target, publish
from tests.publish.content import content, turned

ITEMS = {"redis": 5000, "redis-delta": 5000, "postgres": 3000, "parquet": 3000, "qdrant": 150}


def published(kind: str, seed: int) -> PublishContent:
    if kind == "redis-delta":
        return turned(content(ITEMS[kind], 10, parts="neighbours", short=False), seed)
    return content(ITEMS[kind], 10, seed=seed, parts="neighbours" if kind == "redis" else "both", short=False)


def target(kind: str, url: str) -> Target:
    if kind.startswith("redis"):
        from embedrec.publish.redis import Redis

        return Redis(Endpoint(url))
    if kind == "postgres":
        from embedrec.publish.postgres import Postgres

        return Postgres(Endpoint(url))
    from embedrec.publish.qdrant import Qdrant

    return Qdrant(Endpoint(url))


def main() -> None:
    kind, url, seed = sys.argv[1:]
    made = published(kind, int(seed))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if kind == "parquet":
        from embedrec.publish.parquet import publish_folder

        publish_folder(made, Path(url))
    else:
        publish(made, target(kind, url), keep=0, grace=0)


if __name__ == "__main__":
    main()
