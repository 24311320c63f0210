"""Qdrant, with the engine of its client: points, aliases, generations and clean-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from embedrec.errors import PublishError, SettingsError
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint, Retries
from embedrec.publish.generations import Published, publish
from embedrec.publish.qdrant import Qdrant, check_folder, point_id
from tests.conftest import slow_nearest
from tests.publish.content import content, scored_lists


@pytest.fixture
def client() -> Any:
    with_nothing = QdrantClient(":memory:")
    yield with_nothing
    with_nothing.close()


def target(client: Any, **more: Any) -> Qdrant:
    return Qdrant(Endpoint(":memory:", retries=Retries(2, 0.01)), client=client, **more)


def points(client: Any, publication: PublishContent, name: str = "embedrec") -> dict[Any, tuple[Any, list[float]]]:
    result = client.scroll(name, limit=len(publication.vocab) + 1, with_vectors=True)[0]
    return {p.payload["item"]: (p.payload.get("neighbours"), p.vector) for p in result}


def expected(publication: PublishContent) -> dict[Any, tuple[Any, list[float]]]:
    assert publication.vectors is not None
    vectors = publication.vectors.vectors.tolist()
    pairs = scored_lists(publication) if publication.lists else {}
    return {
        item: ([{"item": o, "score": pytest.approx(s, rel=1e-6)} for o, s in pairs[item]] if pairs else None, vector)
        for item, vector in zip(publication.vocab.ids.tolist(), vectors, strict=True)
    }


def with_dot_product(publication: PublishContent) -> PublishContent:
    """The same content with the metric dot product, for which Qdrant stores unnormalised vectors."""
    from dataclasses import replace

    assert publication.vectors is not None
    return replace(publication, vectors=replace(publication.vectors, metric="dot"))


@pytest.mark.parametrize("parts", ["both", "vectors"])
@pytest.mark.parametrize("ids", [None, list(range(-3, 9))])
def test_points_contain_neighbours_and_vectors(client: Any, parts: str, ids: Any) -> None:
    publication = with_dot_product(content(parts=parts, ids=ids))
    published = publish(publication, target(client))
    assert points(client, publication) == expected(publication)
    assert published == Published(1, target(client).measure(publication)) and published.written["points"] == 12
    assert publish(publication, target(client)) == Published(1)
    (result,) = client.retrieve("embedrec", [point_id(publication.vocab.id(3))])
    assert result.payload["item"] == publication.vocab.id(3)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_search_returns_the_nearest_items(client: Any, metric: Any) -> None:
    from dataclasses import replace

    publication = content(1500, 2, d=8)
    assert publication.vectors is not None
    publication = replace(publication, vectors=replace(publication.vectors, metric=metric))
    publish(publication, target(client))
    assert publication.vectors is not None
    queries = publication.vectors.vectors[3]
    result = [p.payload["item"] for p in client.query_points("embedrec", query=queries.tolist(), limit=5).points]
    assert result == [f"item:{r} ä" for r in slow_nearest(publication.vectors.vectors, queries, metric, 5)]


def collections(client: Any) -> set[str]:
    return {c.name for c in client.get_collections().collections}


def aliases(client: Any) -> set[str]:
    return {a.alias_name for a in client.get_aliases().aliases}


def test_generations_are_kept_and_dropped(client: Any) -> None:
    client.create_collection("embedrec-not-ours", models.VectorParams(size=2, distance=models.Distance.DOT))
    contents = [with_dot_product(content(seed=seed)) for seed in range(4)]
    for number, publication in enumerate(contents[:3], 1):
        assert publish(publication, target(client), grace=0).generation == number
        assert points(client, publication) == expected(publication)
    assert collections(client) == {"embedrec-not-ours", "embedrec-2", "embedrec-3"}
    assert publish(contents[1], target(client), grace=0) == Published(2)  # returns to a kept generation
    assert points(client, contents[1]) == expected(contents[1])
    assert sum("retired" in alias for alias in aliases(client)) == 1
    publish(contents[3], target(client), keep=0, grace=0)
    assert collections(client) == {"embedrec-not-ours", "embedrec-4"} and len(aliases(client)) == 2


def test_unfinished_generations_are_removed(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = with_dot_product(content(seed=1)), with_dot_product(content(seed=2))
    publish(first, target(client))

    def stop(*args: Any, **more: Any) -> None:
        assert collections(client) == {"embedrec-1", "embedrec-2"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(second, target(client), report=stop)
    assert collections(client) == {"embedrec-1"} and points(client, first) == expected(first)
    client.create_collection("embedrec-2", models.VectorParams(size=4, distance=models.Distance.DOT))
    message: list[str] = []
    publish(second, target(client), report=lambda event, **numbers: message.append(event))
    assert message[0] == "cleaned" and points(client, second) == expected(second)
    monkeypatch.setattr(client, "upsert", lambda *args, **more: None)
    with pytest.raises(PublishError, match=r"contains 0 of 12 points in embedrec-3; publish again"):
        publish(content(seed=3), target(client))
    assert points(client, second) == expected(second)


def test_requests_are_retried(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publication, real, failed = with_dot_product(content()), client.upsert, []

    def fail_twice(*args: Any, **more: Any) -> Any:
        if len(failed) < 2:
            failed.append(1)
            real(*args, **more)  # the request arrived, but not its response
            raise [ResponseHandlingException(OSError("reset")), UnexpectedResponse(503, "busy", b"", None)][
                len(failed) - 1
            ]
        return real(*args, **more)

    monkeypatch.setattr(client, "upsert", fail_twice)
    publish(publication, target(client))
    assert len(failed) == 2 and points(client, publication) == expected(publication)

    def refuse(*args: Any, **more: Any) -> Any:
        raise UnexpectedResponse(403, "Forbidden", b"no s3cret", None)

    monkeypatch.setattr(client, "count", refuse)
    ours = Qdrant(Endpoint("https://:s3cret@db:6333"), client=client)
    with pytest.raises(
        PublishError, match=r"https://:\*\*\*@db:6333 cannot be .*403 .*; check the URL, and the API key"
    ):
        ours.lost(1)


@pytest.mark.usefixtures("qdrant_in_a_folder")
def test_a_folder_is_published_to(tmp_path: Path) -> None:
    publication, folder = with_dot_product(content()), str(tmp_path / "qdrant")
    publish(publication, Qdrant(Endpoint(folder)))
    assert publish(publication, Qdrant(Endpoint(folder))) == Published(1)
    with QdrantClientOf(folder) as client:
        assert points(client, publication) == expected(publication)
        with pytest.raises(PublishError, match="already accessed by another instance"):
            publish(content(seed=1), Qdrant(Endpoint(folder)))


def test_lost_points_are_published_again(client: Any) -> None:
    some, message = with_dot_product(content()), []
    publish(some, target(client))
    client.delete("embedrec", [point_id(some.vocab.id(3))])
    again = publish(some, target(client), grace=0, report=lambda event, **n: message.append((event, n)))
    assert again.generation == 2 and points(client, some) == expected(some)
    assert message[0] == ("incomplete", {"generation": 1, "missing": 1}) and collections(client) == {"embedrec-2"}


def test_invalid_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for bad, message in {
        "localhost:6333": "the URL of a server needs a scheme; write http://localhost:6333",
        "me:s3cret@db.example.com:6333/x": r"the URL of a server needs a scheme; write http://me:\*\*\*@db.example.com:6333/x",
        "grpc://host:6334": "write the URL as http://host:6333 or https://host:6333, or name a folder",
    }.items():
        with pytest.raises(SettingsError, match=f"^{message}$"):
            Qdrant(Endpoint(bad))
    models = tmp_path / "models"
    (models / "word2vec").mkdir(parents=True)
    with pytest.raises(
        PublishError, match=r"^models contains other files and no storage of Qdrant \(word2vec\); move it"
    ):
        publish(content(), Qdrant(Endpoint("models")))
    assert [f.name for f in models.iterdir()] == ["word2vec"]
    (models / "meta.json").write_text("[]")
    with pytest.raises(PublishError, match="no storage of Qdrant"):
        publish(content(), Qdrant(Endpoint("models")))
    with pytest.raises(PublishError, match=r"^models/meta.json is a file"):
        publish(content(), Qdrant(Endpoint("models/meta.json")))
    with pytest.raises(SettingsError, match="qdrant needs vectors"):
        publish(content(parts="neighbours"), Qdrant(Endpoint("qd2")))
    assert [f.name for f in tmp_path.iterdir()] == ["models"]
    for half in ([], [".lock"], [".lock", "collection"]):  # of a publish that was killed early
        for name in half:
            (tmp_path / "half" / name).mkdir(parents=True, exist_ok=True)
        check_folder(tmp_path / "half")


class QdrantClientOf:
    """A client that is closed at the end."""

    def __init__(self, folder: str) -> None:
        self.client = QdrantClient(path=folder)

    def __enter__(self) -> Any:
        return self.client

    def __exit__(self, *raised: object) -> None:
        self.client.close()


def test_invalid_settings_are_refused(client: Any) -> None:
    for bad in ("", "a/b", "ä"):
        with pytest.raises(SettingsError, match="1 to 80 letters"):
            target(client, prefix=bad)
    with pytest.raises(SettingsError, match="qdrant needs vectors"):
        publish(content(parts="neighbours"), target(client))
    with pytest.raises(PublishError, match=r"http://127.0.0.1:1 cannot be .*refused"):
        publish(content(), Qdrant(Endpoint("http://127.0.0.1:1", retries=Retries(1, 0.01))))
    client.create_collection("taken", models.VectorParams(size=2, distance=models.Distance.DOT))
    with pytest.raises(PublishError, match="Collection taken already exists"):
        publish(content(), target(client, prefix="taken"))


def test_the_id_of_a_point_is_a_name_based_uuid() -> None:
    import uuid

    assert point_id("a") == str(uuid.uuid5(uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8"), "a"))
    assert point_id(7) == point_id("7")
    assert len({point_id(i) for i in np.arange(50)}) == 50
