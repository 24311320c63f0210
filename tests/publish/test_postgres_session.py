"""Sessions with PostgreSQL: quoted names, statements, transactions and retries, with a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from embedrec.errors import PublishError
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.postgres_session import Session


def session_of(url: str, prefix: str = "pre", schema: str | None = None, count: int = 0) -> Session:
    session = Session(Endpoint(url, retries=Retries(count, 0.01)), prefix, schema)
    session.call(lambda: None)
    return session


@pytest.fixture
def session(postgres: Any, postgres_url: str) -> Iterator[Session]:
    """A connected session with an emptied server."""
    connected = session_of(postgres_url)
    yield connected
    connected.disconnect()


def test_names_are_quoted(session: Session, postgres_url: str) -> None:
    assert session.quote_name("a") == '"pre_a"'
    odd = session_of(postgres_url, 'x"; DROP', "my schema")
    assert odd.quote_name("a") == '"my schema"."x""; DROP_a"'
    assert odd.quote_name("a", bare=True) == '"x""; DROP_a"'
    odd.disconnect()


def test_statements_return_rows(session: Session) -> None:
    assert not session.exists("t")
    assert session.execute("CREATE TABLE {} (n int, t text)", "t") == []
    assert session.exists("t")
    session.execute("INSERT INTO {} VALUES (%s, %s), (2, 'b')", "t", values=(1, "a'"))
    assert session.execute("SELECT n, t FROM {} ORDER BY n", "t") == [(1, "a'"), (2, "b")]
    assert session.scalar("SELECT count(*) FROM {} WHERE n > %s", "t", values=(1,)) == 1
    session.execute("CREATE INDEX {} ON {} (n)", "t_index", "t", bare=1)
    assert session.exists("t_index")


def test_a_percent_sign_in_a_name(postgres: Any, postgres_url: str) -> None:
    session = session_of(postgres_url, "10%s")
    session.execute("CREATE TABLE {} (n int)", "t")
    session.execute("INSERT INTO {} VALUES (%s)", "t", values=(3,))
    assert session.scalar("SELECT n FROM {}", "t") == 3
    session.disconnect()


def test_a_transaction_excludes_others_with_the_same_names(session: Session, postgres_url: str) -> None:
    others = [session_of(postgres_url), session_of(postgres_url, "other"), session_of(postgres_url, schema="public")]
    with session.transaction():
        with pytest.raises(PublishError, match=r"^another publish to 'pre' at "), others[0].transaction():
            raise AssertionError("two transactions")
        for other in others[1:]:
            with other.transaction():
                assert other.scalar("SELECT 1") == 1
    with others[0].transaction():
        assert others[0].scalar("SELECT 1") == 1
    for other in others:
        other.disconnect()


def test_an_error_rolls_the_transaction_back(session: Session) -> None:
    with pytest.raises(RuntimeError), session.transaction():
        session.execute("CREATE TABLE {} (n int)", "t")
        raise RuntimeError
    assert not session.exists("t")


def test_a_lost_connection_is_made_again(postgres: Any, postgres_url: str) -> None:
    session = session_of(postgres_url, count=2)
    pid = session.scalar("SELECT pg_backend_pid()")
    postgres.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert session.call(lambda: session.scalar("SELECT pg_backend_pid()")) != pid
    session.disconnect()
    assert session.connection is None


def test_errors_of_statements_are_not_retried(session: Session) -> None:
    attempts: list[int] = []

    def statement() -> Any:
        attempts.append(1)
        return session.execute("SELECT * FROM {}", "missing")

    with pytest.raises(PublishError, match='relation "pre_missing" does not exist'):
        session.call(statement)
    assert attempts == [1]


def test_a_missing_server_is_an_error() -> None:
    with pytest.raises(PublishError, match=r"postgresql://127\.0\.0\.1:1/db cannot be .*refused"):
        session_of("postgresql://127.0.0.1:1/db")


def test_a_wrong_password_is_not_retried(postgres_url: str) -> None:
    url = postgres_url.replace("s3cret-postgres", "wr0ng")
    with pytest.raises(PublishError, match="check the URL, user and password") as error:
        session_of(url, count=50)
    assert "wr0ng" not in str(error.value)
