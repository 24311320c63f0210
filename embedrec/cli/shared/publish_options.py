"""Options of the commands of `embedrec publish`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from embedrec.cli.shared.artifacts import stale_option
from embedrec.cli.shared.engine_options import engine_options
from embedrec.cli.shared.list_options import list_source_options, selection_options
from embedrec.cli.shared.options import (
    combine_options,
    json_option,
    log_option,
    popularity_option,
    threads_option,
    workspace_option,
)
from embedrec.cli.shared.search_options import gpu_option, search_options

F = TypeVar("F", bound=Callable[..., Any])


list_option = click.option("--list", "listing", is_flag=True, help="List the published generations; publish nothing.")
_DESTINATION = {"url", "folder", "listing", "rollback", "generation", "prefix", "schema", "retries", "as_json"}
_DESTINATION |= {"workspace", "threads", "kind"}  # options of the destination, not of the content


def lists_or_rolls_back(listing: bool, rollback: bool, generation: int | None) -> bool:
    """Whether --list or --rollback is given. Raises UsageError if options of the content are given too."""
    if generation is not None and not rollback:
        raise click.UsageError("--generation needs --rollback; give both or neither")
    if listing and rollback:
        raise click.UsageError("--list and --rollback are mutually exclusive; give one of them")
    if not (listing or rollback):
        return False
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for parameter in context.command.params:
        if parameter.name not in _DESTINATION and context.get_parameter_source(str(parameter.name)) is given:
            name = "--list" if listing else "--rollback"
            raise click.UsageError(
                f"{parameter.opts[-1]} has no effect with {name}, which publishes nothing; leave it out"
            )
    return True


full_option = click.option(
    "--full", is_flag=True, help="Write all lists, also those that the served generation has already."
)
new_space_option = click.option(
    "--new-space", is_flag=True, help="Publish vectors of another space than the served ones, see --align of refresh."
)


def content_options(parts: str) -> Callable[[F], F]:
    """Options of content, source and output; `parts` is the default of --items in the help, "" for no such option."""
    options = [
        click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Results per list."),
        list_source_options,
        selection_options,
        popularity_option,
        search_options("the index's"),
        gpu_option,
        stale_option,
        engine_options,
        click.option("--dry-run", is_flag=True, help="Print what would be written; connect to nothing, write nothing."),
        log_option,
        json_option,
        threads_option,
        workspace_option,
    ]
    if parts:
        kinds = click.Choice(["neighbours", "vectors", "both"])
        options.insert(1, click.option("--items", type=kinds, help=f"Content to write [default: {parts}]."))
        options.insert(2, new_space_option)
    return combine_options(options)


def service_options(variable: str) -> Callable[[F], F]:
    """The argument URL, which may be set in the environment variable, and options of generations."""
    return combine_options(
        [
            click.argument("url", metavar="URL", envvar=variable),
            list_option,
            click.option(
                "--rollback",
                is_flag=True,
                help="Serve the previous generation again; publish nothing.",
            ),
            click.option(
                "--generation",
                type=click.IntRange(1),
                metavar="N",
                help="With --rollback, the generation to serve [default: the previous one].",
            ),
            click.option(
                "--prefix", default="embedrec", show_default=True, help="Prefix of all names at the destination."
            ),
            click.option(
                "--keep",
                type=click.IntRange(0),
                default=1,
                show_default=True,
                help="Number of older generations to keep.",
            ),
            click.option(
                "--grace",
                type=click.FloatRange(0),
                default=10.0,
                show_default=True,
                metavar="SECONDS",
                help="Time between the switch and the deletion of old generations.",
            ),
            click.option(
                "--retries",
                type=click.IntRange(0),
                default=4,
                show_default=True,
                help="Retries after a lost connection, with delays of 0.25, 0.5, 1, ... seconds.",
            ),
        ]
    )
