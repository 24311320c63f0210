"""What commands that search an index share: its settings as options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.options import combine_options

if TYPE_CHECKING:
    from embedrec.data.item_filter import IdList, ItemFilter


F = TypeVar("F", bound=Callable[..., Any])
_HELP = {
    "nprobe": "Cells of an IVF index to visit",
    "ef_search": "Candidates that a walk through an HNSW graph keeps",
    "rerank": "Candidates a result that are compared exactly, where vectors are compressed",
}


source_options = combine_options(
    [
        click.option("--index", metavar="NAME", help="Index to search."),
        click.option(
            "--model", metavar="NAME", help="Model to ask, exactly: one with vectors, cooccurrence, ar or sr."
        ),
    ]
)


gpu_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where it is computed: cuda takes a GPU, through FAISS or torch, whichever sees one.",
)


def check_not_both(model: str | None, index: str | None) -> None:
    """Raises UsageError for the names of both."""
    if model is not None and index is not None:
        raise click.UsageError("an index knows its model; leave out --model or --index")


def search_options(default: str) -> Callable[[F], F]:
    """`--nprobe`, `--ef-search`, `--rerank`: handed over as `settings`, a SearchSettings; `default` is for the help."""

    def decorate(command: F) -> F:
        @wraps(command)
        def gathered(**given: Any) -> Any:
            from embedrec.index.search_settings import SearchSettings

            return command(settings=SearchSettings(**{name: given.pop(name) for name in _HELP}), **given)

        for name, help_ in reversed(_HELP.items()):
            option = click.option(
                f"--{name.replace('_', '-')}", type=click.IntRange(1), help=f"{help_} [default: {default}]."
            )
            gathered = option(gathered)
        return gathered  # type: ignore[return-value]

    return decorate


_options = combine_options(
    [
        click.option(
            "--where",
            multiple=True,
            metavar="CONDITION",
            help="Only items of which this is known, such as year>=2000, genre=rock|pop or genre!=live; may be given "
            "repeatedly.",
        ),
        click.option("--only", metavar="FILE", help="Only these items: ids, one a line; '-' is stdin."),
        click.option("--exclude", metavar="FILE", help="None of these items: ids, one a line; '-' is stdin."),
    ]
)


_attributes = click.option(
    "--attributes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Table of items' features for --where [default: those of the training sessions].",
)


def filter_options(command: F) -> F:
    """`--where`, `--only`, `--exclude`, `--attributes`: passed on as `allowed`, an ItemFilter, or None."""

    @wraps(command)
    def checked(**given: Any) -> Any:
        attributes = given.pop("attributes")
        if attributes is not None and not given["where"]:
            raise click.UsageError("--attributes needs --where; give both or neither")
        return command(allowed=_allowed(given, attributes), **given)

    return _options(_attributes(checked))  # type: ignore[return-value]


def filter_options_beside_attributes(command: F) -> F:
    """The same for a command that has `--attributes` of its own."""

    @wraps(command)
    def gathered(**given: Any) -> Any:
        return command(allowed=_allowed(given, given["attributes"]), **given)

    return _options(gathered)  # type: ignore[return-value]


def _allowed(given: dict[str, Any], attributes: Path | None) -> ItemFilter | None:
    """The filter of the options, which are removed from `given`; None without any."""
    where, only, exclude = (given.pop(name) for name in ("where", "only", "exclude"))
    if not where and only is None and exclude is None:
        return None
    from embedrec.data.feature_conditions import Condition
    from embedrec.data.item_filter import ItemFilter

    if only == exclude == "-":
        raise click.UsageError("stdin holds one list of ids; name a file for the other")
    conditions = tuple(Condition.of(text) for text in where)
    named, left_out = (None if file is None else id_list(file) for file in (only, exclude))
    return ItemFilter(conditions, named, left_out, attributes)


def id_list(where: str) -> IdList:
    """The ids in a file, one a line, or on stdin. Raises DataError when there is none, or it is no text."""
    from embedrec.data.item_filter import IdList
    from embedrec.errors import DataError

    if where == "-":
        if sys.stdin is None:
            raise DataError("stdin is closed; name a file of ids instead of '-'")
        return IdList.read("stdin", sys.stdin.buffer.read())
    path = Path(where)
    if not path.is_file():
        raise DataError(f"no file {path}; check the path")
    return IdList.read(where, path.read_bytes())
