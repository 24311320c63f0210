"""Options of the commands that search: sources, settings of an index, filters of items."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.options import (
    INPUT_FILE,
    combine_options,
    json_option,
    popularity_option,
    threads_option,
    workspace_option,
)

if TYPE_CHECKING:
    from embedrec.data.item_filter import IdList, ItemFilter
    from embedrec.storage.remote import ReadPath


F = TypeVar("F", bound=Callable[..., Any])
_HELP = {
    "nprobe": "Number of IVF cells to search",
    "ef_search": "Size of the candidate list of an HNSW search",
    "rerank": "Candidates per result that are compared exactly, for compressed vectors",
}


source_options = combine_options(
    [
        click.option("--index", metavar="NAME", help="Index to search."),
        click.option(
            "--model",
            metavar="NAME",
            help="Model to search exactly: one with vectors, cooccurrence, ar, sr, fusion or ranker.",
        ),
    ]
)


gpu_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Device of the search; cuda uses a GPU through FAISS or torch, whichever finds one.",
)


def check_not_both(model: str | None, index: str | None) -> None:
    """Raises UsageError if both names are given."""
    if model is not None and index is not None:
        raise click.UsageError("--model and --index are mutually exclusive; give one of them")


def search_options(default: str) -> Callable[[F], F]:
    """`--nprobe`, `--ef-search`, `--rerank`, passed on as `settings`, a SearchSettings; the help shows `default`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def parse(**given: Any) -> Any:
            from embedrec.index.search_settings import SearchSettings

            return command(settings=SearchSettings(**{name: given.pop(name) for name in _HELP}), **given)

        decorated: Any = parse
        for name, help_ in reversed(_HELP.items()):
            option = click.option(
                f"--{name.replace('_', '-')}", type=click.IntRange(1), help=f"{help_} [default: {default}]."
            )
            decorated = option(decorated)
        return decorated

    return decorate


_options = combine_options(
    [
        click.option(
            "--where",
            multiple=True,
            metavar="CONDITION",
            help="Only items with this feature, such as year>=2000, genre=rock|pop or genre!=live; repeatable.",
        ),
        click.option("--only", metavar="FILE", help="Only these items: a file of ids, one per line; '-' is stdin."),
        click.option(
            "--exclude", metavar="FILE", help="None of these items: a file of ids, one per line; '-' is stdin."
        ),
    ]
)


_attributes = click.option(
    "--attributes",
    type=INPUT_FILE,
    metavar="FILE",
    help="Table of item features for --where [default: the features of the training sessions].",
)


def filter_options(command: F) -> F:
    """`--where`, `--only`, `--exclude`, `--attributes`, passed on as `allowed`, an ItemFilter, or None."""

    @wraps(command)
    def parse(**given: Any) -> Any:
        attributes = given.pop("attributes")
        if attributes is not None and not given["where"]:
            raise click.UsageError("--attributes needs --where; give both or neither")
        return command(allowed=_allowed(given, attributes), **given)

    return _options(_attributes(parse))  # type: ignore[return-value]


def filter_options_beside_attributes(command: F) -> F:
    """`--where`, `--only`, `--exclude`, passed on as `allowed`, for a command with its own `--attributes`."""

    @wraps(command)
    def parse(**given: Any) -> Any:
        return command(allowed=_allowed(given, given["attributes"]), **given)

    return _options(parse)  # type: ignore[return-value]


def _allowed(given: dict[str, Any], attributes: ReadPath | None) -> ItemFilter | None:
    """The item filter of the options, which are removed from `given`; None if none is given."""
    where, only, exclude = (given.pop(name) for name in ("where", "only", "exclude"))
    if not where and only is None and exclude is None:
        return None
    from embedrec.data.feature_conditions import Condition
    from embedrec.data.item_filter import ItemFilter

    if only == exclude == "-":
        raise click.UsageError("--only and --exclude cannot both read stdin; name a file for one of them")
    conditions = tuple(Condition.of(text) for text in where)
    included, excluded = (None if file is None else id_list(file) for file in (only, exclude))
    return ItemFilter(conditions, included, excluded, attributes)


def query_options(sources: Callable[[F], F], count: str, why: str) -> Callable[[F], F]:
    """The items of a query, the sources, the number of results, filters and output of `similar` and `recommend`.

    sources     `--model` and `--index`
    count, why  help of `-n` and `--why`
    """
    return combine_options(
        [
            click.argument("items", nargs=-1, required=True, metavar="ITEM..."),
            click.option("-n", "count", type=click.IntRange(1), show_default="10, or all items if fewer", help=count),
            sources,
            popularity_option,
            search_options("the index's"),
            filter_options,
            click.option("--why", is_flag=True, help=why),
            json_option,
            threads_option,
            workspace_option,
        ]
    )


def id_list(file: str) -> IdList:
    """The ids in a file, one per line, or on stdin for "-". Raises DataError if it does not exist or is not text."""
    from embedrec.data.item_filter import IdList
    from embedrec.errors import DataError

    if file == "-":
        if sys.stdin is None:
            raise DataError("stdin is closed; name a file of ids instead of '-'")
        return IdList.read("stdin", sys.stdin.buffer.read())
    path = Path(file)
    if not path.is_file():
        raise DataError(f"no file {path}; check the path")
    return IdList.read(file, path.read_bytes())
