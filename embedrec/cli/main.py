"""The entry point: the commands, and the handling of errors."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import click

from embedrec.cli.shared.commands import SuggestingGroup
from embedrec.cli.shared.failures import TRACEBACK, interruptible, redirect_library_output, unexpected_error
from embedrec.cli.shared.options import LOG_JSON, note
from embedrec.cli.shared.terminal import (
    close_streams,
    flush_results,
    mask_passwords,
    open_streams,
    shorten,
    write_message,
)
from embedrec.errors import EmbedrecError, system_error
from embedrec.runtime import announcement
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
    "refresh": "embedrec.cli.refresh",
    "diff": "embedrec.cli.diff",
    "drift": "embedrec.cli.drift",
    "publish": "embedrec.cli.publish",
    "serve": "embedrec.cli.serve",
    "evaluate": "embedrec.cli.evaluate",
    "compare": "embedrec.cli.compare",
    "tune": "embedrec.cli.tune",
    "report": "embedrec.cli.report",
    "run": "embedrec.cli.run",
    "vectors": "embedrec.cli.vectors",
    "rollback": "embedrec.cli.rollback",
    "gc": "embedrec.cli.gc",
    "artifact": "embedrec.cli.artifact",
    "info": "embedrec.cli.info:info",
    "verify": "embedrec.cli.info:verify",
    "completion": "embedrec.cli.completion",
}
_COMPILING = "compiling kernels for this machine; later runs take them from a cache"
COMPLETION = "_EMBEDREC_COMPLETE"  # environment variable by which a shell requests completions


class Commands(SuggestingGroup):
    """The commands in the order of the pipeline; each is imported on demand."""

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
    """Run the command line; exit with 0, 1 (error), 2 (usage error), 3 (target not met) or 130 (Ctrl-C).

    Every error is one sentence on stderr, unexpected ones too; EMBEDREC_TRACEBACK=1 also prints the traceback.
    """
    meta: dict[str, Any] = {}
    open_streams()
    separate_stderr()
    redirect_library_output()
    announcement.announce = partial(note, _COMPILING)
    try:
        if COMPLETION in os.environ:
            from embedrec.cli.completion import complete

            complete(cli, os.environ[COMPLETION])
        _set_kernel_cache()
        limit_spinning()
        # with colorama installed, numba would write a colour reset to the terminal at exit
        os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")
        # not cli.main(), which has its own exit code for a closed pipe
        with (
            interruptible(),
            safe_children(),
            cli.make_context("embedrec", sys.argv[1:]) as context,
        ):
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
    """Print why a command failed, and return the exit code."""
    from embedrec.cli.shared.advice import fit_to_command

    code = 1
    match error:
        case BrokenPipeError():  # the reader of stderr has closed the pipe
            return code
        case click.ClickException():
            _show(error)
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            message, code = "interrupted; no partial files remain", 130
        case EmbedrecError():
            message = fit_to_command(str(error), meta)
        case OSError():
            message = system_error(error)
        case MemoryError():
            message = "out of memory; no partial files remain"
        case _:
            message = unexpected_error(error)
    message = shorten(mask_passwords(" ".join(message.split())))
    with suppress(OSError):  # stderr is closed
        if meta.get(LOG_JSON):
            from embedrec.cli.shared.json_log import write_event

            write_event(None, "failed", **{"said": message})
        else:
            write_message(f"embedrec: {message}")
    return code


def _show(error: click.ClickException) -> None:
    """Print a usage error as click does."""
    shown = StringIO()
    error.show(shown)
    with suppress(OSError):  # stderr is closed
        write_message(shorten(mask_passwords(shown.getvalue())), newline=False)


def limit_spinning() -> None:
    """Let waiting OpenMP threads yield their cores soon: if other programs run, a spinning thread can keep the thread
    that it waits for from running, and training takes up to forty times as long.

    GNU OpenMP, used by torch and FAISS, reads the variable when it is loaded. A policy in the environment remains.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _set_kernel_cache() -> None:
    """Cache compiled kernels for one run if numba can write neither to the package nor to the home folder."""
    kernels = Path(__file__).parents[1] / "kernels"
    if "NUMBA_CACHE_DIR" in os.environ or os.access(kernels, os.W_OK) or os.access(Path.home(), os.W_OK):
        return
    folder = tempfile.mkdtemp(prefix="embedrec-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder


if __name__ == "__main__":
    leave_current_folder_out()
    main()
