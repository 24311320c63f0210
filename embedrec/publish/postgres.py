"""Neighbours and vectors in PostgreSQL: rows with a generation, and views of the served generation.

PREFIX_neighbours       view: item, rank (1 is the nearest), other, score
PREFIX_vectors          view: item, vector (of pgvector)
PREFIX_nearest(v, k)    function: item, distance of the k nearest vectors, by the metric of the served generation,
                        through its HNSW index if there is one
PREFIX_generations      table: generation, fingerprint, parts, about, written_at, served, retired_at
PREFIX_neighbours_all, PREFIX_vectors_all    tables: the rows of all generations

One transaction loads a generation by COPY and switches to it, so that a killed publish leaves nothing. The switch
updates one row and changes no table or view: no reader waits for a lock, and readers see the generation of their
snapshot, also in a transaction (REPEATABLE READ) that began before the switch.
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

_OPERATORS = {  # of pgvector, and their operator classes of indexes
    "cosine": ("<=>", "vector_cosine_ops"),
    "dot": ("<#>", "vector_ip_ops"),
    "l2": ("<->", "vector_l2_ops"),
}
_MAX_DIMENSIONS = {True: 2000, False: 16000}  # limits of pgvector, with and without an HNSW index
_MAX_PREFIX = 40  # bytes, so that names stay below PostgreSQL's 63
_LOCK_TIMEOUT = "200ms"  # readers wait no longer than this for the drop of an old index


@dataclass(eq=False)
class Postgres:
    """A `Target` of neighbours and vectors. Raises SettingsError for a prefix that is empty or too long.

    endpoint  postgresql://
    prefix    of the names of tables and views
    schema    of the tables and views; None for the connection's default
    hnsw      whether to build an HNSW index of the vectors, for their metric
    session   the connection and its transactions
    """

    endpoint: Endpoint
    prefix: str = "embedrec"
    schema: str | None = None
    hnsw: bool = False
    session: Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_unicode(self.prefix, "the prefix of tables")
        check_unicode(self.schema or "", "the schema")
        if not 1 <= len(self.prefix.encode()) <= _MAX_PREFIX:
            raise SettingsError(f"the prefix of tables must have 1 to {_MAX_PREFIX} bytes; it is {self.prefix!r}")
        if not self.endpoint.url.startswith(("postgresql://", "postgres://")):
            raise SettingsError("write the URL as postgresql://user:password@host:5432/database")
        self.endpoint.check("PGPASSWORD")
        self.session = Session(self.endpoint, self.prefix, self.schema)

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

        def write_once() -> tuple[int, Size]:
            with self.session.transaction():
                same = [g for g in self._generations() if g.fingerprint == fingerprint]
                if same:  # by another publisher, or by us if only the response to COMMIT was lost
                    if not any(g.served for g in same):
                        self._serve(same[0].number)
                    return next((g.number for g in same if g.served), same[0].number), {}
                self._create_tables(content)
                number = int(self.session.scalar("SELECT coalesce(max(generation), 0) + 1 FROM {}", "generations"))
                size = {**dict.fromkeys(content.parts, 0), "bytes": 0}
                for part in content.parts:
                    with self._copying(part) as copy:
                        for rows, text, done in ROWS[part](content, number):
                            copy.write(text)
                            size[part] += rows
                            size["bytes"] += len(text)
                            report("progress", done=done, total=len(content.vocab), unit="items")
                    self.session.execute("ANALYZE {}", f"{part}_all")
                if self.hnsw and content.vectors is not None:
                    self._make_index(number, content.vectors.metric)
                statement = "INSERT INTO {} (generation, fingerprint, parts, about) VALUES (%s, %s, %s, %s)"
                metric = {} if content.vectors is None else {"metric": content.vectors.metric}
                about = json.dumps({**content.made_from, **metric})
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
                self.session.execute(f"DELETE FROM {{}} WHERE generation = {number}", "generations")
            return parts

        for part in self.session.call(drop_once):
            self.session.call(partial(self.session.execute, "VACUUM {}", f"{part}_all"))
        self.session.call(self._drop_indexes)

    # ------------------------------------------------------------------------------------------ tables

    def _generations(self) -> list[Generation]:
        if not self.session.exists("generations"):
            return []
        rows = self.session.execute(
            "SELECT generation, fingerprint, served, coalesce(extract(epoch FROM now() - retired_at), 0), "
            "coalesce(about->>'source', '') FROM {} "
            "ORDER BY generation",
            "generations",
        )
        return [
            Generation(n, print_, served, max(0.0, float(since)), source) for n, print_, served, since, source in rows
        ]

    def _create_tables(self, content: PublishContent) -> None:
        """Create missing tables and views. Raises PublishError for other types, or without pgvector."""
        if content.vectors is not None and not self.session.execute(
            "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
        ):
            if not self.session.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
                raise PublishError(f"{self.endpoint} has no pgvector; install it, or publish without vectors")
            self.session.execute("CREATE EXTENSION vector")
        if not self.session.exists("generations"):
            self.session.execute(
                "CREATE TABLE {} (generation int PRIMARY KEY, fingerprint text NOT NULL, parts text[] NOT NULL, "
                "about jsonb NOT NULL, written_at timestamptz NOT NULL DEFAULT now(), "
                "served boolean NOT NULL DEFAULT false, retired_at timestamptz)",
                "generations",
            )
            self.session.execute("CREATE UNIQUE INDEX ON {} (served) WHERE served", "generations")
        for part in content.parts:
            if not self.session.exists(part):
                self._make_table(part, content)
            self._check_types(part, content)
        if content.vectors is not None:
            self._make_search(item_type(content), content.vectors.metric)

    def _make_table(self, part: str, content: PublishContent) -> None:
        columns = [f"{name} {kind} NOT NULL" for name, kind in column_types(part, content).items()]
        key = "generation, item, rank" if part == "neighbours" else "generation, item"
        table = f"{part}_all"
        self.session.execute(
            f"CREATE TABLE {{}} (generation int NOT NULL, {', '.join(columns)}, PRIMARY KEY ({key}))", table
        )
        self.session.execute(
            f"CREATE VIEW {{}} AS SELECT {', '.join(COLUMNS[part])} FROM {{}} "
            "WHERE generation = (SELECT generation FROM {} WHERE served)",
            part,
            table,
            "generations",
        )

    def _make_search(self, item: str, metric: str) -> None:
        """Create the search function of readers: its statement contains the generation, so that its index is used.

        It uses the metric of the generation in the reader's snapshot. `metric` applies to generations of earlier
        versions, which do not store theirs.
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
            sql.SQL(self.session.quote_name("generations")),
            sql.Literal(f")::real FROM {self.session.quote_name('vectors_all')} WHERE generation = "),
        )
        self.session.connection.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION {} (v vector, k int) RETURNS TABLE (item {}, distance real) "
                "LANGUAGE plpgsql STABLE AS {}"
            ).format(
                sql.SQL(self.session.quote_name("nearest")),
                sql.SQL(item),
                sql.Literal(body.as_string(self.session.connection)),
            )
        )

    def _check_types(self, part: str, content: PublishContent) -> None:
        """Raises PublishError if the existing view has another type of ids, or vectors of another dimension."""
        existing = dict(
            self.session.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s)",
                values=(self.session.quote_name(part),),
            )
        )
        for name, kind in column_types(part, content).items():
            if existing.get(name) != kind:
                raise PublishError(
                    f"readers of {self.prefix}_{part} at {self.endpoint} get {existing.get(name, 'no')} {name}, but "
                    f"the content has {kind}; choose another --prefix"
                )

    @contextmanager
    def _copying(self, part: str) -> Iterator[Any]:
        columns = ", ".join(("generation", *COLUMNS[part]))
        statement = f"COPY {self.session.quote_name(f'{part}_all')} ({columns}) FROM STDIN (FORMAT binary)"
        with self.session.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(HEAD)
            yield copy
            copy.write(TAIL)

    def _make_index(self, number: int, metric: str) -> None:
        kind = _OPERATORS[metric][1]
        index = f"CREATE INDEX IF NOT EXISTS {{}} ON {{}} USING hnsw (vector {kind}) WHERE generation = {number}"
        self.session.execute(index, f"vectors_hnsw_{number}", "vectors_all", bare=1)

    def _drop_indexes(self) -> None:
        """Drop the empty indexes of dropped generations, unless readers hold locks."""
        import psycopg

        if not self.session.exists("vectors"):
            return
        known = {generation.number for generation in self._generations()}
        before = f"{self.prefix}_vectors_hnsw_"
        named = "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE indrelid = to_regclass(%s)"
        for (name,) in self.session.execute(named, values=(self.session.quote_name("vectors_all"),)):
            number = name.removeprefix(before)
            if name.startswith(before) and number.isdigit() and int(number) not in known:
                with suppress(psycopg.errors.LockNotAvailable), self.session.transaction():
                    self.session.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    self.session.execute("DROP INDEX {}", f"vectors_hnsw_{number}")

    def _serve(self, number: int) -> None:
        self.session.execute("UPDATE {} SET served = false, retired_at = now() WHERE served", "generations")
        serve = "UPDATE {} SET served = true, retired_at = NULL WHERE generation = %s"
        self.session.execute(serve, "generations", values=(number,))
