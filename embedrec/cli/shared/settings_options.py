"""Commands with settings of a model: their help lists the settings, their errors point to --set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

import click

from embedrec.models import MODELS

_PAIR = re.compile(r"([A-Za-z]\w*)=(.*)")
_ARGUMENTS = __name__  # key in the meta of a context: the command-line arguments


class SettingsCommand(click.Command):
    """A command with a model as argument and `--set KEY=VALUE` for its settings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        ctx.meta[_ARGUMENTS] = words
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as e:
            key, _, value = e.option_name.lstrip("-").replace("-", "_").partition("=")
            if key not in _settings(words):
                raise
            at = next((i for i, word in enumerate(words) if word.split("=")[0] == e.option_name), -1)
            value = words[at].partition("=")[2] or next(iter(words[at + 1 : at + 2]), "VALUE")
            raise click.UsageError(
                f"no such option {e.option_name}, but {key} is a setting; use --set {key}={value}", ctx
            ) from None
        except click.UsageError as e:
            pairs = [match for word in words if (match := _PAIR.fullmatch(word))]
            known = _settings(words) if pairs and "unexpected extra argument" in e.message else {}
            pair = next((match for match in pairs if match[1] in known and f"{match[0]}" in e.message), None)
            if pair is None:
                raise
            raise click.UsageError(f"settings need --set; use --set {pair[0]}", ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Models"):
            formatter.write_dl([(name, entry.summary) for name, entry in MODELS.items()])
        super().format_options(ctx, formatter)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help(ctx, formatter)
        named = next((word for word in ctx.meta.get(_ARGUMENTS, ()) if word in MODELS), None)
        if named is None:
            formatter.write_paragraph()
            formatter.write_text(f"`embedrec {ctx.info_name} MODEL --help` also shows the settings of a model.")
            return
        from embedrec.models import recipe_class
        from embedrec.text.setting_descriptions import describe_settings

        recipe = recipe_class(named)
        texts = describe_settings(recipe)
        rows = [(_with_default(field), texts[field.name]) for field in fields(recipe)]
        with formatter.section(f"Settings of {named}, as --set KEY=VALUE"):
            if rows:
                formatter.write_dl(rows, col_max=34)
            else:
                formatter.write_text("None.")


def _with_default(field: Any) -> str:
    default = field.default
    if default is None or isinstance(default, bool):
        return f"{field.name}={str(default).lower()}"
    return field.name if default is MISSING else f"{field.name}={default}"


def _settings(words: Sequence[str]) -> dict[str, None]:
    """The names of the settings of the models among the arguments, else of all models."""
    from embedrec.models import recipe_class

    named = [word for word in words if word in MODELS] or list(MODELS)
    return dict.fromkeys(field.name for name in named for field in fields(recipe_class(name)))
