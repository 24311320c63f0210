"""Tables, views, the search function and indexes of publishing to PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from embedrec.errors import PublishError
from embedrec.publish.content import PublishContent
from embedrec.publish.postgres_rows import column_types, item_type
from embedrec.publish.postgres_session import Session

_OPERATORS = {  # of pgvector, and their operator classes of indexes
    "cosine": ("<=>", "vector_cosine_ops"),
    "dot": ("<#>", "vector_ip_ops"),
    "l2": ("<->", "vector_l2_ops"),
}
_LOCK_TIMEOUT = "200ms"  # readers wait no longer than this for the drop of an old index


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of a prefix."""

    session: Session

    def create(self, content: PublishContent) -> None:
        """Create missing tables and views. Raises PublishError for other types, or without pgvector."""
        if content.vectors is not None and not self.session.execute(
            "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
        ):
            if not self.session.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
                raise PublishError(f"{self.session.endpoint} has no pgvector; install it, or publish without vectors")
            self.session.execute("CREATE EXTENSION vector")
        if not self.session.exists("generations"):
            self.session.execute(
                "CREATE TABLE {} (generation int PRIMARY KEY, fingerprint text NOT NULL, parts text[] NOT NULL, "
                "about jsonb NOT NULL, written_at timestamptz NOT NULL DEFAULT now(), "
                "served boolean NOT NULL DEFAULT false, retired_at timestamptz)",
                "generations",
            )
            self.session.execute("CREATE UNIQUE INDEX ON {} (served) WHERE served", "generations")
        if not self.session.exists("digests"):
            self.session.execute(
                "CREATE TABLE {} (generation int NOT NULL, part text NOT NULL, block int NOT NULL, "
                "digests bytea NOT NULL, ids bytea NOT NULL, PRIMARY KEY (generation, part, block))",
                "digests",
            )
        for part in content.parts:
            if not self.session.exists(part):
                self._make_table(part, content)
            self._check_types(part, content)
        if content.vectors is not None:
            self._make_search(content.columns[0], item_type(content.vocab), content.vectors.metric)

    def _make_table(self, part: str, content: PublishContent) -> None:
        types = column_types(part, content)
        columns = [f"{name} {kind} NOT NULL" for name, kind in types.items()]
        key = f"generation, {content.columns[0]}" + (", rank" if part == "neighbours" else "")
        table = f"{part}_all"
        self.session.execute(
            f"CREATE TABLE {{}} (generation int NOT NULL, {', '.join(columns)}, PRIMARY KEY ({key}))", table
        )
        self.session.execute(
            f"CREATE VIEW {{}} AS SELECT {', '.join(types)} FROM {{}} "
            "WHERE generation = (SELECT generation FROM {} WHERE served)",
            part,
            table,
            "generations",
        )

    def _make_search(self, seed: str, kind: str, metric: str) -> None:
        """Create the search function of readers: its statement contains the generation, so that its index is used.

        seed, kind  the column of ids, and its type
        metric      of generations of earlier versions; others store theirs, and that of the reader's snapshot is used
        """
        from psycopg import sql

        operators = " ".join(f"WHEN '{name}' THEN '{operator}'" for name, (operator, _) in _OPERATORS.items())
        body = sql.SQL(
            "DECLARE number int; compared text; BEGIN "
            "SELECT generation, 'vector ' || CASE coalesce(about->>'metric', {}) {} END || ' $1' INTO number, compared "
            "FROM {} WHERE served; IF number IS NOT NULL THEN RETURN QUERY EXECUTE {} || compared || {} "
            "|| number || ' ORDER BY ' || compared || ' LIMIT $2' USING v, k; END IF; END"
        ).format(
            sql.Literal(metric),
            sql.SQL(operators),
            sql.SQL(self.session.quote_name("generations")),
            sql.Literal(f"SELECT {seed}, ("),
            sql.Literal(f")::real FROM {self.session.quote_name('vectors_all')} WHERE generation = "),
        )
        self.session.connection.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION {} (v vector, k int) RETURNS TABLE ({} {}, distance real) "
                "LANGUAGE plpgsql STABLE AS {}"
            ).format(
                sql.SQL(self.session.quote_name("nearest")),
                sql.SQL(seed),
                sql.SQL(kind),
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
                    f"readers of {self.session.prefix}_{part} at {self.session.endpoint} get "
                    f"{existing.get(name, 'no')} {name}, but the content has {kind}; choose another --prefix"
                )

    def make_index(self, number: int, metric: str) -> None:
        kind = _OPERATORS[metric][1]
        index = f"CREATE INDEX IF NOT EXISTS {{}} ON {{}} USING hnsw (vector {kind}) WHERE generation = {number}"
        self.session.execute(index, f"vectors_hnsw_{number}", "vectors_all", bare=1)

    def drop_indexes(self, known: set[int]) -> None:
        """Drop the empty indexes of dropped generations, unless readers hold locks.

        known  the numbers of the other generations
        """
        import psycopg

        if not self.session.exists("vectors"):
            return
        before = f"{self.session.prefix}_vectors_hnsw_"
        named = "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE indrelid = to_regclass(%s)"
        for (name,) in self.session.execute(named, values=(self.session.quote_name("vectors_all"),)):
            number = name.removeprefix(before)
            if name.startswith(before) and number.isdigit() and int(number) not in known:
                with suppress(psycopg.errors.LockNotAvailable), self.session.transaction():
                    self.session.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    self.session.execute("DROP INDEX {}", f"vectors_hnsw_{number}")
