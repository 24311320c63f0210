"""What the commands share: options, results on stdout, notes and progress on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import combining, east_asian_width

import click

from embedrec.cli.shared.terminal import (
    json_line,
    mask_passwords,
    on_terminal,
    one_line,
    shorten,
    write_message,
    write_result,
)
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.text import visible

F = TypeVar("F", bound=Callable[..., Any])
_HEADER = "embedrec.header"  # in the context: whether names of columns are printed, where the user said so
LOG_JSON = "embedrec.logged"  # in the context: whether stderr holds JSON lines only
_SEED = "Seed of all randomness; training repeats itself to the byte with --threads 1 or deterministic=true."


def _workspace(ctx: click.Context, param: click.Parameter, value: str) -> Workspace:
    return Workspace(Path(value))


def combine_options(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Several options as one, in the order in which help shows them."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def workspace_option(command: F) -> F:
    """`--workspace`: handed over as a Workspace."""
    return click.option(
        "--workspace",
        default=".",
        envvar="EMBEDREC_WORKSPACE",
        show_envvar=True,
        metavar="FOLDER",
        callback=_workspace,
        help="Where artifacts live.",
        show_default="the current folder",
    )(command)


def _cores() -> int:
    """Cores that this process may run on; where the system does not say (macOS), all there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def threads_option(command: F) -> F:
    """`--threads`: how many threads to use, by default all cores that this process may run on."""
    return click.option(
        "--threads",
        type=click.IntRange(1),
        default=_cores,
        metavar="N",
        help="Threads to use.",
        show_default="all cores",
    )(command)


def device_option(command: F) -> F:
    """`--device`: where models that train with torch do so."""
    return click.option(
        "--device",
        type=click.Choice(["cpu", "cuda", "auto"]),
        default="auto",
        show_default=True,
        help="Where models that train with torch do so; auto takes a GPU where there is one, and says so.",
    )(command)


def _set_header(ctx: click.Context, param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        ctx.meta[_HEADER] = value


def json_option(command: F) -> F:
    """`--json`: one JSON object a line; `--header`: names of columns above TAB separated rows."""
    command = click.option(
        "--header/--no-header",
        default=None,
        expose_value=False,
        callback=_set_header,
        help="Names of the columns above the rows [default: on a terminal, and of compare and run everywhere].",
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")(command)


def _log(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[LOG_JSON] = True


def log_option(command: F) -> F:
    """`--log-json`: what else goes to stderr in words and bars."""
    return click.option(
        "--log-json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_log,
        help="Notes and progress on stderr as JSON, one object a line.",
    )(command)


def config_option(command: F) -> F:
    """`--config`: a file of settings."""
    return click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML with a table [train.MODEL]."
    )(command)


def popularity_option(command: F) -> F:
    """`--popularity`: the popularity exponent, from specific to popular items; None keeps that of the model."""
    return click.option(
        "--popularity",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="How much of an item's norm, which grows with its popularity, counts: 0 is the cosine, 1 the dot product "
        "[default: as the model has it].",
    )(command)


def whitespace_option(command: F) -> F:
    """`--whitespace`: what happens to ids that a file separated by spaces cannot hold."""
    return click.option(
        "--whitespace",
        type=click.Choice(["refuse", "encode"]),
        default="refuse",
        show_default=True,
        help="What to do with ids that hold white space, where spaces separate: refuse, or percent-encode them.",
    )(command)


def seed_option(command: F) -> F:
    return click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help=_SEED)(command)


def logs_json() -> bool:
    """Whether the running command writes its notes and progress as JSON lines."""
    context = click.get_current_context(silent=True)
    return context is not None and LOG_JSON in context.meta


def note(message: str) -> None:
    """A line on stderr."""
    if logs_json():
        from embedrec.cli.shared.json_log import write_event

        write_event(None, "note", **{"said": message})
    else:
        write_message(one_line(shorten(mask_passwords(message))))


def note_artifact(artifact: Artifact) -> Artifact:
    """Say which artifact a command took."""
    note(f"using {artifact.kind} {artifact.name} ({artifact.folder})")
    return artifact


def use_threads(threads: int) -> None:
    """Threads for FAISS."""
    import faiss

    faiss.omp_set_num_threads(threads)


def emit(records: Iterable[Mapping[str, Any]], as_json: bool, *, header: bool = False) -> None:
    """Print records of the same keys: a table on a terminal, TAB separated in a pipe, or JSON lines.

    header  whether the names of columns stand above the rows in a pipe too; `--header` and `--no-header` go before
    """
    records = list(records)
    context = click.get_current_context(silent=True)
    wanted_header = None if context is None else context.meta.get(_HEADER)
    with result_output():
        if as_json:
            for record in records:
                write_result(json_line(record))
        elif records and on_terminal():
            _table(records, wanted_header is not False)
        else:
            if records and (header if wanted_header is None else wanted_header):
                write_result("\t".join(map(_cell, records[0])))
            for record in records:
                write_result("\t".join(_cell(v) for v in record.values()))


def explained_record(result: Any, as_json: bool) -> dict[str, Any]:
    """The fields of a result (a dataclass); its `sessions`, unless None, as `why`: a list of objects, or one text."""
    record = asdict(result)
    sessions = record.pop("sessions")
    if sessions is None:
        return record
    if as_json:
        return record | {"why": [{"session": name, "similarity": round(score, 4)} for name, score in sessions]}
    return record | {"why": " ".join(f"{name} ({round(score, 4)})" for name, score in sessions)}


@contextmanager
def result_output() -> Iterator[None]:
    """For a block that prints results at the end of a command: a reader who went away, as `head` does, is no error."""
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def _printable(text: str) -> str:
    """The text with what is no Unicode (bytes of odd paths) written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)
    return _printable(text).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _table(records: list[Mapping[str, Any]], headed: bool) -> None:
    """Aligned columns under their names; nothing is cut, so that ids can be copied."""
    rows = [[visible(_cell(v)) for v in record.values()] for record in records]
    names = [visible(name) for name in records[0]]
    right = [isinstance(v, int | float) for v in records[0].values()]
    widths = [max(map(_width, column)) for column in zip(names, *rows, strict=True)]
    for row in [names, *rows] if headed else rows:
        cells = [
            " " * (w - _width(c)) + c if r else c + " " * (w - _width(c))
            for c, w, r in zip(row, widths, right, strict=True)
        ]
        write_result("  ".join(cells).rstrip())


def _width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(2 if east_asian_width(c) in "WF" else not combining(c) for c in text)
