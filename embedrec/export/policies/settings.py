"""The registry of policies: the fields of `Policies`, in the order of application, are the only list of them.

The options of `embedrec export`, the checks of values, the chain and README's table come from them. A new policy is one
class with `create(value, context) -> Policy` and one field here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from embedrec.config import Entry, Settings, check_bounds
from embedrec.errors import SettingsError

_ALL = ("items", "sessions", "recommendations")


@dataclass(frozen=True)
class PolicyEntry(Entry):
    """A policy.

    metavar  what its option takes; "" for a flag
    bounds   lowest and highest value
    exports  the kinds of exports that can have it
    option   its option, if that is not the field's name
    """

    metavar: str = ""
    bounds: tuple[float, float] | None = None
    exports: tuple[str, ...] = ("items",)
    option: str = ""


def _policy(default: Any, path: str, summary: str, **entry: Any) -> Any:
    """A field of `Policies` with its entry."""
    entry = {"path": f"embedrec.export.policies.{path}", "summary": summary, **entry}
    return field(default=default, metadata={"entry": PolicyEntry(**entry)})


@dataclass(frozen=True)
class Policies(Settings):
    """The policies of an export; None, False or empty turns one off.

    min_score     see `MinScore`
    min_evidence  see `MinEvidence`
    mutual        see `Mutual`
    csls          neighbours over which scores are averaged, see `Csls`
    discount      exponent, see `Discount`
    caps          attribute → maximum results, see `Cap`
    mmr           weight of diversity, see `Diversity`
    back_off      see `BackOff`

    Raises SettingsError for values out of range.
    """

    min_score: float | None = _policy(
        None, "thresholds:MinScore", "Drop results with a lower score.", metavar="X", exports=_ALL
    )
    min_evidence: int | None = _policy(
        None,
        "thresholds:MinEvidence",
        "Drop results that share fewer training sessions with the seed.",
        metavar="N",
        bounds=(1, 2**31),
    )
    mutual: bool = _policy(
        False,
        "thresholds:Mutual",
        "Keep a result only if the seed is among its own candidates.",
        exports=("items", "sessions"),
    )
    csls: int | None = _policy(
        None,
        "rerank:Csls",
        "Down-weight hubs: 2·score minus the mean scores of both ends' N nearest (CSLS).",
        metavar="N",
        bounds=(1, 2**31),
        exports=("items", "sessions"),
    )
    discount: float | None = _policy(
        None,
        "rerank:Discount",
        "Down-weight popular items: divide scores by (1 + count) ** X.",
        metavar="X",
        bounds=(0, 10),
        exports=("items", "recommendations"),
    )
    caps: Mapping[str, int] | None = _policy(
        None,
        "thresholds:Caps",
        "At most N results with the same value, as in artist=2; may be given repeatedly.",
        metavar="ATTRIBUTE=N",
        exports=("items", "recommendations"),
        option="--cap",
    )
    mmr: float | None = _policy(
        None,
        "rerank:Diversity",
        "Weight of diversity in a list, 0 to 1 (maximal marginal relevance).",
        metavar="X",
        bounds=(0, 1),
        exports=("items", "recommendations"),
    )
    back_off: bool = _policy(
        False,
        "backfill:BackOff",
        "Fill short lists from the seed's sessions, then with popular items.",
        exports=("items", "recommendations"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {name: entry.bounds for name, entry in POLICIES.items() if entry.bounds is not None})
        for attribute, most in (self.caps or {}).items():
            if most < 1:
                raise SettingsError(f"a cap must be at least 1; it is {most} for {attribute!r}")
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise SettingsError(f"min_score must be a finite number; it is {self.min_score}")

    def enabled(self) -> dict[str, Any]:
        """The policies that are on, with their settings, in the order of application."""
        values = {name: getattr(self, name) for name in POLICIES}
        return {name: value for name, value in values.items() if not (value is None or value is False or value == {})}

    def check(self, of: str) -> None:
        """Raises SettingsError for policies that an export of "items", "sessions" or "recommendations" cannot have."""
        for name in self.enabled():
            if of not in POLICIES[name].exports:
                raise SettingsError(f"{option_of(name)} cannot be used with --of {of}; leave it out")

    def describe(self) -> str:
        """One line: "min-score 0.5, cap artist=2, back-off"."""
        words = []
        for name, value in self.enabled().items():
            option = option_of(name).removeprefix("--")
            if isinstance(value, Mapping):
                words += [f"{option} {attribute}={most}" for attribute, most in value.items()]
            else:
                words.append(option + ("" if value is True else f" {value:g}"))
        return ", ".join(words)


POLICIES: dict[str, PolicyEntry] = {f.name: f.metadata["entry"] for f in fields(Policies)}


def option_of(name: str) -> str:
    """The option of a policy: "--min-score" for "min_score"."""
    return POLICIES[name].option or f"--{name.replace('_', '-')}"
