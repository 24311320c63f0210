"""Descriptions of settings for help texts, read from the docstrings of their dataclasses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

_REFERENCE = re.compile(r"see `\w+`|as in \w+")


def describe_settings(cls: type[Any]) -> dict[str, str]:
    """Setting → description, from the docstring of a settings dataclass or of its base classes."""
    names = [f.name for f in fields(cls)]
    descriptions: dict[str, str] = {}
    for base in cls.__mro__:
        for entry, text in _entries(inspect.cleandoc(base.__dict__.get("__doc__") or ""), names):
            if not _REFERENCE.fullmatch(text):
                descriptions.setdefault(entry, text)
    return {name: descriptions.get(name, "") for name in names}


def _entries(doc: str, names: list[str]) -> Iterator[tuple[str, str]]:
    """Settings with their descriptions; continuation lines are indented."""
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
