"""`embedrec drift`."""

from __future__ import annotations

import click

from embedrec.cli.shared.gate_options import gate_options
from embedrec.cli.shared.options import (
    TARGET_NOT_MET,
    emit,
    json_option,
    log_option,
    note,
    note_artifact,
    result_output,
    seed_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.cli.shared.terminal import json_line, write_result
from embedrec.storage.workspace import Workspace
from embedrec.text.figures import changed_rows, figure_rows


@click.command(short_help="Measure what changed from one model or index to another.")
@click.argument("old")
@click.argument("new")
@click.option(
    "-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Results compared of each list."
)
@click.option(
    "--on",
    "sessions",
    metavar="SESSIONS",
    help="Also measure the recall of the next item of both models, on the held-out part of these sessions, or on all "
    "of them; needed by models without item neighbours, such as session kNN, whose recommendations are compared.",
)
@click.option(
    "--worst", type=click.IntRange(0), default=10, show_default=True, help="Number of most changed lists to print."
)
@gate_options()
@seed_option
@log_option
@threads_option
@json_option
@workspace_option
def drift(
    old: str,
    new: str,
    count: int,
    sessions: str | None,
    worst: int,
    min_overlap: float | None,
    max_recall_drop: float | None,
    max_metric_drop: float | None,
    seed: int,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Measure what changed from OLD to NEW, two models or two indexes.

    \b
    embedrec drift word2vec@3 word2vec
    embedrec drift word2vec word2vec-today
    embedrec drift word2vec word2vec-today --on today --min-overlap .6 --max-metric-drop .02
    embedrec drift word2vec-ivf word2vec-today-ivf --max-recall-drop .01

    Figures: items; cosine of both vectors of the items in both; overlap and rank-biased overlap of the lists of
    neighbours; coverage, the share of the items that lists contain; mean popularity of the results; shift of
    popularity, the share of events that items exchanged; recall. Columns: figure, its values in OLD and in NEW, or one
    value for both. The most changed lists follow: item, overlap, RBO, lost and gained results. Exits with code 3 if a
    threshold is not met. `embedrec diff` compares exported files.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.evaluation.drift_gate import Gate
    from embedrec.workflows.drift import DriftSettings, drift_record, find_versions, measure_drift

    gate = Gate(min_overlap, max_recall_drop, max_metric_drop)
    before, after = map(note_artifact, find_versions(workspace, old, new))
    on = None if sessions is None else note_artifact(workspace.find("sessions", sessions))
    use_threads(threads)
    with Progress("drift") as report:
        settings = DriftSettings(count, worst, seed=seed)
        result = measure_drift(workspace, before, after, settings, on=on, report=report)
    if as_json:
        with result_output():
            write_result(json_line(drift_record(result, before.name, after.name)))
    else:
        emit(figure_rows(result.figures()), False)
        emit(changed_rows(result.difference.worst), False)
    failures = gate.failures(result)
    if failures:
        note(f"embedrec: {after.name} is too far from {before.name}: {'; '.join(failures)}")
        raise click.exceptions.Exit(TARGET_NOT_MET)
