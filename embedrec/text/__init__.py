"""Invisible characters that control a terminal or the direction of text."""

from __future__ import annotations

import re

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
