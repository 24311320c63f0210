"""Figures of a comparison: a number, or a pair of an old and a new one; as JSON, and as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_DIGITS = 4


def rounded(value: Any) -> Any:
    """A figure for JSON: floats of four decimals, a pair as a list."""
    if isinstance(value, tuple):
        return [rounded(part) for part in value]
    return round(value, _DIGITS) if isinstance(value, float) else value


def rounded_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures for JSON."""
    return {name: rounded(value) for name, value in figures.items()}


def figure_rows(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    """Rows of a table: figure, its old and its new value, or one value for both."""
    rows = []
    for name, value in figures.items():
        old, new = value if isinstance(value, tuple | list) else (value, None)
        rows.append({"figure": name, "old": _cell(old), "new": _cell(new)})
    return rows


def changed_rows(worst: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table of changed lists, see `embedrec.export.diff.Difference.worst`."""
    return [{**row, "lost": " ".join(row["lost"]), "gained": " ".join(row["gained"])} for row in worst]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
