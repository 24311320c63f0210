"""The entry point: which commands there are, and how errors end."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import click

from embedrec.cli.shared.commands import SuggestingGroup
from embedrec.cli.shared.failures import TRACEBACK, interruptible, redirect_library_output, unexpected
from embedrec.cli.shared.options import LOG_JSON
from embedrec.cli.shared.terminal import (
    close_streams,
    flush_results,
    mask_passwords,
    open_streams,
    shorten,
    write_message,
)
from embedrec.errors import EmbedrecError, system_error
from embedrec.runtime.child_interpreters import leave_current_folder_out, safe_children
from embedrec.runtime.native_stderr import separate_stderr
from embedrec.version import __version__

COMMANDS = {
    "demo": "embedrec.cli.demo",
    "prepare": "embedrec.cli.prepare",
    "split": "embedrec.cli.split",
    "train": "embedrec.cli.train",
    "build-index": "embedrec.cli.build_index",
    "update-index": "embedrec.cli.update_index",
    "items": "embedrec.cli.items",
    "similar": "embedrec.cli.similar",
    "recommend": "embedrec.cli.recommend",
    "neighbours": "embedrec.cli.neighbours",
    "export": "embedrec.cli.export",
    "diff": "embedrec.cli.diff",
    "publish": "embedrec.cli.publish",
    "evaluate": "embedrec.cli.evaluate",
    "compare": "embedrec.cli.compare",
    "tune": "embedrec.cli.tune",
    "report": "embedrec.cli.report",
    "run": "embedrec.cli.run",
    "vectors": "embedrec.cli.vectors",
    "info": "embedrec.cli.info:info",
    "verify": "embedrec.cli.info:verify",
    "completion": "embedrec.cli.completion",
}


COMPLETES = "_EMBEDREC_COMPLETE"  # what a shell asks for, in the environment


class Commands(SuggestingGroup):
    """Commands in the order of the road, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute or cmd_name.replace("-", "_"))
        return command


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
    """Run the command line; exit with 0, 1 (our error), 2 (usage), 3 (a promise that nothing keeps) or 130 (Ctrl-C).

    Whatever goes wrong is one sentence: also what nobody expected, of which EMBEDREC_TRACEBACK=1 shows the place.
    """
    meta: dict[str, Any] = {}
    open_streams()
    separate_stderr()
    redirect_library_output()
    try:
        if COMPLETES in os.environ:
            from embedrec.cli.completion import complete

            complete(cli, os.environ[COMPLETES])
        _cache_kernels()
        _share_cores()
        # not cli.main(), which has an exit code of its own for a closed pipe
        with interruptible(), safe_children(), cli.make_context("embedrec", sys.argv[1:]) as context:
            meta = context.meta
            cli.invoke(context)
        flush_results()
        code = 0
    except click.exceptions.Exit as e:
        code = e.exit_code
    except SystemExit:
        raise
    except BaseException as e:
        if os.environ.get(TRACEBACK):
            write_message("".join(traceback.format_exception(e)), newline=False)
        code = _failed(e, meta)
    close_streams()
    sys.exit(code)


def _failed(error: BaseException, meta: dict[str, Any]) -> int:
    """Say why a command failed; the exit code."""
    from embedrec.cli.shared.advice import fit_to_command

    code = 1
    match error:
        case BrokenPipeError():  # whoever read notes and progress went away before the work was done
            return code
        case click.ClickException():
            _show(error)
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            message, code = "interrupted; nothing was left half-written", 130
        case EmbedrecError():
            message = fit_to_command(str(error), meta)
        case OSError():
            message = system_error(error)
        case MemoryError():
            message = "memory ran out; nothing was left half-written"
        case _:
            message = unexpected(error)
    message = shorten(mask_passwords(" ".join(message.split())))
    with suppress(OSError):  # nobody reads stderr: the exit code remains
        if meta.get(LOG_JSON):
            from embedrec.cli.shared.json_log import write_event

            write_event(None, "failed", **{"said": message})
        else:
            write_message(f"embedrec: {message}")
    return code


def _show(error: click.ClickException) -> None:
    """What click says of a usage error."""
    shown = StringIO()
    error.show(shown)
    with suppress(OSError):  # nobody reads stderr: the exit code remains
        write_message(shorten(mask_passwords(shown.getvalue())), newline=False)


def _share_cores() -> None:
    """Let threads of OpenMP that wait for each other give their cores back soon: where other programs run, one that
    spins keeps the one it waits for from running, and training takes up to forty times as long.

    GNU's OpenMP, of torch and FAISS, reads this when it is loaded; who sets a policy is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _cache_kernels() -> None:
    """Where numba can write neither beside the package nor in the home folder, compiled kernels last for one run."""
    beside = Path(__file__).parents[1] / "kernels"
    if "NUMBA_CACHE_DIR" in os.environ or os.access(beside, os.W_OK) or os.access(Path.home(), os.W_OK):
        return
    folder = tempfile.mkdtemp(prefix="embedrec-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder


if __name__ == "__main__":
    leave_current_folder_out()
    main()
