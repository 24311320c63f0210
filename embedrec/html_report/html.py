"""HTML from Python: every text is escaped on insertion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isnan
from typing import Any

from embedrec.text import visible


class Safe(str):
    """HTML that is inserted unescaped; all other texts are escaped."""

    __slots__ = ()


def element(tag: str, *inside: Any, **attributes: Any) -> Safe:
    """<tag …>inside</tag>. Attribute names have "_" for "-", and a trailing "_" if they are Python keywords."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Safe(f"<{tag}{written}>" + ("" if tag in _EMPTY else f"{join(inside)}</{tag}>"))


_EMPTY = ("meta", "input")


def join(parts: Iterable[Any]) -> Safe:
    """Concatenate parts, escaped unless they are Safe; None is omitted."""
    return Safe("".join(p if isinstance(p, Safe) else escape(_text(p)) for p in parts if p is not None))


def table(rows: Sequence[Mapping[str, Any]], *, shade: Iterable[str] = ()) -> Safe:
    """A table of rows with the same columns; numbers are right-aligned, and shaded by size in `shade` columns."""
    if not rows:
        return Safe("")
    heads = list(rows[0])
    shaded = {name: _largest(rows, name) for name in shade}
    head = element("tr", *(element("th", name, class_=_side(rows, name)) for name in heads))
    lines = []
    for row in rows:
        cells = []
        for name in heads:
            value, style = row.get(name), None
            if shaded.get(name) and isinstance(value, int | float):
                style = f"--share:{max(0.0, value / shaded[name]):.3f}"
            kind = _side(rows, name)
            cells.append(element("td", figure(value), class_=f"{kind} heat" if style else kind, style=style))
        lines.append(element("tr", *cells))
    whole = element("table", element("thead", head), element("tbody", *lines))
    return element("div", whole, class_="wide", tabindex="0")


def card(name: str, *inside: Any) -> Safe:
    """A frame with a heading."""
    return element("div", element("h3", name), *inside, class_="card")


def figure(value: Any) -> str:
    """A formatted value: four decimals for shares, thousands separators, "–" for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if isnan(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return str(value)


def _side(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    text = any(isinstance(row.get(name), str) for row in rows)
    return "text" if text else "number"


def _largest(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return max((row[name] for row in rows if isinstance(row.get(name), int | float)), default=0)


def _text(value: Any) -> str:
    """A text without surrogates and characters that HTML forbids; invisible characters such as direction overrides,
    which would reverse the text after them, are escaped."""
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return visible("".join(c if c >= " " or c in "\t\n" else "\ufffd" for c in text))
