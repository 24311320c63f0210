"""Characters that do not show but act: controls of terminals, and of the direction of text."""

from __future__ import annotations

import re

# C0 but for TAB and newline, DEL and C1; marks, embeddings, overrides and isolates of direction; separators of lines
# and paragraphs; the byte order mark; interlinear annotation; halves of surrogate pairs, which odd bytes of paths are.
HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff]"
)


def visible(text: str) -> str:
    """A text with controls written out, such as \\x1b; TABs and newlines stay."""
    return HIDDEN.sub(lambda match: escape(ord(match[0])), text)


def escape(code: int) -> str:
    """How the character of this code is written."""
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
