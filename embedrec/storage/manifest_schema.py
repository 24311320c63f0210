"""What may stand in a manifest: the types and bounds of everything that some command takes from one.

A manifest whose checksums fit may still have been written by somebody else, by hand or on purpose. Its numbers are
finite and fit into 64 bits, and what an artifact of a kind is about has the types below; keys that are not named here
may hold anything. No key must be there: whoever saves an artifact through the API says what it wants.
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
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Maybe = UnsetType | None
_MOMENT = 40  # characters of a moment, at most


class _Made(msgspec.Struct):
    """What names an artifact that another one was made from."""

    name: str
    fingerprint: str | UnsetType = UNSET
    created: str | UnsetType = UNSET


class _Split(msgspec.Struct):
    rule: str
    settings: dict[str, Any] | UnsetType = UNSET  # a held-out part that was given has none


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


class _Epoch(msgspec.Struct):
    epoch: _Count | UnsetType = UNSET
    loss: float | UnsetType = UNSET
    seconds: _Seconds | UnsetType = UNSET


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
    changes: list[dict[str, Any]] | UnsetType = UNSET
    seconds: _Seconds | UnsetType = UNSET


class _Publication(msgspec.Struct):
    generation: _Count | UnsetType = UNSET
    published: str | UnsetType = UNSET


_KINDS: dict[str, Any] = {"sessions": _Sessions, "model": _Model, "index": _Index, "publication": _Publication}
_MEASURED = ("recall", "query_", "queries_", "bytes", "build_", "tuning_")  # what names of measured numbers begin with


def parse(content: bytes) -> Any:
    """A manifest as JSON values. Raises ValueError where it is no JSON, or holds a number that is not finite."""
    return json.loads(content, parse_constant=_refuse, parse_float=_finite)


def check_about(kind: str, about: dict[str, Any]) -> None:
    """Raises ValueError, which names the key, where what an artifact of a kind is about has a wrong type or bound."""
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
    """Raises ValueError unless it is a moment in UTC as manifests have it: ISO 8601."""
    if len(created) > _MOMENT:
        raise ValueError(f"it was created at a moment of {len(created)} characters")
    if datetime.fromisoformat(created).utcoffset() is None:
        raise ValueError(f"{created!r} has no time zone")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of a manifest")


def _finite(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _refuse(text[:20])


def _check_whole(value: Any) -> None:
    """Raises ValueError for a whole number anywhere in JSON values that does not fit into 64 bits."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_whole(inner)
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"{str(value)[:20]} does not fit into 64 bits")
