"""Requests and answers of the routes for exploring."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from embedrec.serving.explore.map_groups import Cluster
from embedrec.serving.schemas import MAX_K, Conditions, Id, Neighbour, Popularity, QueryIds, Question, Text

MAX_ITEMS = 1000  # items in one request

Rows = Annotated[list[Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]], Meta(max_length=MAX_ITEMS)]

Candidates = Annotated[int, Meta(ge=1, le=MAX_K, description="Results that policies select from; 3 k by default.")]
Caps = Annotated[list[Text], Meta(max_length=10, description="ATTRIBUTE=N, such as artist=2.")]


class ItemsRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Items by id, or by their row in the index or model, as in the points of the map."""

    items: Annotated[list[Id], Meta(max_length=MAX_ITEMS)] | None = None
    rows: Rows | None = None
    index: Text | None = None
    model: Text | None = None


class KnownItem(Struct):
    """An item with its row, its number of events and its features."""

    item: Id
    name: str
    row: int
    count: int | None
    features: dict[str, Any]


class KnownItems(Struct):
    """Items in the order of the request; null for an unknown one."""

    version: str
    items: list[KnownItem | None]


class PolicyQuery(Question, kw_only=True):
    """The query string of GET /v1/policies: an item, policies of `embedrec export`; lists may be repeated."""

    item: Text

    candidates: Annotated[int, Meta(ge=1, le=MAX_K, description="Results that policies select from; 3 k.")] | None = (
        None
    )
    where: Conditions = field(default_factory=list)
    only: QueryIds | None = None
    exclude: QueryIds | None = None
    popularity: Popularity | None = None
    min_score: float | None = None
    min_evidence: int | None = None
    mutual: bool = False
    csls: int | None = None
    discount: float | None = None
    cap: Caps = field(default_factory=list)
    mmr: float | None = None
    back_off: bool = False


class PolicyStep(Struct):
    """A list after a policy; the first step, whose policy is "", is the list of candidates before any."""

    policy: str
    neighbours: list[Neighbour]


class PolicyAnswer(Struct):
    """The neighbours of an item before and after each policy, in the order of application."""

    version: str
    item: Id
    name: str
    steps: list[PolicyStep]
    messages: list[str]


class PastSessionQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """The query string of GET /v1/past-sessions."""

    session: Text
    index: Text | None = None
    model: Text | None = None


class PastSessionAnswer(Struct):
    """A training session of an index or model: its items and their names, in order, and the time of its last event."""

    version: str
    session: Id
    time: str
    items: list[Id]
    names: list[str]


class MapQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """The query string of GET /v1/map: the index or model whose items are placed; by default the first with vectors."""

    index: Text | None = None
    model: Text | None = None


class ColoursQuery(MapQuery, kw_only=True):
    """The query string of GET /v1/map/colours."""

    feature: Text


class ArrayOf(Struct):
    """An array of a binary answer: its type as NumPy writes it ("<f4", "u1") and its shape."""

    name: str
    type: str
    shape: list[int]


class Label(Struct):
    """The most frequent item near a place of the map."""

    text: str
    x: float
    y: float
    row: int


class MapHead(Struct):
    """The head of GET /v1/map. Positions are between −1 and 1; popularity is between 0 and 1, logarithmic."""

    version: str
    items: int
    method: str
    arrays: list[ArrayOf]
    clusters: list[Cluster]
    labels: list[Label]
    features: list[str]


class ColoursHead(Struct):
    """The head of GET /v1/map/colours: the names of the groups; the group 255 is that of items without one."""

    version: str
    feature: str
    groups: list[str]
    ordered: bool
    arrays: list[ArrayOf]


class DriftQuery(Struct, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}):
    """The query string of GET /v1/drift: two indexes or models by name or version, as answers state it.

    What was served before the last swap can be named, too, by its version.
    """

    from_: Text
    to: Text
    k: Annotated[int, Meta(ge=1, le=100, description="Neighbours that are compared; 10 by default.")] | None = None
    most: Annotated[int, Meta(ge=1, le=200, description="Changed items that are named; 20 by default.")] | None = None


class NamedItem(Struct):
    """An item and its name."""

    item: Id
    name: str


class MovedItem(Struct):
    """An item whose neighbours changed: the share of those that stayed, rank-biased overlap, and what was exchanged."""

    item: Id
    name: str
    overlap: float
    rank_biased_overlap: float
    lost: list[NamedItem]
    gained: list[NamedItem]


class ItemSet(Struct):
    """A number of items, and the first of them."""

    count: int
    items: list[NamedItem]


class DriftAnswer(Struct, rename={"from_": "from", "version": "to"}):
    """What changed between two versions.

    compared      items of both whose k neighbours are compared
    unchanged     of these, the items with the same neighbours in the same order
    distribution  the number of items that keep 0, 1, … k neighbours
    moved         the items that keep fewest
    figures       all numbers of `embedrec drift` by name; a pair holds those of both versions
    """

    from_: str
    version: str
    k: int
    compared: int
    unchanged: int
    overlap: float
    rank_biased_overlap: float
    distribution: list[int]
    moved: list[MovedItem]
    came: ItemSet
    went: ItemSet
    messages: list[str]
    figures: dict[str, float | tuple[float, float]]
