"""`embedrec diff`."""

from __future__ import annotations

from pathlib import Path

import click

from embedrec.cli.shared.options import emit, json_option, log_option, result_output, workspace_option
from embedrec.cli.shared.terminal import json_line, write_result
from embedrec.storage.workspace import Workspace
from embedrec.text.figures import changed_rows, figure_rows, rounded_figures
from embedrec.workflows.diff import item_counts


@click.command(short_help="Compare two exports.")
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW")
@click.option("-n", "count", type=click.IntRange(1), help="Results to compare in each list [default: all].")
@click.option("--format", "form", metavar="NAME", help="Format of both files, as in export [default: by suffix].")
@click.option(
    "--encoded", is_flag=True, help="Ids in text files are percent-encoded, as written by export --whitespace encode."
)
@click.option("--prefix", default="similar:", show_default=True, help="Key prefix in the redis format.")
@click.option(
    "--p",
    type=float,
    default=0.9,
    show_default=True,
    help="Persistence of RBO: the weight of each rank relative to the previous one.",
)
@click.option(
    "--counts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Table of item and count, for popularity figures.",
)
@click.option("--sessions", metavar="NAME", help="Sessions whose item counts are used for popularity figures.")
@click.option(
    "--worst", type=click.IntRange(0), default=10, show_default=True, help="Number of most changed lists to print."
)
@click.option(
    "--fail-under", type=click.FloatRange(0, 1), metavar="X", help="Exit with code 1 if the mean overlap is lower."
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
    """Compare the lists in NEW with those in OLD: exports in any list format, files or folders of shards.

    \b
    embedrec diff yesterday.txt today.txt
    embedrec diff old.tsv.gz new.parquet -n 10 --sessions listens
    embedrec diff live/ next/ --fail-under .7 && mv next/ live/

    Overlap is the share of results that both lists of an item contain. Rank-biased overlap (RBO) gives more weight to
    the first ranks, and is 1 for equal rankings; shorter lists are extrapolated. Both are means over the non-empty
    lists in OLD; a list missing in NEW counts as 0. Columns: figure, its values in OLD and in NEW, or one value for
    both. The most changed lists follow: item, overlap, RBO, lost and gained results.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.errors import DataError
    from embedrec.export.diff import compare_exports
    from embedrec.export.read_lists import IdCodes, read_lists

    if counts is not None and sessions is not None:
        raise click.UsageError("--counts and --sessions are mutually exclusive; give one of them")
    codes = IdCodes()
    with Progress("diff") as report:
        before, after = (
            read_lists(path, codes, form, prefix=prefix, encoded=encoded, report=report) for path in (old, new)
        )
        popularity = item_counts(codes.ids, workspace, counts, sessions)
        result = compare_exports(before, after, codes, k=count, p=p, counts=popularity, worst=worst)
    if as_json:
        with result_output():
            write_result(json_line({**rounded_figures(result.figures), "worst": result.worst}))
    else:
        emit(figure_rows(result.figures), False)
        emit(changed_rows(result.worst), False)
    if fail_under is not None and result.overlap < fail_under:
        raise DataError(
            f"the mean overlap@{result.k} of {old} and {new} is {result.overlap:.4f}, which is below "
            f"--fail-under {fail_under:g}; inspect the most changed lists before using the new export"
        )
