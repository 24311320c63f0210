"""The code blocks of a Markdown page, and what stands about them in HTML comments.

<!-- not run: REASON -->     the next block is not run; `test_pages.NOT_RUN` lists every reason, so that it stays short
<!-- workspace: prepared --> the page's commands run in a folder with sessions, models and an index, see `workspaces`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = {"console", "sh", "python", "text", "toml", "json"}  # an entry of every block, so that none is overlooked
_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", flags=re.M | re.S)
_COMMENT = re.compile(r"<!-- not run: ((?:(?!-->).)*) -->\s*\Z", flags=re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    line      of its fence, from 1
    not_run   the reason for which it is not run, or ""
    prints    of a Python block, the text block that follows it directly: what it prints; None if there is none
    """

    language: str
    text: str
    line: int
    not_run: str = ""
    prints: str | None = None


def blocks(page: str) -> list[Block]:
    """The blocks of the text of a page, in order."""
    out = []
    matches = list(_BLOCK.finditer(page))
    for match, following in zip_longest(matches, matches[1:]):
        comment = _COMMENT.search(page[: match.start()])
        text = re.sub(rf"(?m)^{match[1]}", "", match[3])
        prints = None
        if match[2] == "python" and following and following[2] == "text":
            between = page[match.end() : following.start()]
            prints = following[3] if not between.strip() else None
        line = page.count("\n", 0, match.start()) + 1
        out.append(Block(match[2], text, line, comment[1] if comment else "", prints))
    return out


def commands(block: Block) -> list[tuple[str, list[str] | None]]:
    """The commands of a block in order, each with the lines that the page shows it to print, None for no lines.

    A `sh` block with any line that is not one of `embedrec` is one command.
    """
    text = re.sub(r"\\\n\s*", "", block.text)
    if block.language == "console":
        results = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, flags=re.M)
        return [(line, shown.splitlines() or None) for line, shown in results]
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if all(line.startswith("embedrec ") for line in lines):
        return [(line, None) for line in lines]
    return [(block.text, None)]


def is_plain(command: str) -> bool:
    """Whether a line is one command of embedrec, without a pipe or a redirection."""
    quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command.split(" #", maxsplit=1)[0])
    return command.startswith("embedrec ") and not re.search(r"[|<>&;$`\n]", quoted)
