"""Publishing: neighbours and vectors to other services, with an atomic switch for their readers.

`content` holds what is published, `generations` the steps, and one file per service its implementation: `redis`,
`postgres`, `qdrant`, `parquet`. A new generation is loaded next to the served one; readers see one of the two.

`TARGETS` is the only list of them. A new service is one file, with a `Target` of an `Endpoint` and a prefix, and one
line here; a command of `embedrec publish` with further options is written in `cli/publish.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from embedrec.config import Entry


@dataclass(frozen=True)
class TargetEntry(Entry):
    """A target of `embedrec publish`.

    url     environment variable for its URL; "" for a folder
    secret  environment variable for its password or key; "" for none
    """

    url: str = ""
    secret: str = ""


TARGETS: dict[str, TargetEntry] = {
    "redis": TargetEntry(
        "embedrec.publish.redis:Redis", "A list or a JSON string per key.", "EMBEDREC_REDIS_URL", "REDISCLI_AUTH"
    ),
    "postgres": TargetEntry(
        "embedrec.publish.postgres:Postgres",
        "Tables of neighbours and vectors, with pgvector.",
        "EMBEDREC_POSTGRES_URL",
    ),
    "qdrant": TargetEntry(
        "embedrec.publish.qdrant:Qdrant", "A collection of vectors.", "EMBEDREC_QDRANT_URL", "QDRANT_API_KEY"
    ),
    "parquet": TargetEntry("embedrec.publish.parquet:publish_folder", "A folder of Parquet files."),
}
