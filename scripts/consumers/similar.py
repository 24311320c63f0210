"""How a service in Python reads what `embedrec publish` wrote: the neighbours of an item, best first.

usage: python scripts/consumers/similar.py URL ITEM [--prefix embedrec] [--json]

URL is what was given to `embedrec publish`: redis://, postgresql://, http:// (Qdrant), or a folder of Parquet files.
Each function stands alone, to be copied; a service keeps its connection.
"""

from __future__ import annotations

import argparse
import json
import uuid
from pathlib import Path

ONE_STEP = """
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('LRANGE', ARGV[1] .. ':' .. served .. ':' .. ARGV[2], 0, -1)"""


def from_redis(url: str, prefix: str, item: str, as_json: bool) -> list[str]:
    """Two reads: which generation is served, then the key of the item; it outlives a switch between them."""
    import redis

    with redis.Redis.from_url(url, decode_responses=True) as client:
        served = client.get(f"{prefix}:served")
        if as_json:
            text = client.get(f"{prefix}:{served}:{item}")
            return [str(other) for other in json.loads(text)["items"]] if text else []
        return client.lrange(f"{prefix}:{served}:{item}", 0, -1)


def from_redis_in_one_step(url: str, prefix: str, item: str) -> list[str]:
    """The same in one round trip, by a script: no generation can go in between."""
    import redis

    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.eval(ONE_STEP, 0, prefix, item) or []


def from_postgres(url: str, prefix: str, item: str) -> list[str]:
    """An ordinary query of the view; ids that are numbers need no more than a number as parameter."""
    import psycopg
    from psycopg import sql

    view = sql.Identifier(f"{prefix}_neighbours")
    query = sql.SQL("SELECT other FROM {} WHERE item = %s ORDER BY rank").format(view)
    with psycopg.connect(url) as connection:
        return [str(other) for (other,) in connection.execute(query, (item,))]


def from_qdrant(url: str, prefix: str, item: str) -> list[str]:
    """Whatever lies nearest to the item's own point, which is found by its id."""
    from qdrant_client import QdrantClient

    client = QdrantClient(url=url) if url.startswith("http") else QdrantClient(path=url)
    try:
        found = client.query_points(prefix, query=str(uuid.uuid5(uuid.NAMESPACE_OID, item)), limit=20)
        return [str(point.payload["item"]) for point in found.points]
    finally:
        client.close()


def from_parquet(folder: str, item: str) -> list[str]:
    """The file is opened once, so that all of it is of one generation."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with (Path(folder) / "neighbours.parquet").open("rb") as file:
        table = pq.ParquetFile(file).read()
    found = table.filter(pc.equal(table["item"].cast("string"), item)).sort_by("rank")
    return [str(other) for other in found["other"].to_pylist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("item")
    parser.add_argument("--prefix", default="embedrec")
    parser.add_argument("--json", action="store_true", help="Redis values are JSON strings")
    given = parser.parse_args()
    scheme = given.url.partition("://")[0]
    if scheme in ("redis", "rediss", "unix"):
        found = from_redis(given.url, given.prefix, given.item, given.json)
    elif scheme in ("postgres", "postgresql"):
        found = from_postgres(given.url, given.prefix, given.item)
    elif (Path(given.url) / "neighbours.parquet").exists():
        found = from_parquet(given.url, given.item)
    else:
        found = from_qdrant(given.url, given.prefix, given.item)
    print("\n".join(found))


if __name__ == "__main__":
    main()
