"""Vectors in Qdrant, with neighbours in their payloads: a collection a generation, and an alias that is switched.

PREFIX                          alias of the collection that is served: what readers ask
PREFIX-NUMBER                   the collection of a generation
PREFIX-NUMBER-whole-PRINT       alias: the collection is whole; PRINT is its fingerprint
PREFIX-NUMBER-retired-MOMENT    alias: another took its place then, milliseconds since 1970

A point has the id `point_id(item)`, and in its payload `item`, and `neighbours`, [{"item", "score"}, …] best first.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
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
from embedrec.publish.content import PublishContent, encoded, seven_digits
from embedrec.publish.endpoint import Endpoint, Retries, check_installed
from embedrec.publish.generations import Generation, Size
from embedrec.vectors.embeddings import Embeddings

T = TypeVar("T")
_BATCH = 512  # points written between two answers
_DISTANCES = {"cosine": "Cosine", "dot": "Dot", "l2": "Euclid"}
_INDEXED_AFTER = 600  # seconds that a server may take to index what it got
_TIMEOUT = 60  # seconds without an answer
_OURS = {"meta.json", "collection", ".lock"}  # what the client's engine writes
Point = tuple[str, list[float], dict[str, Any]]  # id, vector, payload


def point_id(item: object) -> str:
    """The id of an item's point: a name-based UUID (version 5 in the namespace of object identifiers) of its text."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(item)))


