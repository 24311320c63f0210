"""The schema of manifests: types and bounds of all values that commands read from them.

A manifest with valid checksums may still come from an untrusted source. Its numbers are finite and fit into 64 bits,
and the description of an artifact has the types below. Keys that are not listed may hold anything, and no key is
required, because users of the API choose what they save.
"""

from __future__ import annotations

import json
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Seed = Annotated[int, msgspec.Meta(ge=0)]
_Small = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]  # what FAISS takes as an int
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Space = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]  # the fingerprint of the model that started it
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Maybe = UnsetType | None
_LONGEST_TIME = 40  # characters of a time stamp


class _Made(msgspec.Struct):
    """The name of an artifact's source."""

    name: str
    fingerprint: str | UnsetType = UNSET
    created: str | UnsetType = UNSET


class _Split(msgspec.Struct):
    rule: str
    settings: dict[str, Any] | UnsetType = UNSET  # a held-out part that was given has none


class _ReadState(msgspec.Struct):
    plan: dict[str, Any]
    times: dict[str, Any]
    even: _Small
    parted: bool
    blank_users: bool
    keep_users: bool
    first_names: bool
    whole: bool


class _Segment(msgspec.Struct):
    part: Annotated[str, msgspec.Meta(pattern="^log[0-9]{1,6}_$")]
    events: _Count
    paths: list[str]
    bad_rows: dict[str, _Count]
    state: _ReadState
    keep_days: Annotated[float, msgspec.Meta(gt=0)] | None


class _Log(msgspec.Struct):
    events: _Count
    state: _ReadState
    on_bad_row: Literal["fail", "skip"]
    memory: _Count | None
    segments: list[_Segment] | UnsetType = UNSET


class _Sessions(msgspec.Struct):
    sessions: _Count | UnsetType = UNSET
    items: _Count | UnsetType = UNSET
    events: _Count | UnsetType = UNSET
    test_sessions: _Count | UnsetType = UNSET
    test_events: _Count | UnsetType = UNSET
    seconds: _Seconds | UnsetType = UNSET
    source: str | _Maybe = UNSET
    paths: list[str] | UnsetType = UNSET
    removed: list[dict[str, Any]] | UnsetType = UNSET
    split: _Split | UnsetType = UNSET
    of: _Made | _Maybe = UNSET
    log: _Log | UnsetType = UNSET
    joined: str | UnsetType = UNSET


class _Epoch(msgspec.Struct):
    epoch: _Count | UnsetType = UNSET
    loss: float | UnsetType = UNSET
    seconds: _Seconds | UnsetType = UNSET


class _Part(msgspec.Struct):
    name: str
    fingerprint: str


class _Model(msgspec.Struct):
    recipe: str | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    items: _Count | UnsetType = UNSET
    arrays: list[str] | UnsetType = UNSET
    seed: _Seed | _Maybe = UNSET
    threads: _Count | UnsetType = UNSET
    seconds: _Seconds | UnsetType = UNSET
    epochs: list[_Epoch] | UnsetType = UNSET
    trained_on: _Made | _Maybe = UNSET
    continued_from: _Made | _Maybe = UNSET
    first_settings: dict[str, Any] | UnsetType = UNSET
    parts: dict[str, _Part] | UnsetType = UNSET
    maps: list[_Space] | UnsetType = UNSET
    aligned: float | UnsetType = UNSET
    space: _Space | UnsetType = UNSET


class _Promise(msgspec.Struct, forbid_unknown_fields=True):
    recall: Annotated[float, msgspec.Meta(gt=0, le=1)]
    k: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    p95_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    ram: _Count | None = None


class _Facts(msgspec.Struct):
    promise: _Promise | UnsetType = UNSET
    points: list[dict[str, Any]] | UnsetType = UNSET


class _Index(msgspec.Struct):
    spec: str | UnsetType = UNSET
    metric: Literal["cosine", "dot", "l2"] | UnsetType = UNSET
    items: _Count | UnsetType = UNSET
    dim: _Count | UnsetType = UNSET
    augmented: bool | UnsetType = UNSET
    longest: Annotated[float, msgspec.Meta(ge=0)] | UnsetType = UNSET
    nprobe: _Small | UnsetType = UNSET
    ef_search: _Small | UnsetType = UNSET
    rerank: _Small | UnsetType = UNSET
    facts: _Facts | UnsetType = UNSET
    seed: _Seed | _Maybe = UNSET
    type: str | UnsetType = UNSET
    of: Literal["items", "answers", "sessions"] | UnsetType = UNSET
    indexed: _Made | _Maybe = UNSET
    trained_on: _Made | _Maybe = UNSET
    sessions: _Made | _Maybe = UNSET
    model_settings: dict[str, Any] | _Maybe = UNSET
    weights: dict[str, Any] | UnsetType = UNSET
    popularity: _Share | _Maybe = UNSET
    aligned: float | UnsetType = UNSET
    space: _Space | UnsetType = UNSET
    changes: list[dict[str, Any]] | UnsetType = UNSET
    seconds: _Seconds | UnsetType = UNSET


class _Publication(msgspec.Struct):
    generation: _Count | UnsetType = UNSET
    published: str | UnsetType = UNSET


_KINDS: dict[str, Any] = {"sessions": _Sessions, "model": _Model, "index": _Index, "publication": _Publication}
_MEASURED = ("recall", "query_", "queries_", "bytes", "build_", "tuning_")  # prefixes of the names of measurements


def parse(content: bytes) -> Any:
    """A manifest as JSON values. Raises ValueError if it is not JSON or holds a number that is not finite."""
    return json.loads(content, parse_constant=_refuse, parse_float=_finite)


def check_about(kind: str, about: dict[str, Any]) -> None:
    """Raises ValueError, with the key, if a value of a description has a wrong type or is out of bounds."""
    _check_whole(about)
    schema = _KINDS.get(kind)
    if schema is None:
        return
    msgspec.convert(about, schema)
    for name, value in about.get("facts", {}).items() if kind == "index" else ():
        measured = isinstance(value, int | float) and not isinstance(value, bool)
        if name.startswith(_MEASURED) and not measured:
            raise ValueError(f"Expected a number, got {type(value).__name__} - at `$.facts.{name}`")


def check_created(created: str) -> None:
    """Raises ValueError unless it is a time stamp in ISO 8601 with a time zone."""
    if len(created) > _LONGEST_TIME:
        raise ValueError(f"the time stamp has {len(created)} characters")
    if datetime.fromisoformat(created).utcoffset() is None:
        raise ValueError(f"{created!r} has no time zone")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a valid number")


def _finite(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _refuse(text[:20])


def _check_whole(value: Any) -> None:
    """Raises ValueError for an integer in JSON values that does not fit into 64 bits."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_whole(inner)
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"{str(value)[:20]} does not fit into 64 bits")
