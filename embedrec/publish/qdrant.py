"""Vectors in Qdrant, with neighbours in their payloads: one collection per generation, and an alias for readers.

PREFIX                          alias of the served collection, for readers
PREFIX-NUMBER                   the collection of a generation
PREFIX-NUMBER-whole-PRINT       alias: the collection is complete; PRINT is its fingerprint
PREFIX-NUMBER-retired-MOMENT    alias: the time of its replacement, milliseconds since 1970
PREFIX-NUMBER-space-ID          alias: the space of its vectors
PREFIX-NUMBER-of-KIND           alias: "sessions" or "recommendations"; none for items

A generation is written whole: Qdrant has no copy of points within the server, and a collection has no switch but its
alias. A point has the id `point_id(item)`, and the payload `item` and `neighbours`, [{"item", "score"}, …] best first.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from embedrec.errors import EmbedrecError, PublishError, SettingsError
from embedrec.progress import Report
from embedrec.publish.content import PublishContent, round_to_seven_digits
from embedrec.publish.encoded_ids import EncodedIds
from embedrec.publish.endpoint import Endpoint, Retries, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.vectors.embeddings import Embeddings

T = TypeVar("T")
_BATCH = 512  # points per request
_DISTANCES = {"cosine": "Cosine", "dot": "Dot", "l2": "Euclid"}
_INDEXED_AFTER = 600  # seconds to wait for the server's indexing
_TIMEOUT = 60  # seconds
_MARKS = ("space", "of")  # what aliases store about a content
_CLIENT_FILES = {"meta.json", "collection", ".lock"}  # written by the client's local engine
Point = tuple[str, list[float], dict[str, Any]]  # id, vector, payload


def point_id(item: object) -> str:
    """The id of an item's point: the UUID version 5 of its text, in the namespace of object identifiers."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(item)))


