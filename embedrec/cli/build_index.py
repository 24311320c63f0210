"""`embedrec build-index`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import find_model
from embedrec.cli.shared.engine_options import engine_options, spark_settings
from embedrec.cli.shared.options import (
    TARGET_NOT_MET,
    emit,
    json_option,
    log_option,
    note,
    note_artifact,
    popularity_option,
    seed_option,
    space_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.cli.shared.search_options import gpu_option, search_options
from embedrec.index.index_types import AUTO, INDEXES
from embedrec.index.search_settings import SearchSettings
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.workflows.build_index import Indexed

_AUTO_SUMMARY = "the fastest of these and their settings that meets the target"
_ON_DISK = ", ".join(name for name, entry in INDEXES.items() if entry.on_disk)
# columns on a terminal, beside recall@k
_SHOWN = ("index", "spec", "items", "nprobe", "ef_search", "rerank", "query_ms_p95", "bytes_per_vector", "kept")


class IndexTypeHelp(click.Command):
    """A command whose help lists the index types."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Types"):
            formatter.write_dl([*((name, entry.summary) for name, entry in INDEXES.items()), (AUTO, _AUTO_SUMMARY)])
        super().format_options(ctx, formatter)


@click.command("build-index", cls=IndexTypeHelp, short_help="Build a FAISS index of a model and measure it.")
@click.option(
    "--type",
    "kind",
    default=AUTO,
    show_default=True,
    metavar="TYPE",
    help="A type listed above, or a FAISS factory string.",
)
@click.option(
    "--of",
    "of",
    type=click.Choice(["items", "answers", "sessions"]),
    default="items",
    show_default=True,
    help="items: item vectors, for `similar`; answers: output vectors and biases, for `recommend`, measured on "
    "histories; sessions: vectors of the training sessions, for `neighbours`.",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --of sessions, event weights: decay=.8, idf=1, plays=each|once|log [default: as in queries].",
)
@popularity_option
@click.option("--metric", type=click.Choice(["cosine", "dot", "l2"]), help="Metric [default: the model's].")
@click.option(
    "--target-recall",
    metavar="SHARE@K",
    help="Target: minimum recall of the exact K nearest neighbours, for lists of up to K; searches for longer lists "
    "widen to about the same recall, which is not measured [default: .99@20].",
)
@click.option("--max-p95", metavar="TIME", help="Target: maximum 95th percentile of single-query latency, such as 2ms.")
@click.option(
    "--max-ram",
    metavar="SIZE",
    help="Target: maximum memory of the FAISS index, such as 4G; exact vectors are memory-mapped from disk.",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help=f"Memory limit (512M, 2G): cells of {_ON_DISK} that exceed it are written to disk; "
    "the vectors of --of sessions and all ids must fit [default: no limit].",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Also plot the measurements as SVG.")
@search_options("tuned for the target recall")
@space_option
@click.option("--model", metavar="NAME", help="Model to index [default: the latest].")
@click.option("--name", metavar="NAME", help="Name of the index [default: MODEL-TYPE].")
@gpu_option
@engine_options
@seed_option
@log_option
@threads_option
@json_option
@workspace_option
def build_index(
    kind: str,
    of: Indexed,
    pairs: tuple[str, ...],
    popularity: float | None,
    metric: Any,
    target_recall: str | None,
    max_p95: str | None,
    max_ram: str | None,
    memory: str | None,
    plot: Path | None,
    settings: SearchSettings,
    space: str | None,
    model: str | None,
    name: str | None,
    device: str,
    engine: str,
    master: str | None,
    spark_conf: tuple[str, ...],
    seed: int,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Build a FAISS index of the latest model's items, answers or sessions, and measure its recall.

    With --type auto or a target, several types and settings are measured, and the fastest that meets the target is
    written. If none meets it, nothing is written and the exit code is 3. A terminal shows the main measurements; a pipe
    and --json give all of them.

    \b
    embedrec build-index
    embedrec build-index --target-recall .98@20 --max-p95 2ms --max-ram 4G
    embedrec build-index --type ivf
    embedrec build-index --type ivf-sq8 --memory 2G
    embedrec build-index --type ivf-sq8 --engine spark --master spark://host:7077
    embedrec build-index --type flat --popularity .5
    embedrec build-index --of answers --model gru4rec
    embedrec build-index --of sessions --model projection
    embedrec build-index --of sessions --model word2vec --set idf=1 --set plays=once
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.config import build, parse_pairs
    from embedrec.errors import TargetNotMet
    from embedrec.evaluation.plots import check_plots
    from embedrec.index.target import parse_target
    from embedrec.models.session_encoders import Weights
    from embedrec.storage.memory_budget import parse_size
    from embedrec.workflows.build_index import (
        IndexSettings,
        build_index_artifact,
        features_for_index,
        index_name,
        sessions_to_index,
    )

    spark = spark_settings(engine, master, spark_conf)
    target = parse_target(target_recall, max_p95, max_ram)
    if plot is not None:
        check_plots()
    source = find_model(workspace, model)
    use_threads(threads)
    folder = workspace.folder("index", name or index_name(source.name, kind, of))
    sessions = sessions_to_index(workspace, source, of)
    if sessions is not None:
        note_artifact(sessions)
    weights = build(Weights, parse_pairs(pairs), source="--set") if pairs else None
    try:
        with Progress("build-index") as report:
            features = None if of == "sessions" else features_for_index(workspace, source, report)
            done = build_index_artifact(
                source,
                folder,
                IndexSettings(
                    kind,
                    of,
                    weights,
                    popularity,
                    metric,
                    settings,
                    target,
                    device,
                    seed,
                    None if memory is None else parse_size(memory),
                    space,
                ),
                sessions=sessions,
                features=features,
                spark=spark,
                report=report,
            )
    except TargetNotMet as e:
        _emit([{"index": "", **point, "kept": False} for point in e.points], as_json)
        _draw(e.points, f"{source.name}: no index meets the target", plot)
        note(f"embedrec: {e}")
        raise click.exceptions.Exit(TARGET_NOT_MET) from None
    note(f"wrote index {done.name} ({done.folder})")
    about = done.about
    points = about["facts"].get("points")
    one = {"spec": about["spec"], "items": about["items"], **about["facts"]}
    _emit([{"index": done.name, **point} for point in points or [one]], as_json)
    _draw(points or [{**one, "kept": True}], f"{done.name}: {about['items']:,} items", plot)


def _emit(points: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print measurements: all in a pipe and as JSON, those of `_SHOWN` that have values on a terminal."""
    values = {name: [point[name] for point in points] for name in (points[0] if points else ())}
    shown = {name for name in values if name in _SHOWN or name.startswith("recall@")}
    emit(points, as_json, columns={name for name in shown if set(values[name]) - {None, ""}})


def _draw(points: Sequence[Mapping[str, Any]], title: str, plot: Path | None) -> None:
    """Plot the measurements to `plot`, unless it is None."""
    from embedrec.evaluation.plots import draw_points

    if plot is None:
        return
    if not points:
        note(f"no measurements; {plot} is not written")
        return
    draw_points(points, title, plot)
    note(f"wrote {plot}")