@dataclass(eq=False)
class Qdrant:
    """A `Target` of vectors. Raises SettingsError for a prefix that cannot be part of a name.

    place   http:// or https:// of a server; ":memory:", or a folder for the engine that the client has in it
    prefix  the alias, and what all names begin with
    """

    place: Endpoint
    prefix: str = "embedrec"
    client: Any = field(default=None, repr=False)
    _opened: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", self.prefix):
            raise SettingsError(
                f"a prefix of collections must have 1 to 80 letters, digits, '_', '-' or '.', but is {self.prefix!r}"
            )
        self.place.check("QDRANT_API_KEY")
        url = self.place.url
        if re.fullmatch(r"[^/\\]{2,}:[0-9]+(/.*)?", url):
            raise SettingsError(f"a server needs a scheme; write {Endpoint('http://' + url)}")
        if "://" in url and not self._remote:
            raise SettingsError("write the URL as http://host:6333 or https://host:6333, or name a folder")

    @property
    def layout(self) -> str:
        return "qdrant-1"

    def check(self, publication: PublishContent) -> None:
        _vectors(publication)

    def measured(self, publication: PublishContent) -> Size:
        """Points, and bytes of vectors and payloads."""
        sizes = [(len(batch), _bytes(batch)) for batch, _ in _batches(publication)]
        return {"points": sum(points for points, _ in sizes), "bytes": sum(size for _, size in sizes)}

    def __enter__(self) -> Qdrant:
        check_installed("qdrant_client", "qdrant")
        if self.client is None:
            self._opened = True
            self._asked(lambda: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened and self.client is not None:
            self.client.close()

    def reading(self) -> Qdrant:
        if not self._remote and self.place.url != ":memory:" and not Path(self.place.url).is_dir():
            raise PublishError(f"{self.place} is no folder; check the path")
        return self

    def clean(self) -> int:
        whole = {generation.number for generation in self.generations()}
        half = [number for number in self._collections() if number not in whole]
        for number in half:
            self.drop(number)
        return len(half)

    def generations(self) -> list[Generation]:
        aliases = self._aliases()
        served = aliases.get(self.prefix)
        found, now = [], time.time()
        for number in self._collections():
            marks = self._marks(number, aliases)
            if "whole" in marks:
                since = now - int(marks["retired"]) / 1000 if "retired" in marks else 0.0
                found.append(Generation(number, marks["whole"], served == self._name(number), max(0.0, since)))
        return found

    def missing(self, number: int, publication: PublishContent) -> int:
        name = self._name(number)
        return abs(len(publication.vocab) - self._asked(lambda: int(self.client.count(name, exact=True).count)))

    def lost(self, number: int) -> int:
        """A point where there are none at all: how many there were is not noted."""
        return int(not self._asked(lambda: self.client.count(self._name(number), exact=True).count))

    def write(self, publication: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        from qdrant_client import models

        number = max(self._collections(), default=0) + 1
        try:
            self._create(number, publication)
            points = size = 0
            for batch, done in _batches(publication):
                ids, vectors, payloads = (list(column) for column in zip(*batch, strict=True))
                upsert = partial(self.client.upsert, self._name(number), wait=True)
                self._asked(partial(upsert, models.Batch(ids=ids, vectors=vectors, payloads=payloads)))
                points, size = points + len(batch), size + _bytes(batch)
                report("progress", done=done, total=len(publication.vocab), unit="items")
            self._await(number, points)
            self._lead_to(number, whole=fingerprint)
        except BaseException:
            self.place = replace(self.place, retries=Retries(0))
            with suppress(PublishError):  # otherwise the next publish does it
                self.drop(number)
            raise
        return number, {"points": points, "bytes": size}

    def switch(self, number: int) -> None:
        self._lead_to(number)

    def drop(self, number: int) -> None:
        """The collection goes first, which is no generation any more once it is gone; its aliases go with it."""
        self._asked(lambda: self.client.delete_collection(self._name(number)))

    # ------------------------------------------------------------------------------------------ names

    def _name(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    def _collections(self) -> list[int]:
        """The numbers of the collections of all generations, whole or not."""
        found = self._asked(lambda: [c.name for c in self.client.get_collections().collections])
        numbers = (re.fullmatch(re.escape(self.prefix) + r"-(\d+)", name) for name in found)
        return sorted(int(match[1]) for match in numbers if match)

    def _aliases(self) -> dict[str, str]:
        """All aliases, and the collections that they name."""
        return self._asked(lambda: {a.alias_name: a.collection_name for a in self.client.get_aliases().aliases})

    def _marks(self, number: int, aliases: dict[str, str]) -> dict[str, str]:
        """What the aliases of a generation say of it: "whole" and perhaps "retired"."""
        before = f"{self._name(number)}-"
        ours = [a.removeprefix(before) for a, name in aliases.items() if name == self._name(number) and before in a]
        return {what: value for what, _, value in (mark.partition("-") for mark in ours)}

    # ------------------------------------------------------------------------------------------ steps

    def _create(self, number: int, publication: PublishContent) -> None:
        from qdrant_client import models

        vectors = _vectors(publication)
        distance = models.Distance(_DISTANCES[vectors.metric])
        shape = models.VectorParams(size=vectors.dim, distance=distance)
        name = self._name(number)

        def created() -> None:
            if not self.client.collection_exists(name):  # it is there when the answer to the first try was lost
                self.client.create_collection(name, vectors_config=shape)
            if self._remote:  # so that items are found without a look at all points
                kind = (
                    models.PayloadSchemaType.INTEGER if publication.vocab.integer else models.PayloadSchemaType.KEYWORD
                )
                self.client.create_payload_index(name, "item", kind)

        self._asked(created)

    def _await(self, number: int, points: int) -> None:
        """Wait until all points are there and indexed. Raises PublishError when some are not there."""
        name = self._name(number)
        found = self._asked(lambda: self.client.count(name, exact=True).count)
        if found != points:
            raise PublishError(f"{self.place} holds {found} of {points} points in {name}; publish again")
        until = time.monotonic() + _INDEXED_AFTER
        while time.monotonic() < until and self._asked(lambda: self.client.get_collection(name).status) == "yellow":
            time.sleep(0.5)

    def _lead_to(self, number: int, whole: str | None = None) -> None:
        """Switch the alias and note when the old collection was retired, in one step."""
        from qdrant_client import models

        aliases = self._aliases()
        old = aliases.get(self.prefix)
        here = self._name(number)
        gone = [self.prefix] if old else []
        gone += [a for a, name in aliases.items() if name == here and a.startswith(f"{here}-retired-")]
        made = {self.prefix: here}
        if whole:
            made[f"{here}-whole-{whole}"] = here
        if old and old != here:
            made[f"{old}-retired-{int(time.time() * 1000)}"] = old
        steps: list[Any] = [models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=a)) for a in gone]
        steps += [
            models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=name, alias_name=a))
            for a, name in made.items()
        ]
        self._asked(lambda: self.client.update_collection_aliases(steps))

    # ------------------------------------------------------------------------------------------ the client

    @property
    def _remote(self) -> bool:
        return self.place.url.startswith(("http://", "https://"))

    def _open(self) -> Any:
        from qdrant_client import QdrantClient

        if not self._remote:
            if self.place.url == ":memory:":
                return QdrantClient(":memory:")
            _check_folder(Path(self.place.url))
            return QdrantClient(path=self.place.url)
        parts = urlsplit(self.place.url)
        _, _, host = parts.netloc.rpartition("@")
        key = unquote(parts.password) if parts.password else self.place.secret
        url = urlunsplit(parts._replace(netloc=host))
        return QdrantClient(url=url, api_key=key, timeout=_TIMEOUT, check_compatibility=False)

    def _asked(self, call: Callable[[], T]) -> T:
        """What Qdrant says, also after it did not answer for a while."""
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        def asked() -> T:
            try:
                if self.client is None:
                    self.client = self._open()
                return call()
            except UnexpectedResponse as e:
                if e.status_code == 429 or (e.status_code or 0) >= 500:
                    raise ResponseHandlingException(e) from None
                self.place.fail(e, "check the URL, and the API key")
            except (EmbedrecError, ResponseHandlingException, QdrantException):
                raise
            except Exception as e:  # a folder is a database of SQLite, of which the client passes on what goes wrong
                self.place.fail(e, "name a server, ':memory:' or a folder with room that nobody else has open")

        return self.place.retrying(asked, (ResponseHandlingException, QdrantException), lambda: None)


