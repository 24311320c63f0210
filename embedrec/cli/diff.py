"""`embedrec diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from embedrec.cli.shared.options import emit, json_option, log_option, results, workspace_option
from embedrec.cli.shared.terminal import json_line, put
from embedrec.storage.workspace import Workspace
from embedrec.workflows.diff import counts_of


@click.command(short_help="How do two exports differ?")
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW")
@click.option("-n", "count", type=click.IntRange(1), help="Results of a list to compare [default: all].")
@click.option("--format", "form", metavar="NAME", help="Format of both, as in export [default: from the suffixes].")
@click.option("--encoded", is_flag=True, help="Ids of text are percent-encoded, as by export --whitespace encode.")
@click.option("--prefix", default="similar:", show_default=True, help="What keys begin with, in redis.")
@click.option(
    "--p", type=float, default=0.9, show_default=True, help="Weight of a rank over the one before it, in RBO."
)
@click.option(
    "--counts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Table of item and count, for the popularity of what is listed.",
)
@click.option("--sessions", metavar="NAME", help="Sessions whose counts say how popular items are.")
@click.option("--worst", type=click.IntRange(0), default=10, show_default=True, help="Lists to name that changed most.")
@click.option(
    "--fail-under", type=click.FloatRange(0, 1), metavar="X", help="Exit with 1 when the mean overlap is lower."
)
@log_option
@json_option
@workspace_option
def diff(
    old: Path,
    new: Path,
    count: int | None,
    form: str | None,
    encoded: bool,
    prefix: str,
    p: float,
    counts: Path | None,
    sessions: str | None,
    worst: int,
    fail_under: float | None,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """How the lists in NEW differ from those in OLD: exports in any format of lists, files or folders of shards.

    \b
    embedrec diff yesterday.txt today.txt
    embedrec diff old.tsv.gz new.parquet -n 10 --sessions listens
    embedrec diff live/ next/ --fail-under .7 && mv next/ live/

    Overlap is the share of results that are in both lists of an item; rank-biased overlap (RBO) weighs the first ranks
    most, and is 1 for equal rankings; a shorter list is taken to go on as it agrees so far. Both are means over the
    lists in OLD that hold results: one that NEW lacks has none. Columns: the figure, then its values in OLD and in
    NEW, or one value of both. After them the lists that changed most: item, overlap, RBO, what was lost and gained.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.errors import DataError
    from embedrec.export.diff import compare_exports
    from embedrec.export.read_lists import IdCodes, read_lists

    if counts is not None and sessions is not None:
        raise click.UsageError("counts come from a table or from sessions; leave out --counts or --sessions")
    codes = IdCodes()
    with Progress("diff") as report:
        before, after = (
            read_lists(path, codes, form, prefix=prefix, encoded=encoded, report=report) for path in (old, new)
        )
        popular = counts_of(codes.ids, workspace, counts, sessions)
        found = compare_exports(before, after, codes, k=count, p=p, counts=popular, worst=worst)
    if as_json:
        figures = {name: _rounded(value) for name, value in found.figures.items()}
        with results():
            put(json_line({**figures, "worst": found.worst}))
    else:
        emit([_row(name, value) for name, value in found.figures.items()], False)
        emit([{**row, "lost": " ".join(row["lost"]), "gained": " ".join(row["gained"])} for row in found.worst], False)
    if fail_under is not None and found.overlap < fail_under:
        raise DataError(
            f"the mean overlap@{found.k} of {old} and {new} is {found.overlap:.4f}, which is under {fail_under:g}; "
            "look at the lists that changed most before the new export is used"
        )


def _row(name: str, value: Any) -> dict[str, Any]:
    pair = _rounded(value) if isinstance(value, tuple) else [_rounded(value), None]
    return {"figure": name, "old": _said(pair[0]), "new": _said(pair[1])}


def _said(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value
