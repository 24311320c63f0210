"""A group of commands that names the nearest one when there is none of that name."""

from __future__ import annotations

import click

from embedrec.cli.shared.advice import COMMAND
from embedrec.errors import did_you_mean


class Named(click.Group):
    """A click group with near misses."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            hint = did_you_mean(args[0], names) or f"; there are {', '.join(names)}"
            ctx.fail(f"no command is called {args[0]!r}{hint}")
        name, command, rest = super().resolve_command(ctx, args)
        ctx.meta[COMMAND] = command
        return name, command, rest
