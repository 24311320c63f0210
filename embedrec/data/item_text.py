"""What is known of items, as words for people: all of it, or what tells some of them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.vocab import Vocab

_SHOWN = 3  # features that tell items apart, and words of a list


def known_of(features: Features, vocab: Vocab, rows: np.ndarray) -> list[dict[str, Any]]:
    """Of items, by their rows (m,) in a vocabulary, the features that are known: texts, numbers, lists of texts."""
    places = features.vocab.rows_of(vocab.ids[rows])
    columns: dict[str, Categories | Lists | np.ndarray]
    columns = {**features.categorical, **features.lists, **features.numeric}
    described: list[dict[str, Any]] = []
    for place in places.tolist():
        known: dict[str, Any] = {}
        if place >= 0:
            values = ((name, _value(column, place, name in features.dates)) for name, column in columns.items())
            known = {name: value for name, value in values if value not in (None, [])}
        described.append(known)
    return described


def as_text(known: dict[str, Any], *, only: Sequence[str] | None = None) -> str:
    """Features in one line: "artist=Queen, year=1975"."""
    return ", ".join(f"{name}={_word(value)}" for name, value in known.items() if only is None or name in only)


def apart(features: Features, vocab: Vocab, rows: np.ndarray) -> list[str]:
    """What tells these items apart: up to three features in which they differ, as text."""
    known = known_of(features, vocab, rows)
    names = dict.fromkeys(name for one in known for name in one)
    differing = [name for name in names if len({_word(one.get(name, "")) for one in known}) > 1][:_SHOWN]
    return [as_text(one, only=differing) for one in known]


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


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(value[:_SHOWN]) + ("|…" if len(value) > _SHOWN else "")
    return f"{value:g}" if isinstance(value, float) else str(value)
