"""A Python reader of what `embedrec publish` wrote, or `embedrec serve` answers: an item's neighbours, best first.

usage: python scripts/consumers/similar.py URL ITEM [--prefix embedrec] [--json]

URL is the one of `embedrec publish`: redis://, postgresql://, http:// (Qdrant), or a folder of Parquet files; or that
of `embedrec serve` with /v1, such as http://127.0.0.1:8000/v1, whose key is in EMBEDREC_API_KEY. Each function is
self-contained, to be copied; a service keeps its connection open.
"""

from __future__ import annotations

import argparse
import json
import os
import uuid
from pathlib import Path

ONE_STEP = """
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('LRANGE', ARGV[1] .. ':' .. served .. ':' .. ARGV[2], 0, -1)"""


def from_redis(url: str, prefix: str, item: str, as_json: bool) -> list[str]:
    """Two reads: the served generation, then the key of the item, which is kept for a while after a switch."""
    import redis

    with redis.Redis.from_url(url, decode_responses=True) as client:
        served = client.get(f"{prefix}:served")
        if served is None:
            raise LookupError(f"nothing is published under {prefix}")
        if as_json:
            text = client.get(f"{prefix}:{served}:{item}")
            return [str(other) for other in json.loads(text)["items"]] if text else []
        return client.lrange(f"{prefix}:{served}:{item}", 0, -1)


def from_redis_in_one_step(url: str, prefix: str, item: str) -> list[str]:
    """The same in one request, by a script: no switch can happen in between."""
    import redis

    with redis.Redis.from_url(url, decode_responses=True) as client:
        results = client.eval(ONE_STEP, 0, prefix, item)
        if results is None:
            raise LookupError(f"nothing is published under {prefix}")
        return results


def from_postgres(url: str, prefix: str, item: str) -> list[str]:
    """A query of the view; a numeric id can be passed as text."""
    import psycopg
    from psycopg import sql

    view = sql.Identifier(f"{prefix}_neighbours")
    query = sql.SQL("SELECT other FROM {} WHERE item = %s ORDER BY rank").format(view)
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass(%s)", (view.as_string(connection),)).fetchone() == (None,):
            raise LookupError(f"nothing is published under {prefix}")
        return [str(other) for (other,) in connection.execute(query, (item,))]


def from_qdrant(url: str, prefix: str, item: str) -> list[str]:
    """The nearest neighbours of the item's point, by its id."""
    from qdrant_client import QdrantClient

    if not url.startswith("http") and not (Path(url) / "meta.json").exists():  # the client would create the folder
        raise LookupError(f"nothing is published in {url}")
    client = QdrantClient(url=url) if url.startswith("http") else QdrantClient(path=url)
    try:
        if not client.collection_exists(prefix):
            raise LookupError(f"nothing is published under {prefix}")
        results = client.query_points(prefix, query=str(uuid.uuid5(uuid.NAMESPACE_OID, item)), limit=20)
        return [str(point.payload["item"]) for point in results.points]
    finally:
        client.close()


def from_service(url: str, item: str) -> list[str]:
    """An answer of `embedrec serve`; `embedrec.client` also keeps the connection open and tries again."""
    from urllib.error import HTTPError
    from urllib.parse import quote
    from urllib.request import Request, urlopen

    request = Request(f"{url}/similar/{quote(item, safe='')}?k=20", headers={"accept": "application/json"})
    if key := os.environ.get("EMBEDREC_API_KEY"):
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urlopen(request, timeout=10) as response:
            (result,) = json.load(response)["results"]
    except HTTPError as e:
        if e.code == 404:
            return []
        raise LookupError(json.load(e)["detail"]) from None
    return [str(neighbour["item"]) for neighbour in result["neighbours"]]


def from_parquet(folder: str, item: str) -> list[str]:
    """Opens the file once, so that all rows belong to one generation."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with (Path(folder) / "neighbours.parquet").open("rb") as file:
        table = pq.ParquetFile(file).read()
    results = table.filter(pc.equal(table["item"].cast("string"), item)).sort_by("rank")
    return [str(other) for other in results["other"].to_pylist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("item")
    parser.add_argument("--prefix", default="embedrec")
    parser.add_argument("--json", action="store_true", help="Redis values are JSON strings")
    given = parser.parse_args()
    try:
        results = similar(given.url, given.prefix, given.item, given.json)
    except Exception as error:  # of any client
        message = str(error).strip() or type(error).__name__
        raise SystemExit(f"similar.py: {message.splitlines()[0]}") from None
    print("\n".join(results))


def similar(url: str, prefix: str, item: str, as_json: bool) -> list[str]:
    scheme = url.partition("://")[0]
    if scheme in ("redis", "rediss", "unix"):
        return from_redis(url, prefix, item, as_json)
    if scheme in ("http", "https") and url.endswith("/v1"):
        return from_service(url, item)
    if scheme in ("postgres", "postgresql"):
        return from_postgres(url, prefix, item)
    if (Path(url) / "neighbours.parquet").exists():
        return from_parquet(url, item)
    return from_qdrant(url, prefix, item)


if __name__ == "__main__":
    main()
