"""The tables, views and the search function, for other seeds than items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from embedrec.errors import PublishError
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import publish
from embedrec.publish.postgres import Postgres
from tests.publish.content import content, scored_lists


def target(url: str, **more: Any) -> Postgres:
    return Postgres(Endpoint(url, retries=Retries(1, 0.01)), **more)


def columns(connection: Any, name: str) -> list[str]:
    return [column.name for column in connection.execute(f"SELECT * FROM {name}").description]


@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("sessions", ["session", "rank", "other", "score"]),
        ("recommendations", ["history", "rank", "item", "score"]),
    ],
)
def test_columns_are_named_after_the_seeds(postgres: Any, postgres_url: str, of: str, names: list[str]) -> None:
    some = replace(content(12, 3), made_from={"of": of})
    publish(some, target(postgres_url))
    assert columns(postgres, "embedrec_neighbours") == names
    assert columns(postgres, "embedrec_vectors") == [names[0], "vector"]
    rows = postgres.execute("SELECT * FROM embedrec_neighbours ORDER BY 1, 2").fetchall()
    assert {(seed, other) for seed, _, other, _ in rows} == {
        (item, other) for item, pairs in scored_lists(some).items() for other, _ in pairs
    }
    assert some.vectors is not None
    vector = str(some.vectors.vectors[3].tolist())
    assert postgres.execute("SELECT * FROM embedrec_nearest(%s::vector, 1)", (vector,)).fetchall()[0][0] == "item:3 ä"
    with pytest.raises(PublishError, match=rf"^generation 1 serves {of}, but this content is items; publish it elsewh"):
        publish(content(12, 3), target(postgres_url))


def test_types_of_readers_are_kept(postgres: Any, postgres_url: str) -> None:
    publish(content(12, 3), target(postgres_url))
    with pytest.raises(PublishError, match=r"get text item, but the content has bigint; choose another --prefix"):
        publish(content(12, 3, ids=list(range(12))), target(postgres_url))
