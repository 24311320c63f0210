"""Command groups that suggest similar names, and commands whose arguments may be negative ids."""

from __future__ import annotations

import re

import click

from embedrec.errors import did_you_mean


class SuggestingGroup(click.Group):
    """A group of commands whose error for an unknown command suggests similar names."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            hint = did_you_mean(args[0], names) or f"; the commands are {', '.join(names)}"
            ctx.fail(f"no command {args[0]!r}{hint}")
        name, command, rest = super().resolve_command(ctx, args)
        ctx.meta[COMMAND] = command
        return name, command, rest


_NUMBER = re.compile(r"-[0-9]")  # no option starts like this
_MARK = "\0"  # precedes an id that click would parse as an option; program arguments cannot contain it


class IdCommand(click.Command):
    """A command that parses -7 as an id; other ids that start with a minus must follow `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        valued = {
            name
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for name in parameter.opts
        }
        words: list[str] = []
        previous = ""
        for at, word in enumerate(args):
            if word == "--":
                words += args[at:]
                break
            words.append(_MARK + word if _NUMBER.match(word) and previous not in valued else word)
            previous = word
        try:
            rest = super().parse_args(ctx, words)
        except click.NoSuchOption as e:
            message = e.format_message().rstrip(".")
            raise click.UsageError(
                f"{message}; put an id that starts with '-' after --, as in {ctx.info_name} -- {e.option_name}",
                ctx,
            ) from None
        for name, value in ctx.params.items():
            if isinstance(value, tuple):
                ctx.params[name] = tuple(v.removeprefix(_MARK) if isinstance(v, str) else v for v in value)
            elif isinstance(value, str):
                ctx.params[name] = value.removeprefix(_MARK)
        return rest


COMMAND = "embedrec.command"  # key in the meta of a context: the running command
