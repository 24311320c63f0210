"""HTML from Python: every text is escaped where it goes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isnan
from typing import Any

from embedrec.text.control_characters import visible


class Safe(str):
    """HTML that is as it should be; any other text is escaped."""

    __slots__ = ()


def element(tag: str, *inside: Any, **attributes: Any) -> Safe:
    """<tag …>inside</tag>. Names of attributes have "_" for "-", and one at the end where Python knows the word."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Safe(f"<{tag}{given}>" + ("" if tag in _EMPTY else f"{joined(inside)}</{tag}>"))


_EMPTY = ("meta", "input")


def joined(parts: Iterable[Any]) -> Safe:
    """Parts one after another, escaped unless they are Safe; None is nothing."""
    return Safe("".join(p if isinstance(p, Safe) else escape(_text(p)) for p in parts if p is not None))


def table(rows: Sequence[Mapping[str, Any]], *, shade: Iterable[str] = ()) -> Safe:
    """Rows of the same columns; numbers stand right, and are shaded by size in the columns of `shade`."""
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
    """A value as people read it: four digits after the point for shares, thousands apart, "–" for nothing."""
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
    """A text that UTF-8 can hold, without characters that HTML forbids, and with those written out that act unseen, as
    an override of direction does: it would turn round what stands behind it."""
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return visible("".join(c if c >= " " or c in "\t\n" else "\ufffd" for c in text))
