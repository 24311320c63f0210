"""Requests and answers as JSON. The OpenAPI description is generated from these types."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

MAX_K = 1000
MAX_QUERIES = 100  # items or histories in one request
MAX_HISTORY = 1000  # events of a history
MAX_TIME = 8_640_000_000_000_000  # ms; the years ±275,000, see `embedrec.data.times`
MAX_IDS = 100_000  # ids of `only` and `exclude`

Id = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | str
Text = Annotated[str, Meta(max_length=1000)]
Count = Annotated[int, Meta(ge=1, le=MAX_K, description="Number of results; 10 by default.")]
Conditions = Annotated[
    list[Text], Meta(max_length=20, description="Conditions on features, such as year>=2000 or genre=rock|pop.")
]
Ids = Annotated[list[Id], Meta(max_length=MAX_IDS)]
QueryIds = Annotated[list[Text], Meta(max_length=MAX_IDS)]
Exact = Annotated[bool, Meta(description="Compare every vector instead of searching through the index.")]
Popularity = Annotated[
    float, Meta(ge=0, le=1, description="Exponent of the item norms of a model: 0 for cosine, 1 for dot product.")
]
History = Annotated[list[Id], Meta(max_length=MAX_HISTORY, description="Ids or names, oldest first.")]


class Question(Struct, forbid_unknown_fields=True, kw_only=True):
    """What questions share: the number of results, and the index or model that answers."""

    k: Count | None = None
    index: Text | None = None
    model: Text | None = None


class Filtered(Question, kw_only=True):
    """A question whose results can be filtered and explained."""

    where: Conditions = []
    only: Ids | None = None
    exclude: Ids | None = None
    explain: bool = False


class FilteredQuery(Question, kw_only=True):
    """A query string whose results can be filtered and explained; where, only and exclude may be repeated."""

    where: Conditions = []
    only: QueryIds | None = None
    exclude: QueryIds | None = None
    explain: bool = False


class SimilarQuery(FilteredQuery, kw_only=True):
    """The query string of GET /v1/similar/{item}; where, only and exclude may be repeated."""

    popularity: Popularity | None = None
    exact: Exact = False


class SimilarRequest(Filtered, kw_only=True):
    """Items whose neighbours are asked for."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=MAX_QUERIES, description="Ids or names.")]
    popularity: Popularity | None = None
    exact: Exact = False


class HistoryRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """A history: items, oldest first, optionally with a time and a kind of each, and the user.

    Times are milliseconds since 1970.
    """

    items: History
    times: Annotated[list[int], Meta(max_length=MAX_HISTORY)] | None = None
    kinds: Annotated[list[Text], Meta(max_length=MAX_HISTORY)] | None = None
    user: Id | None = None


class RecommendRequest(Filtered, kw_only=True):
    """One history as `items`, or many as `histories`."""

    items: History | None = None
    times: Annotated[list[int], Meta(max_length=MAX_HISTORY)] | None = None
    kinds: Annotated[list[Text], Meta(max_length=MAX_HISTORY)] | None = None
    user: Id | None = None
    histories: Annotated[list[HistoryRequest], Meta(min_length=1, max_length=MAX_QUERIES)] | None = None
    exclude_seen: bool = True
    skip_unknown: Annotated[bool, Meta(description="Leave out unknown items of a history.")] = False


class NeighboursRequest(Question, kw_only=True):
    """A history, or the id of a past session, whose nearest past sessions are asked for."""

    items: History | None = None
    session: Id | None = None


class ItemsQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """The query string of GET /v1/items."""

    query: Annotated[str, Meta(min_length=1, max_length=200)]
    k: Annotated[int, Meta(ge=1, le=MAX_K)] = 20
    index: Text | None = None
    model: Text | None = None


class EventRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """An event of a live session; its time is milliseconds since 1970, now if it is missing."""

    item: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | Text
    time: Annotated[int, Meta(ge=-MAX_TIME, le=MAX_TIME)] | None = None
    kind: Annotated[str, Meta(max_length=100)] = ""


class EventsRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Events of a live session, oldest first. Without consent nothing is kept, and what was kept is deleted."""

    events: Annotated[list[EventRequest], Meta(max_length=MAX_QUERIES)]
    user: Id | None = None
    consent: bool = True


class LiveQuery(FilteredQuery, kw_only=True):
    """The query string of GET /v1/sessions/{id}/recommend; where, only and exclude may be repeated."""

    exclude_seen: bool = True


class EventsAnswer(Struct):
    """How many events a live session has; whether they are kept."""

    version: str
    session: str
    events: int
    kept: bool


class DeletedAnswer(Struct):
    """A live session was deleted."""

    version: str
    session: str
    deleted: bool


class ReloadRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Look for new artifacts; with `force`, also serve those that are worse than what is served."""

    force: bool = False


class RollbackRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Serve again what was served before."""


class PastSession(Struct):
    """A past session that explains a result."""

    session: Id
    similarity: float


class Neighbour(Struct, omit_defaults=True):
    """A similar item; `sessions` are training sessions that contain both items, if explained."""

    item: Id
    name: str
    rank: int
    score: float
    sessions: list[PastSession] | None = None


class ItemNeighbours(Struct):
    """The neighbours of an item, best first."""

    item: Id
    name: str
    neighbours: list[Neighbour]


class SimilarAnswer(Struct):
    """The neighbours of each item, in the order of the request."""

    version: str
    results: list[ItemNeighbours]
    messages: list[str]


class NextItem(Struct, omit_defaults=True):
    """A recommended item; if explained, past sessions that contain it, its ranks in the lists of the parts of a
    composite model, and the features that moved its score."""

    item: Id
    name: str
    rank: int
    score: float
    sessions: list[PastSession] | None = None
    parts: dict[str, int] | None = None
    features: dict[str, float] | None = None


class NextItems(Struct):
    """The items recommended for a history, best first."""

    items: list[NextItem]


class RecommendAnswer(Struct):
    """The items recommended for each history, in the order of the request."""

    version: str
    results: list[NextItems]
    messages: list[str]


class NearSession(Struct):
    """A past session near a history; `shared` counts the items of the history that it contains."""

    session: Id
    rank: int
    score: float
    time: str
    shared: int
    items: list[Id]
    names: list[str]


class NeighboursAnswer(Struct):
    """The nearest past sessions, nearest first."""

    version: str
    sessions: list[NearSession]


class FoundItem(Struct):
    """An item with its number of events and its features."""

    item: Id
    name: str
    count: int | None
    features: dict[str, Any]


class ItemsAnswer(Struct):
    """Items that match a text; `nearly` if none contains it, so that these are spelled similarly; `total` matches."""

    version: str
    items: list[FoundItem]
    nearly: bool
    total: int


class ServedArtifact(Struct):
    """An index or a model that is served.

    version   its name and the start of its fingerprint, as answers state it
    answers   what it is asked for: "similar", "recommend", "neighbours"
    default   of these, those that it answers if a request names neither an index nor a model
    options   "popularity" if similar items take an exponent, "map", "explain similar", "explain recommend"
    measured  figures of an index, such as "recall@20"
    """

    kind: str
    name: str
    version: str
    fingerprint: str
    created: str
    recipe: str
    items: int
    answers: list[str]
    default: list[str]
    options: list[str]
    measured: dict[str, Any]


class VersionAnswer(Struct):
    """What is served. `version` changes with any of the artifacts; `previous` was served before the last swap."""

    version: str
    embedrec: str
    served: list[ServedArtifact]
    refused: list[Refusal]
    previous: list[ServedArtifact]


class Refusal(Struct):
    """An artifact that is not served, and why."""

    kind: str
    name: str
    reason: str


class Ready(Struct):
    """The state of the service."""

    status: str
    version: str
    refused: list[Refusal]


class Live(Struct):
    """The process runs."""

    status: str


class NearItem(Struct):
    """An item that may be meant."""

    item: Id
    name: str


class ProblemDetails(Struct, omit_defaults=True):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    near: list[NearItem] | None = None


encode = msgspec.json.Encoder().encode
