"""A PostgreSQL connection with reconnects, quoted names, and transactions that exclude other publishers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from embedrec.publish.endpoint import Endpoint

T = TypeVar("T")
_QUIET = logging.NullHandler()  # otherwise psycopg logs a lost connection to stderr
_FINAL_STATES = ("0A", "22", "23", "28", "3D", "42", "53100", "53200")  # SQLSTATE of errors that a retry cannot fix
_FINAL_WORDS = (
    "authentication",
    "does not exist",
    "pg_hba.conf",
    "invalid",
    "missing",
    "certificate",
    "not support SSL",
)


@dataclass(eq=False)
class Session:
    """A session with the server.

    endpoint  postgresql://
    prefix    of the names of tables and views
    schema    of the tables and views; None for the connection's default
    """

    endpoint: Endpoint
    prefix: str
    schema: str | None
    connection: Any = field(default=None, init=False, repr=False)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that excludes other publishers. Raises PublishError if there is another one."""
        with self.connection.transaction():
            name = f"embedrec {self.schema or ''} {self.prefix}"
            lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
            self.endpoint.wait_for_turn(lambda: bool(self.scalar(lock, values=(name,))), self.prefix)
            yield

    def call(self, call: Callable[[], T]) -> T:
        """The result of a call, with retries after a lost connection; transactions start again."""
        import psycopg

        logging.getLogger("psycopg").addHandler(_QUIET)

        def attempt() -> T:
            try:
                if self.connection is None:
                    given = {"password": self.endpoint.secret} if self.endpoint.secret else {}
                    self.connection = psycopg.connect(self.endpoint.url, autocommit=True, connect_timeout=10, **given)
                    if self.connection.info.server_version >= 140000:  # ends the session soon after a kill
                        self.connection.execute("SET client_connection_check_interval = '500ms'")
                return call()
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                state = e.sqlstate or ""
                if state.startswith(_FINAL_STATES) or (not state and any(word in str(e) for word in _FINAL_WORDS)):
                    self.endpoint.fail(e, "check the URL, user and password")
                raise
            except psycopg.Error as e:
                self.endpoint.fail(e, "see the server's message")

        return self.endpoint.retry(attempt, (psycopg.OperationalError, psycopg.InterfaceError), self.disconnect)

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def exists(self, name: str) -> bool:
        """Whether a table or view exists; pg_class includes those that others have just committed."""
        query = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(%s))"
        return bool(self.scalar(query, values=(self.quote_name(name),)))

    def quote_name(self, name: str, *, bare: bool = False) -> str:
        """A name with the prefix, quoted for a statement; `bare` omits the schema."""
        from psycopg import sql

        parts = [] if bare or not self.schema else [self.schema]
        return str(sql.Identifier(*parts, f"{self.prefix}_{name}").as_string(self.connection))

    def execute(self, text: str, *names: str, values: tuple[Any, ...] = (), bare: int = 0) -> list[Any]:
        """The rows of a statement; its {} are replaced by quoted names, its %s by values."""
        identifiers = [self.quote_name(name, bare=i < bare) for i, name in enumerate(names)]
        if values:  # '%' in a name must be doubled
            identifiers = [name.replace("%", "%%") for name in identifiers]
        cursor = self.connection.execute(text.format(*identifiers), values or None)
        return list(cursor.fetchall()) if cursor.description is not None else []

    def scalar(self, text: str, *names: str, values: tuple[Any, ...] = ()) -> Any:
        return self.execute(text, *names, values=values)[0][0]
