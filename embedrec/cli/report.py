"""`embedrec report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import find_sessions
from embedrec.cli.shared.options import (
    device_option,
    log_option,
    note,
    seed_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.cli.shared.terminal import command_line
from embedrec.storage.lineage import line_of
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.storage.artifacts import Artifact


@click.command(short_help="Write an HTML report on data, models and indexes.")
@click.argument("file", type=click.Path(path_type=Path), default="report.html", metavar="[FILE]")
@click.option("--sessions", metavar="NAME", help="Sessions to report on [default: the latest].")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Models to include [default: all of the same data]; repeatable.",
)
@click.option("--title", metavar="TEXT", help="Title of the report [default: the name of the sessions].")
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="ITEM",
    help="Show the neighbours of this item, an id or name; repeatable.",
)
@click.option(
    "--label",
    metavar="FEATURE|FILE",
    help="Colour of the points on the map [default: a list feature, else popularity].",
)
@click.option(
    "--map",
    "way",
    type=click.Choice(["auto", "pca", "umap"]),
    default="auto",
    show_default=True,
    help="Projection of the map: principal components or UMAP; auto uses UMAP if it is installed.",
)
@click.option(
    "--compare/--no-compare",
    "compared",
    default=True,
    show_default=True,
    help="Evaluate the models on the held-out part, if the sessions have one.",
)
@click.option(
    "--curves/--no-curves",
    default=True,
    show_default=True,
    help="Measure recall and latency of each index with several search settings.",
)
@seed_option
@log_option
@threads_option
@device_option
@workspace_option
def report(
    file: Path,
    sessions: str | None,
    models: tuple[str, ...],
    title: str | None,
    items: tuple[str, ...],
    label: str | None,
    way: Any,
    compared: bool,
    curves: bool,
    seed: int,
    threads: int,
    device: str,
    workspace: Workspace,
) -> None:
    """Write a self-contained HTML report to FILE: data and popularity skew, comparison of models by user group,
    training curves, indexes, a map of the items, and neighbours of example items side by side.

    \b
    embedrec report
    embedrec report page.html --model word2vec --model svd --item "Daft Punk" --label genres
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.html_report.content import ReportSettings, collect_report
    from embedrec.html_report.page import write_page

    source = find_sessions(workspace, sessions)
    use_threads(threads)
    chosen = [workspace.find("model", name) for name in models] if models else _models_of(workspace, source)
    names = [artifact.name for artifact in chosen]
    indexes = [a.name for a in workspace.artifacts("index") if (a.about.get("indexed") or {}).get("name") in names]
    comparison = None
    if compared and names and "test_given.npy" in source:
        comparison = _compared(workspace, source, names, seed, threads, device)
    with Progress("report") as progress:
        content = collect_report(
            workspace,
            source.name,
            names,
            indexes,
            ReportSettings(items, label, way, curves, seed),
            comparison=comparison,
            report=progress,
        )
    write_page(file, title or source.name, content, command=command_line())
    note(f"wrote {file}")


def _models_of(workspace: Workspace, sessions: Artifact) -> list[Artifact]:
    """The models of the same data as these sessions, or of unknown data; prints a note for each of the others."""
    line = line_of(workspace, sessions)
    lines = [(artifact, line_of(workspace, artifact)) for artifact in workspace.artifacts("model")]
    for artifact, other in lines:
        if other[0] == "sessions" and other != line:
            note(f"model {artifact.name} of sessions {other[1]} is left out; --model {artifact.name} includes it")
    return [artifact for artifact, other in lines if other[0] != "sessions" or other == line]


def _compared(
    workspace: Workspace, source: Artifact, names: Sequence[str], seed: int, threads: int, device: str
) -> dict[str, Any]:
    """Metrics of the models on the held-out part, as `compare` computes them."""
    from embedrec.cli.shared.evaluation_options import evaluate_model, evaluation_settings, open_task
    from embedrec.workflows.compare import comparison_record, default_metrics
    from embedrec.workflows.evaluate import describe_task

    task = open_task(workspace, source.name, None, False, None, None, seed)
    at = tuple(k for k in (1, 5, 10, 20) if k <= len(task.train.vocab))
    settings = evaluation_settings(task, at, "conservative", None, "miss", 1000, seed)
    done = {
        name: evaluate_model(
            name,
            task,
            settings,
            workspace=workspace,
            config=None,
            pairs=(),
            labels=None,
            through=None,
            seed=seed,
            threads=threads,
            device=device,
        )
        for name in names
    }
    return {
        **describe_task(task, settings),
        **comparison_record(done, default_metrics(at[-1], labelled=False), task.train),
    }