@dataclass(eq=False)
class Qdrant:
    """A `Target` of vectors. Raises SettingsError for a prefix that cannot be part of a name.

    endpoint  http:// or https:// of a server; ":memory:" or a folder for the client's local engine
    prefix    the alias, and the start of all names
    """

    endpoint: Endpoint
    prefix: str = "embedrec"
    client: Any = field(default=None, repr=False)
    _opened: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", self.prefix):
            raise SettingsError(
                f"a prefix of collections must have 1 to 80 letters, digits, '_', '-' or '.'; it is {self.prefix!r}"
            )
        self.endpoint.check("QDRANT_API_KEY")
        url = self.endpoint.url
        if re.fullmatch(r"[^/\\]{2,}:[0-9]+(/.*)?", url):
            raise SettingsError(f"the URL of a server needs a scheme; write {Endpoint('http://' + url)}")
        if "://" in url and not self._remote:
            raise SettingsError("write the URL as http://host:6333 or https://host:6333, or name a folder")

    @property
    def layout(self) -> str:
        return "qdrant-1"

    def check(self, content: PublishContent) -> None:
        _vectors(content)

    def measure(self, content: PublishContent) -> Size:
        """Points, and bytes of vectors and payloads."""
        sizes = [(len(batch), _byte_size(batch)) for batch, _ in _batches(content)]
        return {"points": sum(points for points, _ in sizes), "bytes": sum(size for _, size in sizes)}

    def __enter__(self) -> Qdrant:
        check_installed("qdrant_client", "qdrant")
        if self.client is None:
            self._opened = True
            self._call(lambda: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened and self.client is not None:
            self.client.close()

    def readonly(self) -> Qdrant:
        if not self._remote and self.endpoint.url != ":memory:" and not Path(self.endpoint.url).is_dir():
            raise PublishError(f"{self.endpoint} is no folder; check the path")
        return self

    def clean(self) -> int:
        whole = {generation.number for generation in self.generations()}
        partial = [number for number in self._collections() if number not in whole]
        for number in partial:
            self.drop(number)
        return len(partial)

    def generations(self) -> list[Generation]:
        aliases = self._aliases()
        served = aliases.get(self.prefix)
        generations, now = [], time.time()
        for number in self._collections():
            marks = self._marks(number, aliases)
            if "whole" in marks:
                since = now - int(marks["retired"]) / 1000 if "retired" in marks else 0.0
                about = {name: value for name, value in marks.items() if name in _MARKS}
                is_served = served == self._name(number)
                generations.append(Generation(number, marks["whole"], is_served, max(0.0, since), about=about))
        return generations

    def missing(self, number: int, content: PublishContent) -> int:
        name = self._name(number)
        return abs(len(content.vocab) - self._call(lambda: int(self.client.count(name, exact=True).count)))

    def lost(self, number: int) -> int:
        """1 for an empty collection, otherwise 0: the original number of points is not stored."""
        return int(not self._call(lambda: self.client.count(self._name(number), exact=True).count))

    def write(self, content: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        from qdrant_client import models

        number = max(self._collections(), default=0) + 1
        try:
            self._create(number, content)
            points = size = 0
            for batch, done in _batches(content):
                ids, vectors, payloads = (list(column) for column in zip(*batch, strict=True))
                upsert = partial(self.client.upsert, self._name(number), wait=True)
                self._call(partial(upsert, models.Batch(ids=ids, vectors=vectors, payloads=payloads)))
                points, size = points + len(batch), size + _byte_size(batch)
                report("progress", done=done, total=len(content.vocab), unit="items")
            self._await(number, points)
            about = content.about
            self._switch_to(
                number, {"whole": fingerprint} | {name: about[name] for name in ("space", "of") if name in about}
            )
        except BaseException:
            self.endpoint = replace(self.endpoint, retries=Retries(0))
            with suppress(PublishError):  # on failure, the next publish does it
                self.drop(number)
            raise
        return number, {"points": points, "bytes": size}

    def switch(self, number: int) -> None:
        self._switch_to(number)

    def drop(self, number: int) -> None:
        """Delete the collection; its aliases are deleted with it."""
        self._call(lambda: self.client.delete_collection(self._name(number)))

    # ------------------------------------------------------------------------------------------ names

    def _name(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    def _collections(self) -> list[int]:
        """The numbers of the collections of all generations, complete or not."""
        names = self._call(lambda: [c.name for c in self.client.get_collections().collections])
        matches = (re.fullmatch(re.escape(self.prefix) + r"-(\d+)", name) for name in names)
        return sorted(int(match[1]) for match in matches if match)

    def _aliases(self) -> dict[str, str]:
        """All aliases and their collections."""
        return self._call(lambda: {a.alias_name: a.collection_name for a in self.client.get_aliases().aliases})

    def _marks(self, number: int, aliases: dict[str, str]) -> dict[str, str]:
        """The state of a generation, from its aliases: values of "whole" and "retired"."""
        before = f"{self._name(number)}-"
        ours = [a.removeprefix(before) for a, name in aliases.items() if name == self._name(number) and before in a]
        return {what: value for what, _, value in (mark.partition("-") for mark in ours)}

    # ------------------------------------------------------------------------------------------ steps

    def _create(self, number: int, content: PublishContent) -> None:
        from qdrant_client import models

        vectors = _vectors(content)
        distance = models.Distance(_DISTANCES[vectors.metric])
        shape = models.VectorParams(size=vectors.dim, distance=distance)
        name = self._name(number)

        def create_once() -> None:
            if not self.client.collection_exists(name):  # it exists if the response to a first attempt was lost
                self.client.create_collection(name, vectors_config=shape)
            if self._remote:  # to find items without a full scan
                kind = models.PayloadSchemaType.INTEGER if content.vocab.integer else models.PayloadSchemaType.KEYWORD
                self.client.create_payload_index(name, "item", kind)

        self._call(create_once)

    def _await(self, number: int, points: int) -> None:
        """Wait until all points are indexed. Raises PublishError if points are missing."""
        name = self._name(number)
        count = self._call(lambda: self.client.count(name, exact=True).count)
        if count != points:
            raise PublishError(f"{self.endpoint} contains {count} of {points} points in {name}; publish again")
        until = time.monotonic() + _INDEXED_AFTER
        while time.monotonic() < until and self._call(lambda: self.client.get_collection(name).status) == "yellow":
            time.sleep(0.5)

    def _switch_to(self, number: int, marks: Mapping[str, str] | None = None) -> None:
        """Switch the alias, and store marks of the new collection and the time of the switch, atomically."""
        from qdrant_client import models

        aliases = self._aliases()
        old = aliases.get(self.prefix)
        new = self._name(number)
        deleted = [self.prefix] if old else []
        deleted += [a for a, name in aliases.items() if name == new and a.startswith(f"{new}-retired-")]
        created = {self.prefix: new}
        created |= {f"{new}-{name}-{value}": new for name, value in (marks or {}).items()}
        if old and old != new:
            created[f"{old}-retired-{int(time.time() * 1000)}"] = old
        steps: list[Any] = [models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=a)) for a in deleted]
        steps += [
            models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=name, alias_name=a))
            for a, name in created.items()
        ]
        self._call(lambda: self.client.update_collection_aliases(steps))

    # ------------------------------------------------------------------------------------------ the client

    @property
    def _remote(self) -> bool:
        return self.endpoint.url.startswith(("http://", "https://"))

    def _open(self) -> Any:
        from qdrant_client import QdrantClient

        if not self._remote:
            if self.endpoint.url == ":memory:":
                return QdrantClient(":memory:")
            check_folder(Path(self.endpoint.url))
            return QdrantClient(path=self.endpoint.url)
        parts = urlsplit(self.endpoint.url)
        _, _, host = parts.netloc.rpartition("@")
        key = unquote(parts.password) if parts.password else self.endpoint.secret
        url = urlunsplit(parts._replace(netloc=host))
        return QdrantClient(url=url, api_key=key, timeout=_TIMEOUT, check_compatibility=False)

    def _call(self, call: Callable[[], T]) -> T:
        """The result of a call, with retries while the server does not respond."""
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        def attempt() -> T:
            try:
                if self.client is None:
                    self.client = self._open()
                return call()
            except UnexpectedResponse as e:
                if e.status_code == 429 or (e.status_code or 0) >= 500:
                    raise ResponseHandlingException(e) from None
                self.endpoint.fail(e, "check the URL, and the API key")
            except (EmbedrecError, ResponseHandlingException, QdrantException):
                raise
            except Exception as e:  # a folder is an SQLite database; the client passes its errors on
                self.endpoint.fail(e, "name a server, ':memory:' or a writable folder that no other process uses")

        return self.endpoint.retry(attempt, (ResponseHandlingException, QdrantException), lambda: None)


