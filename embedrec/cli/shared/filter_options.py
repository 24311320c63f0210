"""What commands share that find items: which of them may be found, as options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.options import note, together

if TYPE_CHECKING:
    import numpy as np

    from embedrec.data.item_filter import IdList, ItemFilter
    from embedrec.data.vocab import Vocab

F = TypeVar("F", bound=Callable[..., Any])
_options = together(
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


def allowed_options(command: F) -> F:
    """`--where`, `--only`, `--exclude`, `--attributes`: handed over as `allowed`, an Allowed."""

    @wraps(command)
    def checked(**given: Any) -> Any:
        attributes = given.pop("attributes")
        if attributes is not None and not given["where"]:
            raise click.UsageError("--attributes needs --where; give both or neither")
        return command(allowed=_allowed(given, attributes), **given)

    return _options(_attributes(checked))  # type: ignore[return-value]


def allowed_beside_attributes(command: F) -> F:
    """The same for a command that has `--attributes` of its own."""

    @wraps(command)
    def gathered(**given: Any) -> Any:
        return command(allowed=_allowed(given, given["attributes"]), **given)

    return _options(gathered)  # type: ignore[return-value]


def _allowed(given: dict[str, Any], attributes: Path | None) -> ItemFilter:
    """What the options say, which are taken out of `given`."""
    from embedrec.data.feature_conditions import Condition
    from embedrec.data.item_filter import ItemFilter

    only, exclude = given.pop("only"), given.pop("exclude")
    if only == exclude == "-":
        raise click.UsageError("stdin holds one list of ids; name a file for the other")
    conditions = tuple(Condition.of(text) for text in given.pop("where"))
    named, left_out = (None if where is None else id_list(where) for where in (only, exclude))
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


def tell(allowed: ItemFilter, vocab: Vocab, mask: np.ndarray | None) -> None:
    """Say on stderr how many items may be found."""
    if mask is not None:
        for line in allowed.messages(vocab, mask):
            note(line)
