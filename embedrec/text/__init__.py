"""Text that people read: control characters made visible, and how objects show themselves.

Ids and names come from strangers: `visible` shows what would control a terminal or the direction of text, and HTML is
escaped. All in one module, as every command that reads an artifact loads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# C0 except TAB and newline, DEL and C1; direction marks, embeddings, overrides and isolates; line and paragraph
# separators; the byte order mark; interlinear annotation; lone surrogates, which stand for undecodable bytes of paths.
HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff]"
)


def visible(text: str) -> str:
    """A text with control characters escaped, such as \\x1b; TABs and newlines stay."""
    return HIDDEN.sub(lambda match: escape(ord(match[0])), text)


def escape(code: int) -> str:
    """The escape sequence of a character code."""
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


FIRST_ROWS = 5  # of a table
_LONGEST = 60  # characters of a cell


@dataclass(frozen=True)
class Summary:
    """What is shown of an object.

    facts    "300 items", "cosine" …, in one line
    columns  name → values of the first rows, all of one length
    more     number of rows that are not shown
    """

    facts: Sequence[str]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    more: int = 0


class Described:
    """Base of classes with a summary. A dataclass needs `repr=False`, or it gets a `repr` of all its arrays."""

    def _summary(self) -> Summary:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(one_line, self._summary().facts))})"

    def _repr_html_(self) -> str:
        return html(type(self).__name__, self._summary())


def one_line(text: str) -> str:
    """A text in one line, its control characters visible."""
    return " ".join(visible(text).split())


def html(title: str, summary: Summary) -> str:
    """A summary as HTML: a line of facts, and a table of the first rows."""
    from html import escape

    def cell(tag: str, value: Any) -> str:
        text = one_line(_figure(value))
        return f"<{tag}>{escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…')}</{tag}>"

    facts = " · ".join(escape(one_line(fact)) for fact in summary.facts)
    line = f"<div><strong>{escape(title)}</strong> {facts}</div>"
    if not summary.columns:
        return line
    head = "".join(cell("th", name) for name in summary.columns)
    rows = "".join(
        f"<tr>{''.join(cell('td', value) for value in row)}</tr>" for row in zip(*summary.columns.values(), strict=True)
    )
    more = f"<div>… and {summary.more:,} more</div>" if summary.more > 0 else ""
    return f"{line}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _figure(value: Any) -> str:
    """A value of a cell: "" for None, four digits of a fraction."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(**counts: int | None) -> list[str]:
    """Facts such as "1,000 sessions" and "1 item" for sessions=1000, items=1; None is left out."""
    return [f"{count:,} {what[:-1] if count == 1 else what}" for what, count in counts.items() if count is not None]


def listed(what: str, names: Iterable[str]) -> list[str]:
    """The fact "numeric year, length" for some names, no fact for none."""
    names = list(names)
    return [f"{what} {', '.join(names[:6])}{', …' if len(names) > 6 else ''}"] if names else []
