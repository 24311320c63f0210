"""Shell completion of commands, options, models and names of artifacts in the workspace."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

from embedrec.cli.shared.terminal import write_result
from embedrec.index.index_types import AUTO, INDEXES
from embedrec.models import MODELS
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.workspace import Workspace

VARIABLE = "_EMBEDREC_COMPLETE"  # as in `main`, which imports this module only when it is set
_KINDS: dict[str, tuple[str, ...]] = {
    "sessions": ("sessions",),
    "index": ("index",),
    "model": ("model",),
    "models": ("model",),
    "start": ("model",),
    "name": tuple(FOLDERS),
    "names": tuple(FOLDERS),
    "old": tuple(FOLDERS),
}
_INDEX_TYPES = ("kind", "through")  # options that take an index type
_SHELLS = ("bash", "zsh", "fish")


class ArtifactName(click.ParamType):
    """A name that shells can complete: of an artifact or of a registry entry.

    kinds  of artifacts
    names  of the registry
    """

    name = "text"

    def __init__(self, kinds: Iterable[str], names: Iterable[str] = ()) -> None:
        self.kinds = kinds
        self.names = names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        given = ctx.params.get("workspace")
        root = given.root if isinstance(given, Workspace) else Path()
        names = [*self.names]
        for kind in self.kinds:  # folder names only: no artifact is opened or cleaned up
            folder = root / FOLDERS[kind]
            names += sorted(f.name for f in folder.iterdir() if f.is_dir()) if folder.is_dir() else []
        return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete) and name[0] != "."]


def complete(cli: click.Group, instruction: str) -> NoReturn:
    """Print the completions that the shell requests through the environment variable, and exit."""
    for command in _all_commands(cli):
        for parameter in command.params:
            kinds = _KINDS.get(str(parameter.name))
            if kinds and isinstance(parameter.type, click.types.StringParamType):
                argument = isinstance(parameter, click.Argument)
                if argument or kinds != tuple(FOLDERS):
                    parameter.type = ArtifactName(kinds, MODELS if argument and kinds == ("model",) else ())
            elif parameter.name in _INDEX_TYPES and isinstance(parameter.type, click.types.StringParamType):
                parameter.type = ArtifactName((), [*INDEXES, AUTO])
    sys.exit(shell_complete(cli, {}, "embedrec", VARIABLE, instruction))


def _all_commands(cli: click.Group) -> list[click.Command]:
    """The command on the line; the commands of a group if it is one."""
    context = click.Context(cli, info_name="embedrec")
    words = os.environ.get("COMP_WORDS", "").split()[1:2]
    command = cli.get_command(context, words[0]) if words else None
    if isinstance(command, click.Group):
        return [child for name in command.list_commands(context) if (child := command.get_command(context, name))]
    return [] if command is None else [command]


@click.command(short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and names of artifacts in SHELL.

    \b
    eval "$(embedrec completion bash)"       in ~/.bashrc
    eval "$(embedrec completion zsh)"        in ~/.zshrc
    embedrec completion fish > ~/.config/fish/completions/embedrec.fish
    """
    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"no completion for shell {shell!r}; use one of {', '.join(_SHELLS)}")
    root = click.get_current_context().find_root().command
    source = completion_class(root, {}, "embedrec", VARIABLE)
    write_result(source.source_template % source.source_vars(), newline=False)
