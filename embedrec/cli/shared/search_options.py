"""What commands that search an index share: its settings as options."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from embedrec.cli.shared.options import together

F = TypeVar("F", bound=Callable[..., Any])
_HELP = {
    "nprobe": "Cells of an IVF index to visit",
    "ef_search": "Candidates that a walk through an HNSW graph keeps",
    "rerank": "Candidates a result that are compared exactly, where vectors are compressed",
}


nearest_options = together(
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
