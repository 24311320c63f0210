"""Advice in error messages, reduced to the options that the failed command has.

Several commands raise the same error. The clauses after the first one say what to do, mostly with options. Options that
the command lacks are removed, and so are clauses that name only such options.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import click

from embedrec.cli.shared.commands import COMMAND

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
_OTHERS = re.compile(r"`[^`]*`|\b(prepare|train|build|split) (the|them|it)\b[^,;]*")  # advice on another command
_VALUE = r"(?: (?!or\b)[^\s,;-][^\s,;]*)?"  # the value of an option
_PARTS = re.compile(r", (?![^(]*\))")  # commas outside of parentheses separate the parts of a clause


def options_of(command: click.Command) -> set[str]:
    """The options of a command."""
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}


def fit_to_command(message: str, meta: dict[str, Any]) -> str:
    """A message, reduced to the options of the running command; `meta` is that of its context."""
    command = meta.get(COMMAND)
    return message if command is None else fit_to_options(message, options_of(command))


def fit_to_options(message: str, options: Collection[str]) -> str:
    """A message whose advice names only these options."""
    first, *clauses = message.split("; ")
    return "; ".join([first, *filter(None, (_clause(clause, options) for clause in clauses))])


def options_named(part: str) -> set[str]:
    """The options that a part of a clause names, except in advice on another command."""
    return {*OPTION.findall(_OTHERS.sub("", part))}


def _clause(clause: str, options: Collection[str]) -> str:
    for missing in options_named(clause) - {*options}:
        name = rf"{missing}(?![\w-])"
        clause = re.sub(rf"{name}{_VALUE} or (?=--)", "", clause)  # --missing or --other
        clause = re.sub(rf"({OPTION.pattern}{_VALUE}) or {name}{_VALUE}", r"\1", clause)  # --other or --missing
    parts = _PARTS.split(clause)
    kept = [part for part in parts if not options_named(part) - {*options}]
    if len(kept) == len(parts):
        return clause
    return ", ".join(kept).removeprefix("or ").removeprefix("and ")
