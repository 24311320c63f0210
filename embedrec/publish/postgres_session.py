"""A connection to PostgreSQL that comes back, names that are quoted, and transactions of one publisher at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from embedrec.publish.endpoint import Endpoint

T = TypeVar("T")
_QUIET = logging.NullHandler()  # otherwise psycopg's remarks on a lost connection go to stderr
_FINAL_STATES = ("0A", "22", "23", "28", "3D", "42", "53100", "53200")  # SQLSTATE that another try does not change
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
    """What talks to the server.

    place   postgresql://
    prefix  what our names begin with
    schema  where they are; None for the connection's own
    """

    place: Endpoint
    prefix: str
    schema: str | None
    connection: Any = field(default=None, init=False, repr=False)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, and one publisher at a time. Raises PublishError when there is another."""
        with self.connection.transaction():
            name = f"embedrec {self.schema or ''} {self.prefix}"
            lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
            self.place.take_turn(lambda: bool(self.one(lock, values=(name,))), self.prefix)
            yield

    def asked(self, call: Callable[[], T]) -> T:
        """What a call returns, also after the connection was lost for a while; transactions begin anew then."""
        import psycopg

        logging.getLogger("psycopg").addHandler(_QUIET)

        def asked() -> T:
            try:
                if self.connection is None:
                    given = {"password": self.place.secret} if self.place.secret else {}
                    self.connection = psycopg.connect(self.place.url, autocommit=True, connect_timeout=10, **given)
                    if self.connection.info.server_version >= 140000:  # end soon where we are killed
                        self.connection.execute("SET client_connection_check_interval = '500ms'")
                return call()
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                state = e.sqlstate or ""
                if state.startswith(_FINAL_STATES) or (not state and any(word in str(e) for word in _FINAL_WORDS)):
                    self.place.fail(e, "check the URL, user and password")
                raise
            except psycopg.Error as e:
                self.place.fail(e, "see what the server says")

        return self.place.retrying(asked, (psycopg.OperationalError, psycopg.InterfaceError), self.hang_up)

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def there(self, name: str) -> bool:
        """Whether there is such a table or view; a look into pg_class also hears of what others made meanwhile."""
        found = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(%s))"
        return bool(self.one(found, values=(self.quoted(name),)))

    def quoted(self, name: str, *, bare: bool = False) -> str:
        """One of our names, as it stands in a statement; `bare` without its schema."""
        from psycopg import sql

        parts = [] if bare or not self.schema else [self.schema]
        return str(sql.Identifier(*parts, f"{self.prefix}_{name}").as_string(self.connection))

    def do(self, text: str, *names: str, values: tuple[Any, ...] = (), bare: int = 0) -> list[Any]:
        """The rows that a statement gives; its {} are our names, its %s the values."""
        made = [self.quoted(name, bare=i < bare) for i, name in enumerate(names)]
        if values:  # '%' stands for one of them, unless it is doubled
            made = [name.replace("%", "%%") for name in made]
        done = self.connection.execute(text.format(*made), values or None)
        return list(done.fetchall()) if done.description is not None else []

    def one(self, text: str, *names: str, values: tuple[Any, ...] = ()) -> Any:
        return self.do(text, *names, values=values)[0][0]
