"""Servers shared by the tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.publish.servers import postgres_missing, postgres_server, redis_missing, redis_server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    if why := redis_missing():
        pytest.skip(why)
    with redis_server("s3cret-redis") as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    if why := postgres_missing():
        pytest.skip(why)
    with postgres_server() as url:
        yield url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    """A client of an emptied Redis."""
    from redis import Redis

    with Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Any]:
    """A connection to an emptied PostgreSQL."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        yield connection
        connection.rollback()
