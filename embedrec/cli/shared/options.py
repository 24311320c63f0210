"""Common options, results on stdout, and notes on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from embedrec.runtime import available_cores
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.text import visible

F = TypeVar("F", bound=Callable[..., Any])
_HEADER = "embedrec.header"  # key in the meta of a context: the value of --header, if given
TARGET_NOT_MET = 3  # exit code
LOG_JSON = "embedrec.logged"  # key in the meta of a context: present with --log-json
_SEED = "Random seed; training is reproducible to the byte with --threads 1 or deterministic=true."


class InputFile(click.Path):
    """A file to read, on this machine or at a URL."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from embedrec.storage.remote import RemotePath, input_path

        path = input_path(value)
        return path if isinstance(path, RemotePath) else super().convert(path, param, ctx)


INPUT_FILE = InputFile()


def _workspace(ctx: click.Context, param: click.Parameter, value: str) -> Workspace:
    return Workspace(Path(value))


def combine_options(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """One decorator of several options, in the order of the help."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def workspace_option(command: F) -> F:
    """`--workspace`, passed on as a Workspace."""
    return click.option(
        "--workspace",
        default=".",
        envvar="EMBEDREC_WORKSPACE",
        show_envvar=True,
        metavar="FOLDER",
        callback=_workspace,
        help="Folder of the artifacts.",
        show_default="the current folder",
    )(command)


def threads_option(command: F) -> F:
    """`--threads`: number of threads, by default the number of cores that this process may use."""
    return click.option(
        "--threads",
        type=click.IntRange(1),
        default=available_cores,
        metavar="N",
        help="Number of threads.",
        show_default="all cores",
    )(command)


def device_option(command: F) -> F:
    """`--device`: device of models that train with torch."""
    return click.option(
        "--device",
        type=click.Choice(["cpu", "cuda", "auto"]),
        default="auto",
        show_default=True,
        help="Device for models that train with torch; auto uses a GPU if there is one, and prints the choice.",
    )(command)


def _set_header(ctx: click.Context, param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        ctx.meta[_HEADER] = value


def json_option(command: F) -> F:
    """`--json`: one JSON object per line; `--header`: column names above the rows."""
    command = click.option(
        "--header/--no-header",
        default=None,
        expose_value=False,
        callback=_set_header,
        help="Column names above the rows [default: on a terminal; for compare and run always].",
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")(command)


def set_log_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """The callback of `--log-json`."""
    if value:
        ctx.meta[LOG_JSON] = True


def log_option(command: F) -> F:
    """`--log-json`: notes and progress on stderr as JSON lines."""
    return click.option(
        "--log-json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=set_log_json,
        help="Write notes and progress to stderr as JSON, one object per line.",
    )(command)


def config_option(command: F) -> F:
    """`--config`: a TOML file of settings."""
    return click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML file with a table [train.MODEL]."
    )(command)


def popularity_option(command: F) -> F:
    """`--popularity`: the popularity exponent; None keeps that of the model."""
    return click.option(
        "--popularity",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="Exponent of the item norms, which grow with popularity: 0 for cosine, 1 for dot product "
        "[default: the model's].",
    )(command)


def space_option(command: F) -> F:
    """`--space`: an older space of a model; None is its own."""
    return click.option(
        "--space",
        metavar="ID",
        help="Rotate the vectors into this older space of the model: its id, or the beginning [default: its own].",
    )(command)


def whitespace_option(command: F) -> F:
    """`--whitespace`: treatment of ids that a format separated by spaces cannot contain."""
    return click.option(
        "--whitespace",
        type=click.Choice(["refuse", "encode"]),
        default="refuse",
        show_default=True,
        help="Ids with white space in formats separated by spaces: refuse, or percent-encode them.",
    )(command)


def seed_option(command: F) -> F:
    return click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help=_SEED)(command)


def logs_json() -> bool:
    """Whether the running command writes its notes and progress as JSON lines."""
    context = click.get_current_context(silent=True)
    return context is not None and LOG_JSON in context.meta


def note(message: str) -> None:
    """Print a line on stderr."""
    if logs_json():
        from embedrec.cli.shared.json_log import write_event

        write_event(None, "note", **{"said": message})
    else:
        write_message(one_line(shorten(mask_passwords(message))))


def note_artifact(artifact: Artifact) -> Artifact:
    """Print which artifact a command uses, and return it."""
    note(f"using {artifact.kind} {artifact.name} ({artifact.folder})")
    return artifact


def use_threads(threads: int) -> None:
    """Set the number of threads of FAISS and BLAS."""
    from embedrec.runtime import limit_threads

    limit_threads(threads)


def emit(
    records: Iterable[Mapping[str, Any]],
    as_json: bool,
    *,
    header: bool = False,
    columns: Collection[str] | None = None,
) -> None:
    """Print records with the same keys: a table on a terminal, TAB separated in a pipe, or JSON lines.

    header   whether column names are also printed in a pipe; `--header` and `--no-header` override it
    columns  the columns of the table on a terminal; None for all
    """
    records = list(records)
    context = click.get_current_context(silent=True)
    header_option = None if context is None else context.meta.get(_HEADER)
    with result_output():
        if as_json:
            for record in records:
                write_result(json_line(record))
        elif records and on_terminal():
            shown = records[0].keys() if columns is None else columns
            _print_table(
                [{k: v for k, v in record.items() if k in shown} for record in records], header_option is not False
            )
        else:
            if records and (header if header_option is None else header_option):
                write_result("\t".join(map(_cell, records[0])))
            for record in records:
                write_result("\t".join(_cell(v) for v in record.values()))


def explained_record(result: Any, as_json: bool) -> dict[str, Any]:
    """The fields of a result (a dataclass), with `sessions`, `parts` and `features`, unless None, as `why`: a text.

    For JSON `why` is the list of sessions, `parts` and `features` are objects.
    """
    record = asdict(result)
    sessions, parts, features = (record.pop(key, None) for key in ("sessions", "parts", "features"))
    if as_json:
        if sessions is not None:
            record["why"] = [{"session": name, "similarity": round(score, 4)} for name, score in sessions]
        return record | ({} if parts is None else {"parts": parts, "features": features})
    texts = []
    if parts is not None:
        texts.append(", ".join(f"{name} {rank}" for name, rank in parts.items()))
        texts.append(", ".join(f"{name} {value:+g}" for name, value in features.items()))
    if sessions is not None:
        texts.append(" ".join(f"{name} ({round(score, 4)})" for name, score in sessions))
    return record | ({"why": "; ".join(filter(None, texts))} if texts else {})


@contextmanager
def result_output() -> Iterator[None]:
    """A block that prints results at the end of a command; exits with code 0 if the reader closes the pipe, as `head`
    does."""
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def _printable(text: str) -> str:
    """The text with surrogates, such as undecodable bytes of paths, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)
    return _printable(text).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _print_table(records: list[Mapping[str, Any]], header: bool) -> None:
    """Print aligned columns; cells are not truncated, so that ids can be copied."""
    rows = [[visible(_cell(v)) for v in record.values()] for record in records]
    names = [visible(name) for name in records[0]]
    right = [isinstance(v, int | float) for v in records[0].values()]
    widths = [max(map(_width, column)) for column in zip(names, *rows, strict=True)]
    for row in [names, *rows] if header else rows:
        cells = [
            " " * (w - _width(c)) + c if r else c + " " * (w - _width(c))
            for c, w, r in zip(row, widths, right, strict=True)
        ]
        write_result("  ".join(cells).rstrip())


def _width(text: str) -> int:
    """Width of a text in terminal columns."""
    return sum(2 if east_asian_width(c) in "WF" else not combining(c) for c in text)
