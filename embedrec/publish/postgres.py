"""Neighbours and vectors in PostgreSQL: rows with a generation, and views of the served generation.

PREFIX_neighbours       view: item, rank (1 is the nearest), other, score
PREFIX_vectors          view: item, vector (of pgvector)
PREFIX_nearest(v, k)    function: item, distance of the k nearest vectors, by the metric of the served generation,
                        through its HNSW index if there is one
PREFIX_generations      table: generation, fingerprint, parts, about, written_at, served, retired_at
PREFIX_neighbours_all, PREFIX_vectors_all    tables: the rows of all generations
PREFIX_digests          table: digests of the entries of all generations, see `postgres_delta`

The column `item` is `session` or `history` for other seeds, and `other` is `item` for recommendations. If at most a
quarter of the entries of a part differ from the served generation, the server copies the rows of the others itself.

One transaction loads a generation by COPY and switches to it, so that a killed publish leaves nothing. The switch
updates one row and changes no table or view: no reader waits for a lock, and readers see the generation of their
snapshot, also in a transaction (REPEATABLE READ) that began before the switch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from embedrec.config import check_unicode
from embedrec.errors import SettingsError
from embedrec.progress import Report
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.publish.postgres_delta import Digested, copy_unchanged
from embedrec.publish.postgres_rows import HEAD, ROWS, TAIL, column_types
from embedrec.publish.postgres_session import Session
from embedrec.publish.postgres_tables import Tables

_MAX_DIMENSIONS = {True: 2000, False: 16000}  # limits of pgvector, with and without an HNSW index
_MAX_PREFIX = 40  # bytes, so that names stay below PostgreSQL's 63


@dataclass(eq=False)
class Postgres:
    """A `Target` of neighbours and vectors. Raises SettingsError for a prefix that is empty or too long.

    endpoint  postgresql://
    prefix    of the names of tables and views
    schema    of the tables and views; None for the connection's default
    hnsw      whether to build an HNSW index of the vectors, for their metric
    full      whether all rows are sent, also those that the served generation has
    session   the connection and its transactions
    """

    endpoint: Endpoint
    prefix: str = "embedrec"
    schema: str | None = None
    hnsw: bool = False
    full: bool = False
    session: Session = field(init=False, repr=False)
    tables: Tables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_unicode(self.prefix, "the prefix of tables")
        check_unicode(self.schema or "", "the schema")
        if not 1 <= len(self.prefix.encode()) <= _MAX_PREFIX:
            raise SettingsError(f"the prefix of tables must have 1 to {_MAX_PREFIX} bytes; it is {self.prefix!r}")
        if not self.endpoint.url.startswith(("postgresql://", "postgres://")):
            raise SettingsError("write the URL as postgresql://user:password@host:5432/database")
        self.endpoint.check("PGPASSWORD")
        self.session = Session(self.endpoint, self.prefix, self.schema)
        self.tables = Tables(self.session)

    @property
    def layout(self) -> str:
        return f"postgres{'-hnsw' if self.hnsw else ''}-1"

    def check(self, content: PublishContent) -> None:
        content.check_ranks()
        vectors = content.vectors
        if vectors is not None and vectors.dim > _MAX_DIMENSIONS[self.hnsw]:
            what = "an HNSW index of pgvector" if self.hnsw else "pgvector"
            most = _MAX_DIMENSIONS[self.hnsw]
            raise SettingsError(f"{what} supports at most {most} dimensions; the vectors have {vectors.dim}")

    def measure(self, content: PublishContent) -> Size:
        """Rows, and bytes sent."""
        self.check(content)
        size = {**dict.fromkeys(content.parts, 0), "bytes": 0}
        for part in content.parts:
            for rows, text, _ in ROWS[part](content, 1):
                size[part] += rows
                size["bytes"] += len(text)
        return size

    def __enter__(self) -> Postgres:
        check_installed("psycopg", "postgres")
        self.session.call(lambda: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.disconnect()

    def readonly(self) -> Postgres:
        return self  # reading tables excludes nobody

    def clean(self) -> int:
        return 0  # an unfinished transaction leaves nothing

    def generations(self) -> list[Generation]:
        return self.session.call(self._generations)

    def missing(self, number: int, content: PublishContent) -> int:
        return self.lost(number)

    def lost(self, number: int) -> int:
        return 0  # tables evict no rows

    def write(self, content: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        self.check(content)
        digested = Digested(content)

        def write_once() -> tuple[int, Size]:
            with self.session.transaction():
                same = [g for g in self._generations() if g.fingerprint == fingerprint]
                if same:  # by another publisher, or by us if only the response to COMMIT was lost
                    if not any(g.served for g in same):
                        self._serve(same[0].number)
                    return next((g.number for g in same if g.served), same[0].number), {}
                self.tables.create(content)
                number = int(self.session.scalar("SELECT coalesce(max(generation), 0) + 1 FROM {}", "generations"))
                base = 0 if self.full else self._base(content)
                size = {**dict.fromkeys(content.parts, 0), "bytes": 0}
                for part in content.parts:
                    difference = digested.compare(self.session, part, base) if base else None
                    chosen = None if difference is None else difference.changed
                    with self._copying(part, content) as copy:
                        for rows, text, done in ROWS[part](digested.content, number, chosen):
                            copy.write(text)
                            size[part] += rows
                            size["bytes"] += len(text)
                            report("progress", done=done, total=len(content.vocab), unit="items")
                    if difference is not None:
                        copied = copy_unchanged(self.session, part, content, difference, base, number)
                        size["unchanged"] = size.get("unchanged", 0) + copied
                    digested.save(self.session, part, number)
                    self.session.execute("ANALYZE {}", f"{part}_all")
                if self.hnsw and content.vectors is not None:
                    self.tables.make_index(number, content.vectors.metric)
                statement = "INSERT INTO {} (generation, fingerprint, parts, about) VALUES (%s, %s, %s, %s)"
                about = json.dumps(content.about)
                self.session.execute(statement, "generations", values=(number, fingerprint, content.parts, about))
                self._serve(number)
                return number, size

        return self.session.call(write_once)

    def switch(self, number: int) -> None:
        def switch_once() -> None:
            with self.session.transaction():
                self._serve(number)

        self.session.call(switch_once)

    def drop(self, number: int) -> None:
        def drop_once() -> list[str]:
            with self.session.transaction():
                parts = [part for part in ROWS if self.session.exists(part)]
                for part in parts:
                    self.session.execute(f"DELETE FROM {{}} WHERE generation = {number}", f"{part}_all")
                if self.session.exists("digests"):
                    self.session.execute(f"DELETE FROM {{}} WHERE generation = {number}", "digests")
                self.session.execute(f"DELETE FROM {{}} WHERE generation = {number}", "generations")
            return parts

        for part in self.session.call(drop_once):
            self.session.call(partial(self.session.execute, "VACUUM {}", f"{part}_all"))
        self.session.call(lambda: self.tables.drop_indexes({g.number for g in self._generations()}))

    # ------------------------------------------------------------------------------------------ tables

    def _generations(self) -> list[Generation]:
        if not self.session.exists("generations"):
            return []
        rows = self.session.execute(
            "SELECT generation, fingerprint, served, coalesce(extract(epoch FROM now() - retired_at), 0), "
            "about FROM {} ORDER BY generation",
            "generations",
        )
        return [
            Generation(n, print_, served, max(0.0, float(since)), str(about.get("source", "")), about)
            for n, print_, served, since, about in rows
        ]

    def _base(self, content: PublishContent) -> int:
        """The served generation, if it has the parts of the content; 0 without one."""
        statement = "SELECT generation FROM {} WHERE served AND parts @> %s::text[]"
        served = self.session.execute(statement, "generations", values=(content.parts,))
        return int(served[0][0]) if served else 0

    @contextmanager
    def _copying(self, part: str, content: PublishContent) -> Iterator[Any]:
        columns = ", ".join(("generation", *column_types(part, content)))
        statement = f"COPY {self.session.quote_name(f'{part}_all')} ({columns}) FROM STDIN (FORMAT binary)"
        with self.session.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(HEAD)
            yield copy
            copy.write(TAIL)

    def _serve(self, number: int) -> None:
        self.session.execute("UPDATE {} SET served = false, retired_at = now() WHERE served", "generations")
        serve = "UPDATE {} SET served = true, retired_at = NULL WHERE generation = %s"
        self.session.execute(serve, "generations", values=(number,))