def _check_folder(folder: Path) -> None:
    """Raises PublishError for a folder of other things, and for a file."""
    if folder.exists() and not folder.is_dir():
        raise PublishError(f"{folder} is a file; move it away or choose another name")
    others = sorted({file.name for file in folder.iterdir()} - _OURS) if folder.exists() else []
    if others and not _is_storage(folder):
        raise PublishError(
            f"{folder} holds other files and no storage of Qdrant ({others[0]}); move it away or choose another name"
        )


def _is_storage(folder: Path) -> bool:
    with suppress(OSError, ValueError):
        about = json.loads((folder / "meta.json").read_bytes())
        return isinstance(about, dict) and {"collections", "aliases"} <= about.keys()
    return False


def _vectors(publication: PublishContent) -> Embeddings:
    if publication.vectors is None:
        raise SettingsError("qdrant takes vectors; publish them, alone or with neighbours")
    return publication.vectors


def _batches(publication: PublishContent) -> Iterator[tuple[list[Point], int]]:
    """The points of a generation, and items so far."""
    _vectors(publication)
    encoded(publication.vocab)  # ids that are no Unicode could not be sent
    items = publication.vocab.ids.tolist()
    nothing = repeat((None, None))
    neighbours: Iterable[Any] = publication.neighbour_blocks() if publication.neighbours is not None else nothing
    for (rows, vectors), (_, found) in zip(publication.vector_blocks(), neighbours, strict=False):
        others = None if found is None else found.ids()
        scores = None if found is None else seven_digits(found.scores).tolist()
        for start in range(0, len(rows), _BATCH):
            batch = []
            for i in range(start, min(start + _BATCH, len(rows))):
                payload: dict[str, Any] = {"item": items[rows[i]]}
                if others is not None and scores is not None:
                    near = zip(others[i], scores[i], strict=False)
                    payload["neighbours"] = [{"item": other, "score": score} for other, score in near]
                batch.append((point_id(items[rows[i]]), vectors[i].tolist(), payload))
            yield batch, int(rows[start]) + len(batch)


def _bytes(batch: list[Point]) -> int:
    """Bytes of vectors as float32, and of payloads as JSON."""
    import msgspec

    return sum(4 * len(vector) + len(msgspec.json.encode(payload)) for _, vector, payload in batch)
