"""PostgreSQL with pgvector, with a server: rows, transactions, readers in every isolation level, and errors."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError, PublishError, SettingsError
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import Published, publish
from embedrec.publish.postgres import Postgres
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import slow_nearest
from tests.publish.content import content, lists, scored_lists


def target(url: str, **more: Any) -> Postgres:
    return Postgres(Endpoint(url, retries=Retries(2, 0.01)), **more)


def served(connection: Any, prefix: str = "embedrec") -> dict[Any, list[tuple[Any, float]]]:
    """The view of neighbours, for every item with neighbours."""
    result: dict[Any, list[tuple[Any, float]]] = {}
    rows = connection.execute(
        f'SELECT item, other, score::float8, rank FROM "{prefix}_neighbours" ORDER BY item, rank'
    ).fetchall()
    for item, other, score, rank in rows:
        result.setdefault(item, []).append((other, score))
        assert rank == len(result[item])
    return result


def nonempty_lists(publication: PublishContent) -> dict[Any, list[tuple[Any, float]]]:
    return {item: pairs for item, pairs in scored_lists(publication).items() if pairs}


def vectors(connection: Any, prefix: str = "embedrec") -> dict[Any, list[float]]:
    rows = connection.execute(f'SELECT item, vector::real[]::float8[] FROM "{prefix}_vectors"').fetchall()
    return dict(rows)


def numbers(connection: Any, part: str) -> set[int]:
    """The generations that have rows."""
    return {number for (number,) in connection.execute(f"SELECT DISTINCT generation FROM embedrec_{part}_all")}


@pytest.mark.parametrize("ids", [None, list(range(-3, 17)), ["a\tb", "\\N", "'; DROP TABLE", *map(str, range(17))]])
def test_rows_contain_neighbours_and_vectors(postgres: Any, postgres_url: str, ids: Any) -> None:
    publication = content(20, 4, ids=ids)
    published = publish(publication, target(postgres_url))
    assert served(postgres) == nonempty_lists(publication)
    assert publication.vectors is not None
    assert vectors(postgres) == dict(
        zip(publication.vocab.ids.tolist(), publication.vectors.vectors.tolist(), strict=True)
    )
    assert published.generation == 1 and published.written["vectors"] == 20
    assert published.written["neighbours"] == sum(map(len, lists(publication).values()))
    assert published.written == target(postgres_url).measure(publication)
    (about,) = postgres.execute("SELECT fingerprint, about->>'made_from', parts FROM embedrec_generations").fetchall()
    assert about == (
        publication.fingerprint("postgres-1"),
        publication.made_from["made_from"],
        ["neighbours", "vectors"],
    )


@pytest.mark.parametrize("parts", ["neighbours", "vectors"])
def test_neighbours_and_vectors_may_be_published_alone(postgres: Any, postgres_url: str, parts: str) -> None:
    publish(content(parts=parts), target(postgres_url))
    assert numbers(postgres, parts) == {1}
    publish(content(seed=1), target(postgres_url))
    assert served(postgres) == nonempty_lists(content(seed=1)) and len(vectors(postgres)) == 12
    publish(content(seed=2, parts=parts), target(postgres_url), grace=0)
    assert parts == "vectors" or not vectors(postgres)


def test_names_are_quoted(postgres: Any, postgres_url: str) -> None:
    quoted_name = 'Si"mi%s {lar}'
    postgres.execute('CREATE SCHEMA "my schema"')
    for seed in (1, 2, 3):
        publish(content(seed=seed), target(postgres_url, prefix=quoted_name, schema="my schema"), grace=0)
    postgres.execute('SET search_path TO "my schema"')
    assert served(postgres, quoted_name.replace('"', '""')) == nonempty_lists(content(seed=3))
    with pytest.raises(PublishError, match=r"schema .nowhere. does not exist\); see the server's message"):
        publish(content(), target(postgres_url, schema="nowhere"))
    for invalid in ("", "é" * 21):
        with pytest.raises(SettingsError, match="1 to 40 bytes"):
            target(postgres_url, prefix=invalid)


def test_all_of_5000_items_are_published(postgres: Any, postgres_url: str) -> None:
    publication = content(5000, 5)
    publish(publication, target(postgres_url))
    assert served(postgres) == nonempty_lists(publication)


def test_generations_are_kept_and_dropped(postgres: Any, postgres_url: str) -> None:
    contents = [content(seed=seed) for seed in range(4)]
    for number, publication in enumerate(contents[:3], 1):
        assert publish(publication, target(postgres_url), grace=0).generation == number
        assert served(postgres) == nonempty_lists(publication)
    assert numbers(postgres, "neighbours") == numbers(postgres, "vectors") == {2, 3}
    assert publish(contents[2], target(postgres_url)) == Published(3)
    assert publish(contents[1], target(postgres_url), grace=0) == Published(2)  # returns to a kept generation
    assert served(postgres) == nonempty_lists(contents[1])
    began = time.monotonic()
    publish(contents[3], target(postgres_url), keep=0, grace=0.3)
    assert time.monotonic() - began >= 0.3
    assert numbers(postgres, "neighbours") == numbers(postgres, "vectors") == {4}


def test_a_long_transaction_keeps_its_snapshot(postgres: Any, postgres_url: str) -> None:
    """In REPEATABLE READ the old generation stays visible, also to a transaction that first reads after the switch."""
    import psycopg

    first, second, third = (content(seed=seed) for seed in range(3))
    publish(first, target(postgres_url))
    with psycopg.connect(postgres_url) as early, psycopg.connect(postgres_url) as reader:
        for connection in (early, reader):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert early.execute("SELECT 1").fetchone() == (1,)
        assert served(reader) == nonempty_lists(first)
        publish(second, target(postgres_url))
        assert served(early) == served(reader) == nonempty_lists(first)
        assert served(postgres) == nonempty_lists(second)
        publish(third, target(postgres_url), keep=0, grace=0)
        assert served(early) == served(reader) == nonempty_lists(first)
        assert numbers(postgres, "neighbours") == {3}
    assert served(postgres) == nonempty_lists(third)


@pytest.mark.parametrize(("metric", "operator"), [("cosine", "<=>"), ("dot", "<#>"), ("l2", "<->")])
def test_search_uses_the_index_of_the_served_generation(
    postgres: Any, postgres_url: str, metric: Any, operator: str
) -> None:
    """Searches use the index of the served generation and return the nearest vectors."""
    rng = np.random.default_rng(0)
    for seed in (1, 2):
        embeddings = Embeddings(rng.normal(size=(400, 8)).astype(np.float32), Vocab(list(range(400))), metric)
        publish(PublishContent(None, embeddings, 1, {"made_from": seed}), target(postgres_url, hnsw=True))
    queries = embeddings.vectors[7]
    query = str(queries.tolist())
    exact = f"SELECT item FROM embedrec_vectors ORDER BY vector {operator} %s::vector LIMIT 5"
    assert [item for (item,) in postgres.execute(exact, (query,))] == slow_nearest(
        embeddings.vectors, queries, metric, 5
    )
    postgres.execute("SET hnsw.ef_search = 200")
    result = postgres.execute("SELECT item, distance FROM embedrec_nearest(%s, 5)", (query,)).fetchall()
    assert [item for item, _ in result] == slow_nearest(embeddings.vectors, queries, metric, 5)
    assert result == sorted(result, key=lambda pair: pair[1])
    used = "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes"
    postgres.execute("SELECT pg_stat_force_next_flush()")
    scans = {name: scans for name, scans in postgres.execute(used) if "hnsw" in name}
    assert scans == {"embedrec_vectors_hnsw_1": 0, "embedrec_vectors_hnsw_2": 1}


def with_metric(metric: Any, seed: int = 0) -> PublishContent:
    """Vectors whose nearest neighbours differ between metrics."""
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(300, 6)) * rng.uniform(0.1, 9, size=(300, 1))
    embeddings = Embeddings(scaled.astype(np.float32), Vocab(list(range(300))), metric)
    return PublishContent(None, embeddings, 1, {"made_from": f"{metric} {seed}"})


def nearest_by_search(connection: Any, publication: PublishContent, k: int = 7) -> list[int]:
    assert publication.vectors is not None
    query = str(publication.vectors.vectors[5].tolist())
    return [i for (i,) in connection.execute("SELECT item FROM embedrec_nearest(%s::vector, %s)", (query, k))]


def expected_nearest(publication: PublishContent, k: int = 7) -> list[int]:
    assert publication.vectors is not None
    return slow_nearest(publication.vectors.vectors, publication.vectors.vectors[5], publication.vectors.metric, k)


def test_search_uses_the_metric_of_the_served_generation(postgres: Any, postgres_url: str) -> None:
    """Also after a return to a kept generation, and in a transaction that still sees the old one."""
    import psycopg

    contents = [with_metric(metric) for metric in ("cosine", "dot", "l2")]
    assert len({tuple(expected_nearest(p)) for p in contents}) == 3
    postgres.execute("SET hnsw.ef_search = 300")
    for publication in contents:
        publish(publication, target(postgres_url, hnsw=True), keep=2)
        assert nearest_by_search(postgres, publication) == expected_nearest(publication)
    with psycopg.connect(postgres_url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert nearest_by_search(reader, contents[2]) == expected_nearest(contents[2])
        assert publish(contents[0], target(postgres_url, hnsw=True), keep=2) == Published(1)
        assert nearest_by_search(reader, contents[2]) == expected_nearest(contents[2])
        assert nearest_by_search(postgres, contents[0]) == expected_nearest(contents[0])
    postgres.execute("SELECT pg_stat_force_next_flush()")
    used = dict(postgres.execute("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes").fetchall())
    assert all(used[f"embedrec_vectors_hnsw_{number}"] for number in (1, 2, 3))


def test_a_generation_without_a_metric_uses_that_of_the_vectors(postgres: Any, postgres_url: str) -> None:
    """A generation of an earlier version has the metric of the published vectors."""
    publish(with_metric("dot", 1), target(postgres_url))
    postgres.execute("UPDATE embedrec_generations SET about = about - 'metric'")
    assert nearest_by_search(postgres, with_metric("dot", 1)) == expected_nearest(with_metric("dot", 1))


def test_indexes_are_dropped_with_their_generation(postgres: Any, postgres_url: str) -> None:
    indexes = "SELECT relname FROM pg_class WHERE relname LIKE '%hnsw%'"
    for seed in range(3):
        publish(content(seed=seed), target(postgres_url, hnsw=True), grace=0)
    assert {name for (name,) in postgres.execute(indexes)} == {"embedrec_vectors_hnsw_2", "embedrec_vectors_hnsw_3"}
    import psycopg

    with psycopg.connect(postgres_url) as reader:  # no index is dropped while a reader uses it
        vectors(reader)
        publish(content(seed=3), target(postgres_url, hnsw=True), grace=0)
    assert len(postgres.execute(indexes).fetchall()) == 3
    publish(content(seed=4), target(postgres_url, hnsw=True), grace=0)
    assert len(postgres.execute(indexes).fetchall()) == 2
    publish(content(seed=3), target(postgres_url, hnsw=True), keep=0, grace=0)
    publish(content(seed=5), target(postgres_url, hnsw=True), keep=0, grace=0)  # its number was used before
    assert served(postgres) == nonempty_lists(content(seed=5))


def test_neighbours_are_looked_up_by_index(postgres: Any, postgres_url: str) -> None:
    for seed in (1, 2):
        publish(content(3000, 5, seed=seed), target(postgres_url))
    query = "SELECT other FROM embedrec_neighbours WHERE item = 'item:7 ä' ORDER BY rank"
    plan = "\n".join(line for (line,) in postgres.execute(f"EXPLAIN (ANALYZE) {query}"))
    assert "embedrec_neighbours_all_pkey" in plan and "Seq Scan on embedrec_neighbours" not in plan
    assert [other for (other,) in postgres.execute(query)] == lists(content(3000, 5, seed=2))["item:7 ä"]


def test_types_of_existing_views_are_kept(postgres: Any, postgres_url: str) -> None:
    publish(content(), target(postgres_url))
    with pytest.raises(PublishError, match=r"get vector\(4\) vector, but the content has vector\(5\); choose"):
        publish(content(d=5), target(postgres_url))
    with pytest.raises(PublishError, match="get text item, but the content has bigint; choose another --prefix"):
        publish(content(ids=list(range(12))), target(postgres_url))
    assert served(postgres) == nonempty_lists(content())
    assert numbers(postgres, "neighbours") == numbers(postgres, "vectors") == {1}
    with pytest.raises(
        SettingsError, match="an HNSW index of pgvector supports at most 2000 dimensions; the vectors have 2001"
    ):
        publish(content(d=2001), target(postgres_url, hnsw=True))
    with pytest.raises(DataError, match=r"the id 'a\\x00b' contains a zero byte"):
        publish(content(3, ids=["a\0b", "c", "d"]), target(postgres_url))


def test_one_publisher_at_a_time(postgres: Any, postgres_url: str) -> None:
    first, second = target(postgres_url), target(postgres_url)
    with first, first.session.transaction(), pytest.raises(PublishError, match=r"another publish to 'embedrec' at .*"):
        publish(content(), second)
    assert publish(content(), second).generation == 1


def test_two_publishers_of_the_same_content_write_one_generation(postgres: Any, postgres_url: str) -> None:
    """The second publisher checks again when it gets the lock, after the first one has finished."""
    from dataclasses import replace

    publication, second = content(), target(postgres_url)
    second.endpoint = replace(second.endpoint, retries=Retries(8, 0.05))
    second.session.endpoint = second.endpoint
    queries, published = threading.Event(), []
    original = second.session.transaction

    def transaction() -> Any:
        queries.set()
        return original()

    second.session.transaction = transaction  # type: ignore[method-assign]
    with target(postgres_url) as first, first.session.transaction():
        thread = threading.Thread(target=lambda: published.append(publish(publication, second)))
        thread.start()
        assert queries.wait(10)
        inner = first.session.transaction
        first.session.transaction = first.session.connection.transaction  # type: ignore[method-assign]
        assert first.write(publication, publication.fingerprint(first.layout), lambda *a, **k: None)[0] == 1
        first.session.transaction = inner  # type: ignore[method-assign]
    thread.join(10)
    assert (
        published == [Published(1)]
        and numbers(postgres, "neighbours") == {1}
        and served(postgres) == nonempty_lists(publication)
    )


def test_more_neighbours_than_items_are_limited(postgres: Any, postgres_url: str) -> None:
    assert target(postgres_url).measure(content(k=70_000, short=False))["neighbours"] == 12 * 11
    publish(content(k=70_000, short=False), target(postgres_url))
    assert served(postgres) == nonempty_lists(content(k=70_000, short=False))


def test_lost_connections_restart_the_transaction(
    postgres: Any, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remarks: list[logging.LogRecord] = []
    last = logging.Handler()
    monkeypatch.setattr(last, "emit", remarks.append)
    monkeypatch.setattr(logging, "lastResort", last)  # prints warnings of libraries
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    message: list[str] = []
    others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"

    def kill(event: str, **numbers: Any) -> None:
        message.append(event)
        if event == "progress" and message.count("retry") < 2:
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

    publication = content(3000, 3)
    published = publish(
        publication, Postgres(Endpoint(postgres_url, retries=Retries(3, 0.01), report=kill)), report=kill
    )
    assert message.count("retry") == 2 and not remarks
    assert served(postgres) == nonempty_lists(publication) and published.written["vectors"] == 3000
    assert numbers(postgres, "neighbours") == numbers(postgres, "vectors") == {published.generation}


def test_an_interrupt_leaves_the_old_generation(postgres: Any, postgres_url: str) -> None:
    publish(content(), target(postgres_url))

    def stop(event: str, **numbers: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(content(seed=1), target(postgres_url), report=stop)
    assert served(postgres) == nonempty_lists(content()) and numbers(postgres, "neighbours") == {1}


def test_readers_see_complete_lists_during_switches(postgres: Any, postgres_url: str) -> None:
    import psycopg

    contents = [content(100, 5, seed=seed, short=False) for seed in range(2)]
    publish(contents[0], target(postgres_url))
    right = {item: {tuple(lists(c)[item]) for c in contents} for item in contents[0].vocab.ids.tolist()}
    items, reads, wrong, finished = list(right), [0], [], threading.Event()

    def reader() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while not finished.is_set():
                item = items[reads[0] % len(items)]
                queries = "SELECT other FROM embedrec_neighbours WHERE item = %s ORDER BY rank"
                result = tuple(other for (other,) in connection.execute(queries, (item,)))
                reads[0] += 1
                if result not in right[item]:
                    wrong.append((item, result))
                time.sleep(0.0005)

    thread = threading.Thread(target=reader)
    thread.start()
    switches, began = 0, time.perf_counter()
    try:
        while time.perf_counter() - began < 1.5 or reads[0] < 200:
            switches += 1
            endpoint = target(postgres_url, hnsw=switches % 4 > 1)  # so that the content differs each time
            publish(contents[switches % 2], endpoint, keep=0, grace=0.05)
    finally:
        finished.set()
        thread.join()
    assert switches >= 3 and not wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("s3cret", "wr0ng"),
            r"postgresql://shop:\*\*\*@127.0.0.1:\d+/postgres cannot be .*; check the URL, user and password",
        ),
        (("/postgres", "/nothing"), 'database "nothing" does not exist'),
        (("/postgres", "/postgres?sslmode=much"), "invalid sslmode value"),
        (("/postgres", "/postgres?sslmode=require"), "does not support SSL"),
    ],
)
def test_invalid_endpoints_are_refused(postgres_url: str, change: tuple[str, str], message: str) -> None:
    with pytest.raises(PublishError, match=message) as raised:
        publish(content(), Postgres(Endpoint(postgres_url.replace(*change))))
    assert not any(secret in str(raised.value) for secret in ("s3cret", "wr0ng", "secret "))


def test_connection_strings_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^write the URL as postgresql://user:password@host:5432/database$"):
        Postgres(Endpoint("host=db password=s3cret"))


def test_missing_pgvector_is_an_error_for_vectors_only(postgres: Any, postgres_url: str) -> None:
    """Vectors need pgvector; neighbours do not."""
    first = target(postgres_url)
    with first:
        session = first.session
        execute = session.execute
        session.execute = lambda text, *names, **more: [] if "'vector'" in text else execute(text, *names, **more)  # type: ignore[method-assign]
        with pytest.raises(PublishError, match="has no pgvector; install it, or publish without vectors"):
            first.write(content(), "", lambda *a, **k: None)
        assert first.write(content(parts="neighbours"), "", lambda *a, **k: None)[0] == 1
