"""Item features as text: all features of an item, or those in which some items differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.vocab import Vocab

_SHOWN = 3  # features in which items differ, and values of a list


def known_features(features: Features, vocab: Vocab, rows: np.ndarray) -> list[dict[str, Any]]:
    """The features of items, given by rows (m,) of a vocabulary, without missing ones: strings, numbers, lists."""
    columns: dict[str, Categories | Lists | np.ndarray]
    columns = {**features.categorical, **features.lists, **features.numeric}
    result: list[dict[str, Any]] = []
    for row in features.vocab.rows_of(vocab.ids[rows]).tolist():
        known: dict[str, Any] = {}
        if row >= 0:
            values = ((name, _value(column, row, name in features.dates)) for name, column in columns.items())
            known = {name: value for name, value in values if value not in (None, [])}
        result.append(known)
    return result


def format_features(known: dict[str, Any], *, only: Sequence[str] | None = None) -> str:
    """Features in one line: "artist=Queen, year=1975"."""
    return ", ".join(f"{name}={_format(value)}" for name, value in known.items() if only is None or name in only)


def feature_differences(features: Features, vocab: Vocab, rows: np.ndarray) -> list[str]:
    """Up to three features in which these items differ, as text, one string an item."""
    known = known_features(features, vocab, rows)
    names = dict.fromkeys(name for one in known for name in one)
    differing = [name for name in names if len({_format(one.get(name, "")) for one in known}) > 1][:_SHOWN]
    return [format_features(one, only=differing) for one in known]


def _value(column: Categories | Lists | np.ndarray, row: int, date: bool) -> Any:
    if isinstance(column, Categories):
        code = int(column.codes[row])
        return str(column.names[code]) if code >= 0 else None
    if isinstance(column, Lists):
        return [str(column.names[code]) for code in column[row].tolist()]
    value = column[row].item()
    if np.isnan(value):
        return None
    if date:
        return str(np.datetime64(0, "D") + np.timedelta64(round(value), "D"))
    return int(value) if float(value).is_integer() else value


def _format(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(value[:_SHOWN]) + ("|…" if len(value) > _SHOWN else "")
    return f"{value:g}" if isinstance(value, float) else str(value)
