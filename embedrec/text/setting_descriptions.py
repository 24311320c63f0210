"""What settings mean: the tables in the docstrings of their dataclasses, for help texts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

_ELSEWHERE = re.compile(r"see `\w+`|as in \w+")


def described(cls: type[Any]) -> dict[str, str]:
    """Setting → what it means, of a dataclass of settings: from its docstring, else from those of its base classes."""
    names = [f.name for f in fields(cls)]
    found: dict[str, str] = {}
    for base in cls.__mro__:
        for entry, text in _entries(inspect.cleandoc(base.__dict__.get("__doc__") or ""), names):
            if not _ELSEWHERE.fullmatch(text):
                found.setdefault(entry, text)
    return {name: found.get(name, "") for name in names}


def _entries(doc: str, names: list[str]) -> Iterator[tuple[str, str]]:
    """Names of settings with their text, whose lines after the first are indented."""
    lines = doc.splitlines()
    at = 0
    while at < len(lines):
        match = re.match(r"(\w+(?:, \w+)*) {2,}(\S.*)", lines[at])
        at += 1
        if match is None:
            continue
        text = [match[2]]
        while at < len(lines) and lines[at].startswith("  "):
            text.append(lines[at].strip())
            at += 1
        for name in match[1].split(", "):
            if name in names:
                yield name, " ".join(text)
