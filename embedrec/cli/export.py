"""`embedrec export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import stale_option, use_artifacts
from embedrec.cli.shared.engine_options import engine_options, spark_settings
from embedrec.cli.shared.list_options import export_source, list_source_options, note_effect, selection_options
from embedrec.cli.shared.options import (
    log_option,
    note,
    popularity_option,
    result_output,
    threads_option,
    use_threads,
    whitespace_option,
    workspace_option,
)
from embedrec.cli.shared.search_options import check_not_both, gpu_option, search_options
from embedrec.cli.shared.terminal import result_stream
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.vectors.file_formats import Format
    from embedrec.workflows.export import Exportable


@click.command(short_help="Write every item's neighbours to a file.")
@click.argument("file", metavar="FILE")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Results per list.")
@list_source_options
@click.option(
    "--format",
    "form",
    metavar="NAME",
    help="text, tsv, csv, jsonl, redis, parquet, word2vec or word2vec-binary, also as in tsv.gz or jsonl.zst "
    "[default: by suffix, else text].",
)
@click.option(
    "--header/--no-header", default=None, help="Column names as the first line of tsv and csv [default: csv only]."
)
@click.option("--names", is_flag=True, help="Write names next to ids, in tsv, csv, jsonl and parquet.")
@click.option("--shards", type=click.IntRange(1), metavar="N", help="Write FILE as a folder of N files and a manifest.")
@click.option("--prefix", default="similar:", show_default=True, help="Key prefix in the redis format.")
@selection_options
@click.option("--resume", is_flag=True, help="Resume an interrupted export to FILE.")
@stale_option
@popularity_option
@search_options("the index's")
@gpu_option
@whitespace_option
@engine_options
@log_option
@threads_option
@workspace_option
def export(file: str, threads: int, workspace: Workspace, **given: Any) -> None:
    """Write every item's neighbours to FILE, one line per item; '-' is stdout.

    Uses the latest index, or a newer cooccurrence model of the same data, which needs no index. A stale index or
    model, whose sources have changed since, is refused without --stale-ok.

    \b
    embedrec export similar.txt -n 20
    embedrec export similar.tsv.gz --min-score .5 --cap artist=2 --back-off
    embedrec export new.txt --where 'year>=2020' --exclude sold-out.txt
    embedrec export similar/ --shards 8 --format jsonl.zst
    embedrec export - --format redis | redis-cli --pipe
    embedrec export next.parquet --of recommendations --histories carts.csv
    embedrec export similar/ --shards 64 --engine spark --master spark://host:7077
    embedrec export items.vec

    \b
    Formats, by suffix or --format; .gz and .zst are compressed:
      text      .txt      seed_item similar_1 similar_2 ..., best first
      tsv       .tsv      item, rank, similar, score; one line per result
      csv       .csv      the columns of tsv, with a header
      jsonl     .jsonl    {"item": ..., "similar": [{"id": ..., "score": ...}, ...]}
      redis     .redis    a list at the key similar:ITEM, in the Redis protocol
      parquet   .parquet  the columns of tsv
      word2vec  .vec      vectors instead of lists; word2vec-binary is .bin

    --names adds the columns item_name and similar_name to tables if names are known, and "name" to every id in jsonl.

    Policies apply in the order of the options below, to more candidates than are written; their effect is printed on
    stderr. An interrupted export leaves the old FILE unchanged and keeps its results in a hidden folder for --resume.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.export.file_format import layout_of
    from embedrec.export.write_lists import ExportSettings, export_lists, stream_lists
    from embedrec.workflows.export import open_export_source

    spark = spark_settings(given["engine"], given["master"], given["spark_conf"])
    check_not_both(given["model"], given["index"])
    if file == "-" and spark is not None:
        raise click.UsageError("--engine spark writes a file or shards, not stdout; leave it out")
    if file == "-" and (given["shards"] is not None or given["resume"]):
        raise click.UsageError("stdout cannot be sharded or resumed; leave out --shards and --resume")
    if file.endswith("/") and given["shards"] is None:
        raise click.UsageError(f"{file} is a folder, but lists are written to one file; name a file, or add --shards")
    layout = layout_of(
        file.rstrip("/"),
        given["form"],
        shards=given["shards"],
        whitespace=given["whitespace"],
        prefix=given["prefix"],
        header=given["header"],
        names=given["names"],
    )
    settings = ExportSettings(given["count"], given["policies"], given["candidates"], layout)
    source = export_source(given, threads)
    opened = open_export_source(workspace, source)
    use_artifacts(workspace, opened.used, source.candidates(workspace), stale_ok=given["stale_ok"])
    for line in opened.messages:
        note(line)
    use_threads(threads)
    if not layout.holds_lists:
        if spark is not None:
            raise click.UsageError("--engine spark exports lists, not vectors; leave it out")
        _write_vectors(file, layout.vector_format, opened, given)
        return
    with Progress("export") as report:
        if file == "-":
            with result_output():
                done = stream_lists(
                    result_stream(), opened.lists, settings, opened.inputs, threads=threads, report=report
                )
            note_effect(done, settings.policies.describe(), min(settings.k, opened.lists.max_k))
            return
        if spark is not None:
            from embedrec.workflows.spark_export import export_on_spark

            done = export_on_spark(
                workspace, source, opened, settings, Path(file), spark, resume=given["resume"], report=report
            )
        else:
            done = export_lists(
                Path(file),
                opened.lists,
                settings,
                opened.inputs,
                opened.about,
                resume=given["resume"],
                threads=threads,
                report=report,
            )
    if done.changed:
        note("the interrupted export had another source or other settings; it starts again")
    if done.resumed:
        note(f"resumed after {done.resumed:,} of {done.lists:,} lists")
    note_effect(done, settings.policies.describe(), min(settings.k, opened.lists.max_k))
    what = "lines" if layout.kind in ("text", "jsonl") and layout.shards is None else "lists"
    shards = "" if layout.shards is None else f" ({layout.shards} shards)"
    note(f"wrote {done.lists} {what} to {file}{shards}")


def _write_vectors(file: str, kind: Format, opened: Exportable, given: dict[str, Any]) -> None:
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.cli.vectors import note_metadata
    from embedrec.vectors.file_formats import save_vectors

    if given["policies"].enabled() or given["allowed"] or given["resume"] or file == "-":
        raise click.UsageError(
            "vectors are exported to a file, without policies, filters or --resume; leave these options out"
        )
    vectors = opened.vectors()
    with Progress("export") as report:
        save_vectors(vectors, Path(file), kind, whitespace=given["whitespace"], report=report)
    note(f"wrote {len(vectors)} vectors to {file}")
    note_metadata(Path(file))
