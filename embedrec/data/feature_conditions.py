"""Conditions on features: which items are known to be what is asked for."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.errors import SettingsError, did_you_mean

_FORM = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", re.S)
_ORDER = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_SHOWN = 8  # features, or values, that a message names


@dataclass(frozen=True)
class Condition:
    """What is asked of a feature.

    feature  its name
    sign     "=", "!=", or for numbers and dates "<", "<=", ">", ">="
    values   texts or numbers, as they were written; several mean any of them, and with "!=" none of them

    Where nothing is known of an item, it fulfils no condition but "!=", which is the opposite of "=". A list fulfils
    "=" where it holds one of the values.
    """

    feature: str
    sign: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Condition:
        """From "year>=2000" or "genre=rock|pop". Raises SettingsError for another text."""
        match = _FORM.fullmatch(text)
        values = [] if match is None else [value.strip() for value in match[3].split("|")]
        if match is None or "" in values:
            raise SettingsError(
                "a condition is a feature, one of = != < <= > >= and a value, such as year>=2000 or genre=rock, "
                f"but is {text!r}"
            )
        if match[2] in _ORDER and len(values) > 1:
            raise SettingsError(f"{match[2]} compares with one number, but was given {match[3]!r}")
        return cls(match[1], match[2], tuple(values))

    def __str__(self) -> str:
        return f"{self.feature}{self.sign}{'|'.join(self.values)}"

    def met(self, features: Features) -> np.ndarray:
        """Which rows fulfil it: (m,) bool.

        Raises SettingsError for a feature that is not there, a text where a number must stand, and a text that no item
        has.
        """
        name = self.feature
        if name in features.numeric:
            return self._numbers(features.numeric[name], dates=name in features.dates)
        coded = features.categorical.get(name, features.lists.get(name))
        if coded is None:
            names = [*features.numeric, *features.categorical, *features.lists]
            hint = did_you_mean(name, names) or f"; there are {_some(names)}"
            raise SettingsError(f"no feature of items is called {name!r}{hint}")
        if self.sign in _ORDER:
            raise SettingsError(f"{name} holds texts, which {self.sign} does not order; use = or !=")
        return self._texts(coded)

    def _numbers(self, column: np.ndarray, *, dates: bool) -> np.ndarray:
        try:
            read = _days if dates else float
            values = np.array([read(value) for value in self.values]).astype(column.dtype)
        except ValueError:
            held = "dates, such as 2024-05-31" if dates else "numbers"
            raise SettingsError(
                f"{self.feature} holds {held}, but is compared with {'|'.join(self.values)!r}"
            ) from None
        met: np.ndarray
        if self.sign in _ORDER:
            met = _ORDER[self.sign](column, values[0])  # false where it is not known
            return met
        met = np.isin(column, values)
        return met if self.sign == "=" else ~met

    def _texts(self, coded: Categories | Lists) -> np.ndarray:
        names = coded.names.tolist()
        for value in self.values:
            if value not in names:
                same = next((name for name in names if name.casefold() == value.casefold()), value)
                hint = did_you_mean(same, names) or f"; there are {_some(names)}"
                raise SettingsError(f"no item has {value!r} in {self.feature!r}{hint}")
        wanted = np.append(np.isin(coded.names, np.array(self.values, dtype=object)), False)  # the last for code −1
        met = wanted[coded.codes]
        if isinstance(coded, Lists):
            met = np.bincount(np.repeat(np.arange(len(coded)), np.diff(coded.offsets))[met], minlength=len(coded)) > 0
        return met if self.sign == "=" else ~met


def all_met(conditions: Iterable[Condition], features: Features) -> np.ndarray:
    """Which rows fulfil all conditions: (m,) bool. Raises as `Condition.met` does."""
    met = np.ones(len(features), dtype=bool)
    for condition in conditions:
        met &= condition.met(features)
    return met


def _days(text: str) -> float:
    """Days since 1970 of a date in ISO 8601, UTC where no zone is given; of a year or month its first day.

    Other numbers are days already.
    """
    if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", text):
        text = f"{text}-01-01" if len(text) == 4 else f"{text}-01"
    elif re.fullmatch(r"[-+]?[0-9.]+", text):
        return float(text)
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1)


def _some(names: list[str]) -> str:
    return (", ".join(names[:_SHOWN]) or "none") + (" …" if len(names) > _SHOWN else "")
