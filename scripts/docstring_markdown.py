"""Docstrings of embedrec as Markdown: an extension of Griffe, see `extensions` in mkdocs.yml.

A docstring is plain text for `help()`. Two of its forms mean something else in Markdown: a table of names and texts in
columns, and an example that begins with >>>.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

_ENTRY = re.compile(r"(\S+(?:, \S+)*) {2,}(\S.*)")


def to_markdown(docstring: str) -> str:
    """The text with tables as Markdown tables and examples as code; other paragraphs are unchanged."""
    return "\n\n".join(_paragraph(text) for text in inspect.cleandoc(docstring).split("\n\n"))


def _paragraph(text: str) -> str:
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    if not _ENTRY.match(text):
        return text
    rows: list[list[str]] = []
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry is not None:
            rows.append([entry[1], entry[2]])
        elif line.startswith(" ") and rows:
            rows[-1][1] += f" {line.strip()}"
        else:
            return text
    cells = [f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {cell(words)} |" for names, words in rows]
    return "\n".join(["| name | meaning |", "|---|---|", *cells])


def cell(text: str) -> str:
    """Text as one cell of a Markdown table."""
    text = " ".join(text.split())
    if "`" not in text:  # words that Markdown would change are code
        text = re.sub(r"""(?<!\S)([("']*)(\S*?[*_<>\[\]]\S*?)([)"',.;:]*)(?!\S)""", r"\1`\2`\3", text)
    return text.replace("|", r"\|")


class DocstringMarkdown(griffe.Extension):
    """Converts every docstring that mkdocstrings renders."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
