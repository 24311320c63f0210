"""What messages advise, as far as the command that failed can do it.

The same error is raised below several commands. After its first clause a message says what to do, mostly by options;
an option that the command lacks is left out, with the clause that names nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import click

from embedrec.cli.shared.commands import COMMAND

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
_OTHERS = re.compile(r"`[^`]*`|\b(prepare|train|build|split) (the|them|it)\b[^,;]*")  # what another command is to do
_VALUE = r"(?: (?!or\b)[^\s,;-][^\s,;]*)?"  # what may stand behind an option

_PARTS = re.compile(r", (?![^(]*\))")  # the commas outside parentheses separate the parts of a clause


def options_of(command: click.Command) -> set[str]:
    """The options that a command has."""
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}


def fit_to_command(message: str, meta: dict[str, Any]) -> str:
    """A message without the advice that the command which runs cannot follow."""
    command = meta.get(COMMAND)
    return message if command is None else fit_to_options(message, options_of(command))


def fit_to_options(message: str, options: Collection[str]) -> str:
    """A message that advises no other options than these."""
    first, *clauses = message.split("; ")
    return "; ".join([first, *filter(None, (_clause(clause, options) for clause in clauses))])


def options_named(part: str) -> set[str]:
    """The options of the command that runs which a part of a clause names: none that another command is to be given."""
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
