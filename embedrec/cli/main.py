"""The entry point: which commands there are, and how errors end."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from embedrec import __version__
from embedrec.errors import EmbedrecError

COMMANDS = {
    "demo": "embedrec.cli.demo",
    "prepare": "embedrec.cli.prepare",
    "train": "embedrec.cli.train",
    "build-index": "embedrec.cli.build_index",
    "similar": "embedrec.cli.similar",
    "export": "embedrec.cli.export",
    "vectors": "embedrec.cli.vectors",
    "info": "embedrec.cli.inspect:info",
    "verify": "embedrec.cli.inspect:verify",
}


class Commands(click.Group):
    """Commands in the order of the road, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute or cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from embedrec.errors import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS) or "; see `embedrec --help`"
            ctx.fail(f"no command is called {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="embedrec")
def cli() -> None:
    """Turn listening sessions, playlists, baskets and clicks into similar items.

    \b
    Each command works on the latest artifact of the kind it needs, in the current folder:
      embedrec prepare mpd PATH...       sessions from playlist files
      embedrec train word2vec            a model of the latest sessions
      embedrec build-index --type ivf    an index of the latest model
      embedrec similar ITEM              neighbours from the latest index
      embedrec export similar.txt        every item's neighbours
    """


def main() -> NoReturn:
    """Run the command line; exit with 0, 1 (our error), 2 (usage) or 130 (Ctrl-C)."""
    try:
        # not cli.main(), which has an exit code of its own for a closed pipe
        with cli.make_context("embedrec", sys.argv[1:]) as context:
            cli.invoke(context)
        sys.stdout.flush()
        code = 0
    except click.exceptions.Exit as e:
        code = e.exit_code
    except click.ClickException as e:
        e.show()
        code = e.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _say("interrupted; nothing was left half-written", 130)
    except EmbedrecError as e:
        code = _say(str(e), 1)
    except BrokenPipeError:  # the reader of stdout went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as e:
        place = f" ({e.filename})" if e.filename else ""
        code = _say(f"the system said: {e.strerror or e}{place}; nothing was left half-written", 1)
    except MemoryError:
        code = _say("memory ran out; nothing was left half-written", 1)
    sys.exit(code)


def _say(message: str, code: int) -> int:
    click.echo(f"embedrec: {' '.join(message.split())}", err=True)
    return code


if __name__ == "__main__":
    main()
