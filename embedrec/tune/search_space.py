"""The search space of settings: ranges and choices, parsed from texts.

    "16..256"        a number from 16 to 256, whole for a whole-number setting
    "1e-4..0.1 log"  a number, uniform in the logarithm
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
    """From `low` to `high`, inclusive; whole numbers if they are int; uniform in the logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)


@dataclass(frozen=True)
class Choices:
    """One of the values."""

    values: tuple[Any, ...]


Space = dict[str, Range | Choices]


def space_of(cls: type[Any], texts: Mapping[str, str]) -> Space:
    """The space of a recipe's settings from texts.

    Raises SettingsError for an unknown setting, an invalid text, and values that the recipe rejects.
    """
    valid = [f.name for f in fields(cls)]
    for key in texts:
        if key not in valid:
            hint = did_you_mean(key, valid) or f"; valid are {', '.join(valid)}"
            raise SettingsError(f"unknown setting {key!r} in the space of {cls.name}{hint}")
    hints = get_type_hints(cls)
    return {key: _parse(cls, key, text.strip(), hints[key]) for key, text in texts.items()}


def space_beside(cls: type[Any], texts: Mapping[str, str], fixed: Mapping[str, Any]) -> Space:
    """The space of the texts, or without any that which the recipe declares, of the settings that are not fixed.

    Raises SettingsError for a setting in both, and as `space_of` and `own_space` do.
    """
    both = next((key for key in texts if key in fixed), None)
    if both is not None:
        raise SettingsError(f"{both!r} is in both --space and --set; leave out one of them")
    return space_of(cls, texts or {key: text for key, text in own_space(cls).items() if key not in fixed})


def own_space(cls: type[Any]) -> dict[str, str]:
    """The texts that a recipe declares. Raises SettingsError if it declares none."""
    declared: dict[str, str] = getattr(cls, "SPACE", {})
    if not declared:
        raise SettingsError(f"{cls.name} declares no search space; pass one, such as --space KEY=1..100")
    return dict(declared)


def _parse(cls: type[Any], key: str, text: str, kind: Any) -> Range | Choices:
    match = _RANGE.fullmatch(text)
    if match is None:
        if not text or ".." in text:
            raise SettingsError(f"the space of {key} must look like 1..100, 1e-4..0.1 log, or a,b,c, but is {text!r}")
        values = [value.strip() for value in text.split(",")]
        return Choices(tuple(getattr(build(cls, {key: value}, source="the space"), key) for value in values))
    kinds = {kind, *get_args(kind)}
    low, high = float(match[1]), float(match[2])
    if not low < high or (match[3] and low <= 0):
        above = " from above 0" if match[3] else ""
        raise SettingsError(f"the space of {key} must increase{above}, but is {text!r}")
    if float not in kinds and int not in kinds:
        raise SettingsError(f"{key} is not a number, so its space must be a list such as a,b,c, but is {text!r}")
    if float in kinds:
        return Range(low, high, bool(match[3]))
    if low != int(low) or high != int(high):
        raise SettingsError(f"{key} is a whole number, so both ends of its space must be, but it is {text!r}")
    return Range(int(low), int(high), bool(match[3]))
