"""Deltas in PostgreSQL, with a server: what is sent, and what readers get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedrec.data.vocab import Vocab
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import publish, rollback
from embedrec.publish.postgres import Postgres
from embedrec.vectors.embeddings import Embeddings
from tests.publish.content import of_lists


def target(url: str, **more: Any) -> Postgres:
    return Postgres(Endpoint(url, retries=Retries(1, 0.01)), **more)


def of_items(present: list[int], turned: set[int], moved: set[int], integer: bool = False) -> PublishContent:
    """Items with neighbours and vectors; the lists of some are turned, the vectors of others moved."""
    numbers = {a: sorted((b for b in present if b % 5 == a % 5 and b != a), reverse=a in turned) for a in present}
    lists = of_lists({f"i{a}": [(f"i{b}", 9.0 - j) for j, b in enumerate(others)] for a, others in numbers.items()})
    vocab = Vocab(present) if integer else lists.vocab
    vectors = np.array([[a, a in moved, 1] for a in present], np.float32)
    assert lists.lists is not None
    results = replace(lists.lists, seeds=vocab, vocab=vocab)
    about = {"made_from": f"{present} {sorted(turned)} {sorted(moved)}"}
    return replace(lists, lists=results, vectors=Embeddings(vectors, vocab), made_from=about)


def served(connection: Any) -> tuple[list[Any], list[Any]]:
    rows = connection.execute("SELECT item, rank, other, score FROM embedrec_neighbours").fetchall()
    return sorted(rows), sorted(connection.execute("SELECT item, vector::text FROM embedrec_vectors").fetchall())


def expected(content: PublishContent) -> tuple[list[Any], list[Any]]:
    """Slow reference: all rows."""
    assert content.lists is not None and content.vectors is not None
    ids = content.vocab.ids.tolist()
    top = content.lists.of(np.arange(len(ids)), content.k)
    rows = [
        (item, rank, ids[other], score)
        for item, others, scores in zip(ids, top.rows.tolist(), top.scores.tolist(), strict=True)
        for rank, (other, score) in enumerate(zip(others, scores, strict=True), 1)
        if other >= 0
    ]
    vectors = [
        (item, "[" + ",".join(f"{x:g}" for x in v) + "]")
        for item, v in zip(ids, content.vectors.vectors.tolist(), strict=True)
    ]
    return sorted(rows), sorted(vectors)


@pytest.mark.parametrize("integer", [False, True])
def test_only_differences_are_sent(postgres: Any, postgres_url: str, integer: bool) -> None:
    items = list(range(60))
    first = of_items(items, set(), set(), integer)
    size = dict(publish(first, target(postgres_url)).written)
    assert size["neighbours"] == 60 * 11 and size["vectors"] == 60 and "unchanged" not in size
    second = of_items([*items[:-1], 64], {3}, {5, 6}, integer)  # 59 has gone, 64 is new: the lists of 4, 9, … change
    done = dict(publish(second, target(postgres_url), grace=0).written)
    assert (done["neighbours"], done["vectors"]) == (13 * 11, 3)
    assert done["unchanged"] == 47 * 11 + 57
    assert served(postgres) == expected(second)
    assert rollback(target(postgres_url)) == (1, 2) and served(postgres) == expected(first)
    again = dict(publish(of_items(items, {3}, set(), integer), target(postgres_url, full=True), grace=0).written)
    assert again["neighbours"] == 60 * 11 and "unchanged" not in again


def test_everything_is_sent_if_much_differs(postgres: Any, postgres_url: str) -> None:
    items = list(range(60))
    publish(of_items(items, set(), set()), target(postgres_url))
    second = of_items(items, set(items[20:40]), set())
    done = dict(publish(second, target(postgres_url), grace=0).written)
    assert (done["neighbours"], done["vectors"], done["unchanged"]) == (60 * 11, 0, 60)
    assert served(postgres) == expected(second)
    half = of_items(items[::2], set(items[20:40]), set())
    assert "unchanged" not in publish(half, target(postgres_url), grace=0).written
    assert served(postgres) == expected(half)


def test_generations_without_digests_are_no_base(postgres: Any, postgres_url: str) -> None:
    items = list(range(30))
    publish(of_items(items, set(), set()), target(postgres_url))
    postgres.execute("DROP TABLE embedrec_digests")
    second = of_items(items, {3}, set())
    assert "unchanged" not in publish(second, target(postgres_url), grace=0).written
    assert served(postgres) == expected(second)
    third = of_items(items, {4}, set())
    assert publish(third, target(postgres_url), keep=0, grace=0).written["neighbours"] == 2 * 5
    assert served(postgres) == expected(third)
    assert postgres.execute("SELECT DISTINCT generation FROM embedrec_digests").fetchall() == [(3,)]


STEPS = st.lists(st.tuples(*[st.sets(st.integers(0, 29), max_size=3)] * 3), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=8)
@given(steps=STEPS)
def test_any_sequence_of_publishes(postgres: Any, postgres_url: str, steps: list[Any]) -> None:
    postgres.execute("DROP SCHEMA public CASCADE")
    postgres.execute("CREATE SCHEMA public")
    for gone, turned, moved in [(set(), set(), set()), *steps]:
        content = of_items([a for a in range(30) if a not in gone], turned, moved)
        publish(content, target(postgres_url), keep=1, grace=0)
        assert served(postgres) == expected(content)
