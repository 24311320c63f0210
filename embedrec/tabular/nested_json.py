"""Columns in nested JSON: `a.b` is a key of an object, `events[].aid` a key of each object of a list (one row each)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedrec.errors import DataError

EACH = "[]."


def paths(row: Mapping[str, Any], before: str = "", *, lists: bool = True) -> Iterator[str]:
    """The columns of an object: its keys, then those of nested objects."""
    yield from (f"{before}{key}" for key in row)
    for key, value in row.items():
        if isinstance(value, dict):
            yield from paths(value, f"{before}{key}.", lists=lists)
        elif lists and isinstance(value, list) and value and isinstance(value[0], dict):
            yield from paths(value[0], f"{before}{key}{EACH}", lists=False)


def list_of(columns: Sequence[str]) -> str:
    """The list whose objects are the rows, "" if each object is a row. Raises DataError for two lists."""
    lists = {column.partition(EACH)[0] for column in columns if EACH in column}
    if len(lists) > 1:
        raise DataError(f"the columns {', '.join(columns)} belong to several lists; name the columns of one")
    return next(iter(lists), "")


def flatten(row: Mapping[str, Any], columns: Sequence[str], each: str) -> list[dict[str, Any]] | None:
    """The rows of an object, with only these columns; None if `each` is not a list of objects."""
    whole = {column: _value(row, column) for column in columns if EACH not in column}
    if not each:
        return [whole]
    objects = _value(row, each)
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        return None
    inside = {column: column.partition(EACH)[2] for column in columns if EACH in column}
    return [{**whole, **{column: _value(one, path) for column, path in inside.items()}} for one in objects]


def _value(row: Mapping[str, Any], path: str) -> Any:
    """The value at a path, or at a key with that whole name; None if there is none."""
    if path in row:
        return row[path]
    key, dot, rest = path.partition(".")
    inside = row.get(key) if dot else None
    return _value(inside, rest) if isinstance(inside, dict) else None
