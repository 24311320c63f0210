"""Where settings are looked for: ranges and choices, as texts.

    "16..256"        a number from 16 to 256, whole where the setting is
    "1e-4..0.1 log"  the same, even in the logarithm
    "div,linear,log" one of these
    "true,false"     one of these

A recipe may declare `SPACE`, setting → text, beside its fields; the command's `--space` takes the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

from embedrec.config import build
from embedrec.errors import SettingsError, did_you_mean

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(\s+log)?")


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; whole numbers where they are int; even in the logarithm where `log`."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: tuple[Any, ...]


Space = dict[str, Range | Choices]


def space_of(cls: type[Any], texts: Mapping[str, str]) -> Space:
    """The space of a recipe's settings from texts.

    Raises SettingsError for an unknown setting, a text that is neither, and values that the recipe does not take.
    """
    valid = [f.name for f in fields(cls)]
    for key in texts:
        if key not in valid:
            hint = did_you_mean(key, valid) or f"; valid are {', '.join(valid)}"
            raise SettingsError(f"unknown setting {key!r} in the space of {cls.name}{hint}")
    hints = get_type_hints(cls)
    return {key: _parsed(cls, key, text.strip(), hints[key]) for key, text in texts.items()}


def own_space(cls: type[Any]) -> dict[str, str]:
    """The texts that a recipe declares. Raises SettingsError for one that declares none."""
    declared: dict[str, str] = getattr(cls, "SPACE", {})
    if not declared:
        raise SettingsError(f"{cls.name} declares no space of settings; name some, as in --space KEY=1..100")
    return dict(declared)


def _parsed(cls: type[Any], key: str, text: str, kind: Any) -> Range | Choices:
    found = _RANGE.fullmatch(text)
    if found is None:
        if not text or ".." in text:
            raise SettingsError(f"the space of {key} must be as 1..100, as 1e-4..0.1 log, or as a,b,c, but is {text!r}")
        values = [value.strip() for value in text.split(",")]
        return Choices(tuple(getattr(build(cls, {key: value}, given="the space"), key) for value in values))
    kinds = {kind, *get_args(kind)}
    low, high = float(found[1]), float(found[2])
    if not low < high or (found[3] and low <= 0):
        above = " from above 0" if found[3] else ""
        raise SettingsError(f"the space of {key} must go up{above}, but is {text!r}")
    if float not in kinds and int not in kinds:
        raise SettingsError(f"{key} is no number, so its space is a list of choices, as a,b,c; but given was {text!r}")
    if float in kinds:
        return Range(low, high, bool(found[3]))
    if low != int(low) or high != int(high):
        raise SettingsError(f"{key} is a whole number, and so are the ends of its space; but given was {text!r}")
    return Range(int(low), int(high), bool(found[3]))