def check_folder(folder: Path) -> None:
    """Raises PublishError for a file, and for a folder with other files."""
    if folder.exists() and not folder.is_dir():
        raise PublishError(f"{folder} is a file; move it or choose another name")
    others = sorted({file.name for file in folder.iterdir()} - _CLIENT_FILES) if folder.exists() else []
    if others and not _is_storage(folder):
        raise PublishError(
            f"{folder} contains other files and no storage of Qdrant ({others[0]}); move it or choose another name"
        )


def _is_storage(folder: Path) -> bool:
    with suppress(OSError, ValueError):
        about = json.loads((folder / "meta.json").read_bytes())
        return isinstance(about, dict) and {"collections", "aliases"} <= about.keys()
    return False


def _vectors(content: PublishContent) -> Embeddings:
    if content.vectors is None:
        raise SettingsError("qdrant needs vectors; publish vectors, alone or with neighbours")
    return content.vectors


def _batches(content: PublishContent) -> Iterator[tuple[list[Point], int]]:
    """The points of a generation, and items so far."""
    _vectors(content)
    EncodedIds.of(content.vocab)  # raises for ids that are not Unicode
    items = content.vocab.ids.tolist()
    missing_neighbours = repeat((None, None))
    neighbours: Iterable[Any] = content.list_blocks() if content.lists is not None else missing_neighbours
    for (rows, vectors), (_, top) in zip(content.vector_blocks(), neighbours, strict=False):
        others = None if top is None else top.ids()
        scores = None if top is None else round_to_seven_digits(top.scores).tolist()
        for start in range(0, len(rows), _BATCH):
            batch = []
            for i in range(start, min(start + _BATCH, len(rows))):
                payload: dict[str, Any] = {"item": items[rows[i]]}
                if others is not None and scores is not None:
                    near = zip(others[i], scores[i], strict=False)
                    payload["neighbours"] = [{"item": other, "score": score} for other, score in near]
                batch.append((point_id(items[rows[i]]), vectors[i].tolist(), payload))
            yield batch, int(rows[start]) + len(batch)


def _byte_size(batch: list[Point]) -> int:
    """Bytes of vectors as float32, and of payloads as JSON."""
    import msgspec

    return sum(4 * len(vector) + len(msgspec.json.encode(payload)) for _, vector, payload in batch)
