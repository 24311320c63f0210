"""Neighbours and vectors in PostgreSQL: rows that belong to a generation, and views of the one that is served.

PREFIX_neighbours       view: item, rank (1 is the nearest), other, score
PREFIX_vectors          view: item, vector (of pgvector)
PREFIX_nearest(v, k)    function: item, distance of the k nearest vectors, by the metric of what is served, through its
                        HNSW index where there is one
PREFIX_generations      table: generation, fingerprint, parts, about, written_at, served, retired_at
PREFIX_neighbours_all, PREFIX_vectors_all    tables: the rows of all generations

A generation is loaded by COPY and switched to in one transaction, so that a publish that was killed leaves nothing. The
switch is an update of one row, and changes no table or view: nobody waits for a lock, and what readers see depends on
their snapshot alone, also in a transaction (REPEATABLE READ) that began before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from embedrec.config import check_unicode
from embedrec.errors import PublishError, SettingsError
from embedrec.progress import Report
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.publish.postgres_rows import COLUMNS, HEAD, ROWS, TAIL, column_types, item_type
from embedrec.publish.postgres_session import Session

_OPERATORS = {  # of pgvector, and what an index needs to know of them
    "cosine": ("<=>", "vector_cosine_ops"),
    "dot": ("<#>", "vector_ip_ops"),
    "l2": ("<->", "vector_l2_ops"),
}
_MOST = {True: 2000, False: 16000}  # dimensions that pgvector takes, with an HNSW index and without
_PREFIX = 40  # bytes, so that names stay below PostgreSQL's 63
_LOCK = "200ms"  # how long readers may wait behind the drop of an old index


@dataclass(eq=False)
class Postgres:
    """A `Target` of neighbours and vectors. Raises SettingsError for a prefix that is empty or too long.

    place   postgresql://
    prefix  what all names begin with
    schema  where they are; None for the connection's own
    hnsw    whether vectors get an HNSW index, by the metric they have
    """

    place: Endpoint
    prefix: str = "embedrec"
    schema: str | None = None
    hnsw: bool = False
    _session: Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_unicode(self.prefix, "the prefix of tables")
        check_unicode(self.schema or "", "the schema")
        if not 1 <= len(self.prefix.encode()) <= _PREFIX:
            raise SettingsError(f"the prefix of tables must have 1 to {_PREFIX} bytes, but is {self.prefix!r}")
        if not self.place.url.startswith(("postgresql://", "postgres://")):
            raise SettingsError("write the URL as postgresql://user:password@host:5432/database")
        self.place.check("PGPASSWORD")
        self._session = Session(self.place, self.prefix, self.schema)

    @property
    def layout(self) -> str:
        return f"postgres{'-hnsw' if self.hnsw else ''}-1"

    def check(self, publication: PublishContent) -> None:
        publication.check_ranks()
        vectors = publication.vectors
        if vectors is not None and vectors.dim > _MOST[self.hnsw]:
            what = "an HNSW index of pgvector" if self.hnsw else "pgvector"
            raise SettingsError(f"{what} takes {_MOST[self.hnsw]} dimensions at most, but vectors have {vectors.dim}")

    def measured(self, publication: PublishContent) -> Size:
        """Rows, and bytes as they are sent."""
        self.check(publication)
        size = {**dict.fromkeys(publication.parts, 0), "bytes": 0}
        for part in publication.parts:
            for rows, text, _ in ROWS[part](publication, 1):
                size[part] += rows
                size["bytes"] += len(text)
        return size

    def __enter__(self) -> Postgres:
        check_installed("psycopg", "postgres")
        self._session.asked(lambda: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.hang_up()

    def reading(self) -> Postgres:
        return self  # looking at tables keeps nobody out

    def clean(self) -> int:
        return 0  # a transaction that did not end left nothing

    def generations(self) -> list[Generation]:
        return self._session.asked(self._generations)

    def missing(self, number: int, publication: PublishContent) -> int:
        return self.lost(number)

    def lost(self, number: int) -> int:
        return 0  # a table loses no rows by itself

    def write(self, publication: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        self.check(publication)

        def written() -> tuple[int, Size]:
            with self._session.transaction():
                same = [g for g in self._generations() if g.fingerprint == fingerprint]
                if same:  # of another publish, or of ours when only the answer to COMMIT was lost
                    if not any(g.served for g in same):
                        self._serve(same[0].number)
                    return next((g.number for g in same if g.served), same[0].number), {}
                self._make_ready(publication)
                number = int(self._session.one("SELECT coalesce(max(generation), 0) + 1 FROM {}", "generations"))
                size = {**dict.fromkeys(publication.parts, 0), "bytes": 0}
                for part in publication.parts:
                    with self._copying(part) as copy:
                        for rows, text, done in ROWS[part](publication, number):
                            copy.write(text)
                            size[part] += rows
                            size["bytes"] += len(text)
                            report("progress", done=done, total=len(publication.vocab), unit="items")
                    self._session.do("ANALYZE {}", f"{part}_all")
                if self.hnsw and publication.vectors is not None:
                    self._make_index(number, publication.vectors.metric)
                note = "INSERT INTO {} (generation, fingerprint, parts, about) VALUES (%s, %s, %s, %s)"
                metric = {} if publication.vectors is None else {"metric": publication.vectors.metric}
                about = json.dumps({**publication.made_from, **metric})
                self._session.do(note, "generations", values=(number, fingerprint, publication.parts, about))
                self._serve(number)
                return number, size

        return self._session.asked(written)

    def switch(self, number: int) -> None:
        def switched() -> None:
            with self._session.transaction():
                self._serve(number)

        self._session.asked(switched)

    def drop(self, number: int) -> None:
        def dropped() -> list[str]:
            with self._session.transaction():
                parts = [part for part in ROWS if self._session.there(part)]
                for part in parts:
                    self._session.do(f"DELETE FROM {{}} WHERE generation = {number}", f"{part}_all")
                self._session.do(f"DELETE FROM {{}} WHERE generation = {number}", "generations")
            return parts

        for part in self._session.asked(dropped):
            self._session.asked(partial(self._session.do, "VACUUM {}", f"{part}_all"))
        self._session.asked(self._drop_indexes)

    # ------------------------------------------------------------------------------------------ tables

    def _generations(self) -> list[Generation]:
        if not self._session.there("generations"):
            return []
        rows = self._session.do(
            "SELECT generation, fingerprint, served, coalesce(extract(epoch FROM now() - retired_at), 0), "
            "coalesce(about->>'source', '') FROM {} "
            "ORDER BY generation",
            "generations",
        )
        return [
            Generation(n, print_, served, max(0.0, float(since)), source) for n, print_, served, since, source in rows
        ]

    def _make_ready(self, publication: PublishContent) -> None:
        """The tables and views where there are none. Raises PublishError where other ones or no pgvector are there."""
        if publication.vectors is not None and not self._session.do(
            "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
        ):
            if not self._session.do("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
                raise PublishError(f"{self.place} has no pgvector; install it there, or leave the vectors out")
            self._session.do("CREATE EXTENSION vector")
        if not self._session.there("generations"):
            self._session.do(
                "CREATE TABLE {} (generation int PRIMARY KEY, fingerprint text NOT NULL, parts text[] NOT NULL, "
                "about jsonb NOT NULL, written_at timestamptz NOT NULL DEFAULT now(), "
                "served boolean NOT NULL DEFAULT false, retired_at timestamptz)",
                "generations",
            )
            self._session.do("CREATE UNIQUE INDEX ON {} (served) WHERE served", "generations")
        for part in publication.parts:
            if not self._session.there(part):
                self._make_table(part, publication)
            self._check_types(part, publication)
        if publication.vectors is not None:
            self._make_search(item_type(publication), publication.vectors.metric)

    def _make_table(self, part: str, publication: PublishContent) -> None:
        columns = [f"{name} {kind} NOT NULL" for name, kind in column_types(part, publication).items()]
        key = "generation, item, rank" if part == "neighbours" else "generation, item"
        table = f"{part}_all"
        self._session.do(
            f"CREATE TABLE {{}} (generation int NOT NULL, {', '.join(columns)}, PRIMARY KEY ({key}))", table
        )
        self._session.do(
            f"CREATE VIEW {{}} AS SELECT {', '.join(COLUMNS[part])} FROM {{}} "
            "WHERE generation = (SELECT generation FROM {} WHERE served)",
            part,
            table,
            "generations",
        )

    def _make_search(self, item: str, metric: str) -> None:
        """The function that readers search with: its one statement names the generation, so that its index is used.

        It compares by the metric of the generation that a reader's snapshot serves. `metric` is that of generations
        which do not say theirs, of earlier versions.
        """
        from psycopg import sql

        operators = " ".join(f"WHEN '{name}' THEN '{operator}'" for name, (operator, _) in _OPERATORS.items())
        body = sql.SQL(
            "DECLARE number int; compared text; BEGIN "
            "SELECT generation, 'vector ' || CASE coalesce(about->>'metric', {}) {} END || ' $1' INTO number, compared "
            "FROM {} WHERE served; IF number IS NOT NULL THEN RETURN QUERY EXECUTE 'SELECT item, (' || compared || {} "
            "|| number || ' ORDER BY ' || compared || ' LIMIT $2' USING v, k; END IF; END"
        ).format(
            sql.Literal(metric),
            sql.SQL(operators),
            sql.SQL(self._session.quoted("generations")),
            sql.Literal(f")::real FROM {self._session.quoted('vectors_all')} WHERE generation = "),
        )
        self._session.connection.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION {} (v vector, k int) RETURNS TABLE (item {}, distance real) "
                "LANGUAGE plpgsql STABLE AS {}"
            ).format(
                sql.SQL(self._session.quoted("nearest")),
                sql.SQL(item),
                sql.Literal(body.as_string(self._session.connection)),
            )
        )

    def _check_types(self, part: str, publication: PublishContent) -> None:
        """Raises PublishError where readers expect another kind of ids, or vectors of another dimension."""
        there = dict(
            self._session.do(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s)",
                values=(self._session.quoted(part),),
            )
        )
        for name, kind in column_types(part, publication).items():
            if there.get(name) != kind:
                raise PublishError(
                    f"readers of {self.prefix}_{part} at {self.place} get {there.get(name, 'no')} {name}, but what is "
                    f"published has {kind}; choose another --prefix"
                )

    @contextmanager
    def _copying(self, part: str) -> Iterator[Any]:
        columns = ", ".join(("generation", *COLUMNS[part]))
        statement = f"COPY {self._session.quoted(f'{part}_all')} ({columns}) FROM STDIN (FORMAT binary)"
        with self._session.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(HEAD)
            yield copy
            copy.write(TAIL)

    def _make_index(self, number: int, metric: str) -> None:
        kind = _OPERATORS[metric][1]
        index = f"CREATE INDEX IF NOT EXISTS {{}} ON {{}} USING hnsw (vector {kind}) WHERE generation = {number}"
        self._session.do(index, f"vectors_hnsw_{number}", "vectors_all", bare=1)

    def _drop_indexes(self) -> None:
        """Remove indexes of generations that are gone, unless readers are in the way: they are empty."""
        import psycopg

        if not self._session.there("vectors"):
            return
        known = {generation.number for generation in self._generations()}
        before = f"{self.prefix}_vectors_hnsw_"
        named = "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE indrelid = to_regclass(%s)"
        for (name,) in self._session.do(named, values=(self._session.quoted("vectors_all"),)):
            number = name.removeprefix(before)
            if name.startswith(before) and number.isdigit() and int(number) not in known:
                with suppress(psycopg.errors.LockNotAvailable), self._session.transaction():
                    self._session.do(f"SET LOCAL lock_timeout = '{_LOCK}'")
                    self._session.do("DROP INDEX {}", f"vectors_hnsw_{number}")

    def _serve(self, number: int) -> None:
        self._session.do("UPDATE {} SET served = false, retired_at = now() WHERE served", "generations")
        lead = "UPDATE {} SET served = true, retired_at = NULL WHERE generation = %s"
        self._session.do(lead, "generations", values=(number,))
