"""Conditions on features, such as year>=2000, and the items that satisfy them."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.errors import SettingsError, did_you_mean

_CONDITION = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", re.S)
_COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_SHOWN = 8  # features or values that a message lists


@dataclass(frozen=True)
class Condition:
    """A condition on one feature.

    feature  its name
    sign     "=", "!=", or for numbers and dates "<", "<=", ">", ">="
    values   strings or numbers, as written; "=" needs any of them, "!=" none of them

    "!=" is the negation of "=". An item whose feature is unknown satisfies only "!=". A list satisfies "=" if it
    contains one of the values.
    """

    feature: str
    sign: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Condition:
        """Parse "year>=2000" or "genre=rock|pop". Raises SettingsError for anything else."""
        match = _CONDITION.fullmatch(text)
        values = [] if match is None else [value.strip() for value in match[3].split("|")]
        if match is None or "" in values:
            raise SettingsError(
                "a condition is a feature, one of = != < <= > >= and a value, such as year>=2000 or genre=rock, "
                f"but is {text!r}"
            )
        if match[2] in _COMPARISONS and len(values) > 1:
            raise SettingsError(f"{match[2]} compares with one number, but was given {match[3]!r}")
        return cls(match[1], match[2], tuple(values))

    def __str__(self) -> str:
        return f"{self.feature}{self.sign}{'|'.join(self.values)}"

    def matches(self, features: Features) -> np.ndarray:
        """The rows that satisfy it: a mask (m,) bool.

        Raises SettingsError for an unknown feature, a value that is not a number where one is needed, and a value
        that no item has.
        """
        name = self.feature
        if name in features.numeric:
            return self._match_numbers(features.numeric[name], dates=name in features.dates)
        coded = features.categorical.get(name, features.lists.get(name))
        if coded is None:
            names = [*features.numeric, *features.categorical, *features.lists]
            hint = did_you_mean(name, names) or f"; available are {_list_names(names)}"
            raise SettingsError(f"no feature of items is called {name!r}{hint}")
        if self.sign in _COMPARISONS:
            raise SettingsError(f"{name} contains text, which {self.sign} cannot compare; use = or !=")
        return self._match_categories(coded)

    def _match_numbers(self, column: np.ndarray, *, dates: bool) -> np.ndarray:
        try:
            parse = _parse_days if dates else float
            values = np.array([parse(value) for value in self.values]).astype(column.dtype)
        except ValueError:
            type_name = "dates, such as 2024-05-31" if dates else "numbers"
            raise SettingsError(
                f"{self.feature} contains {type_name}, but is compared with {'|'.join(self.values)!r}"
            ) from None
        mask: np.ndarray
        if self.sign in _COMPARISONS:
            mask = _COMPARISONS[self.sign](column, values[0])  # false for NaN
            return mask
        mask = np.isin(column, values)
        return mask if self.sign == "=" else ~mask

    def _match_categories(self, coded: Categories | Lists) -> np.ndarray:
        names = coded.names.tolist()
        for value in self.values:
            if value not in names:
                same = next((name for name in names if name.casefold() == value.casefold()), value)
                hint = did_you_mean(same, names) or f"; available are {_list_names(names)}"
                raise SettingsError(f"no item has {value!r} in {self.feature!r}{hint}")
        selected = np.append(np.isin(coded.names, np.array(self.values, dtype=object)), False)  # the last for code −1
        mask = selected[coded.codes]
        if isinstance(coded, Lists):
            row = np.repeat(np.arange(len(coded)), np.diff(coded.offsets))  # of each code
            mask = np.bincount(row[mask], minlength=len(coded)) > 0
        return mask if self.sign == "=" else ~mask


def match_all(conditions: Iterable[Condition], features: Features) -> np.ndarray:
    """The rows that satisfy all conditions: a mask (m,) bool. Raises as `Condition.matches` does."""
    mask = np.ones(len(features), dtype=bool)
    for condition in conditions:
        mask &= condition.matches(features)
    return mask


def _parse_days(text: str) -> float:
    """Days since 1970 of a date in ISO 8601, in UTC unless it has a time zone; the first day of a year or month.

    Any other number is a number of days.
    """
    if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", text):
        text = f"{text}-01-01" if len(text) == 4 else f"{text}-01"
    elif re.fullmatch(r"[-+]?[0-9.]+", text):
        return float(text)
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1)


def _list_names(names: list[str]) -> str:
    return (", ".join(names[:_SHOWN]) or "none") + (" …" if len(names) > _SHOWN else "")
