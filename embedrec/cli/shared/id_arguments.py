"""Commands whose arguments are ids of items, which may begin with a minus."""

from __future__ import annotations

import re

import click

_NUMBER = re.compile(r"-[0-9]")  # no option begins so
_MARK = "\0"  # before an id that click would take for an option; no argument of a program can hold it


class TakesIds(click.Command):
    """A command that takes a word such as -7 for an id; other ids that begin with a minus stand behind `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        valued = {
            name
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for name in parameter.opts
        }
        words: list[str] = []
        before = ""
        for at, word in enumerate(args):
            if word == "--":
                words += args[at:]
                break
            words.append(_MARK + word if _NUMBER.match(word) and before not in valued else word)
            before = word
        try:
            rest = super().parse_args(ctx, words)
        except click.NoSuchOption as e:
            said = e.format_message().rstrip(".")
            raise click.UsageError(
                f"{said}; an id that begins with '-' stands behind --, as in {ctx.info_name} -- {e.option_name}",
                ctx,
            ) from None
        for name, value in ctx.params.items():
            if isinstance(value, tuple):
                ctx.params[name] = tuple(v.removeprefix(_MARK) if isinstance(v, str) else v for v in value)
            elif isinstance(value, str):
                ctx.params[name] = value.removeprefix(_MARK)
        return rest
