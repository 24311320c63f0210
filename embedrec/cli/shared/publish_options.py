"""What the commands of `embedrec publish` share: their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from embedrec.cli.shared.artifacts import stale_option
from embedrec.cli.shared.options import (
    json_option,
    log_option,
    popularity_option,
    threads_option,
    together,
    workspace_option,
)
from embedrec.cli.shared.search_options import nearest_options, search_options

F = TypeVar("F", bound=Callable[..., Any])


list_option = click.option(
    "--list", "listing", is_flag=True, help="Publish nothing: list the generations that are there."
)
_UNDOING = {"url", "folder", "listing", "rollback", "generation", "prefix", "schema", "retries", "as_json"}
_UNDOING |= {"workspace", "threads", "kind"}  # what says where, not what


def undoes(listing: bool, rollback: bool, generation: int | None) -> bool:
    """Whether nothing is published. Raises UsageError for options that do not go with that."""
    if generation is not None and not rollback:
        raise click.UsageError("--generation is for --rollback; give both or neither")
    if listing and rollback:
        raise click.UsageError("--list and --rollback do one thing each; leave one out")
    if not (listing or rollback):
        return False
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for parameter in context.command.params:
        if parameter.name not in _UNDOING and context.get_parameter_source(str(parameter.name)) is given:
            name = "--list" if listing else "--rollback"
            raise click.UsageError(f"{name} publishes nothing; leave out {parameter.opts[-1]}")
    return True


def content_options(parts: str) -> Callable[[F], F]:
    """What is published, from where, and how it is told; `parts` is the default of --items, "" for no such option."""
    options = [
        click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Neighbours an item."),
        nearest_options,
        popularity_option,
        search_options("the index's"),
        stale_option,
        click.option("--dry-run", is_flag=True, help="Say what would be written; connect to nothing, write nothing."),
        log_option,
        json_option,
        threads_option,
        workspace_option,
    ]
    if parts:
        kinds = click.Choice(["neighbours", "vectors", "both"])
        options.insert(1, click.option("--items", type=kinds, help=f"What of the items is written [default: {parts}]."))
    return together(options)


def service_options(variable: str) -> Callable[[F], F]:
    """The argument URL, which the variable may hold, and what goes with generations."""
    return together(
        [
            click.argument("url", metavar="URL", envvar=variable),
            list_option,
            click.option(
                "--rollback",
                is_flag=True,
                help="Publish nothing: lead readers back to the generation that was served before.",
            ),
            click.option(
                "--generation",
                type=click.IntRange(1),
                metavar="N",
                help="With --rollback, the generation that is served [default: the one before].",
            ),
            click.option("--prefix", default="embedrec", show_default=True, help="What all names there begin with."),
            click.option(
                "--keep", type=click.IntRange(0), default=1, show_default=True, help="Older generations that stay."
            ),
            click.option(
                "--grace",
                type=click.FloatRange(0),
                default=10.0,
                show_default=True,
                metavar="SECONDS",
                help="How long those that go outlive the switch.",
            ),
            click.option(
                "--retries",
                type=click.IntRange(0),
                default=4,
                show_default=True,
                help="Tries after a lost connection: after 0.25, 0.5, 1, ... seconds.",
            ),
        ]
    )
