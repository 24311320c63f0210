"""`embedrec publish`: write neighbours and vectors to the stores of other services."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import use_artifacts
from embedrec.cli.shared.commands import SuggestingGroup
from embedrec.cli.shared.engine_options import spark_settings
from embedrec.cli.shared.list_options import export_source, note_effect
from embedrec.cli.shared.options import emit, note, use_threads
from embedrec.cli.shared.publish_options import (
    content_options,
    full_option,
    list_option,
    lists_or_rolls_back,
    service_options,
)
from embedrec.cli.shared.search_options import check_not_both
from embedrec.config import resolve
from embedrec.publish import TARGETS

if TYPE_CHECKING:
    from embedrec.progress import Report
    from embedrec.publish.content import PublishContent
    from embedrec.publish.generations import Generation
    from embedrec.storage.workspace import Workspace

_BOTH_IF_VECTORS = "both, or neighbours for models without vectors"


class Targets(SuggestingGroup):
    """A command for every target: one written below, else one made from its entry in the registry."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TARGETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in TARGETS:
            return None
        command = super().get_command(ctx, cmd_name) or service_command(cmd_name)
        command.short_help = TARGETS[cmd_name].summary
        return command


@click.group(cls=Targets, short_help="Publish neighbours and vectors to services or Parquet files.")
def publish() -> None:
    """Publish every item's neighbours, vectors, or both to a service or to Parquet files.

    With --of, the neighbours of training sessions or recommendations for --histories; filters and policies are those of
    `embedrec export`, and apply to lists, not to vectors.

    Uses the latest index, or a newer cooccurrence model of the same data, which needs no index. A stale index or
    model, whose sources have changed since, is refused without --stale-ok.

    A new generation is loaded next to the served one, then readers are switched in one step: they always see a complete
    generation, even if publishing is interrupted. Unchanged content is not written again unless part of it is lost.
    Redis and PostgreSQL are sent only the lists that differ from the served ones, if at most a quarter does.

    --list prints the generations: number, served or kept, seconds since it was last served, source, fingerprint.
    --rollback serves a kept generation (--keep) again, without loading it.

    With --engine spark, executors compute the lists, and this process sends them.

    Credentials are given in the URL or in the environment, and are never printed. Other users of the machine may see
    command-line arguments: prefer the environment.
    """


def service_command(name: str) -> click.Command:
    """The command of a target that has no options of its own."""
    entry = TARGETS[name]

    @click.command(name, help=f"{entry.summary}\n\nURL may also be set in {entry.url}.")
    @service_options(entry.url)
    @content_options(_BOTH_IF_VECTORS)
    def command(url: str, prefix: str, retries: int, **given: Any) -> None:
        _publish(name, (prefix,), url, retries, **given)

    return command


@publish.command("redis")
@service_options(TARGETS["redis"].url)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["list", "json"]),
    default="list",
    show_default=True,
    help="Type of the values: a list of ids, best first, or a JSON string with scores.",
)
@full_option
@content_options("")
def redis(url: str, prefix: str, kind: Any, full: bool, retries: int, **given: Any) -> None:
    """Publish neighbours to Redis at URL: redis://, rediss:// (TLS), unix://. URL may also be set in
    EMBEDREC_REDIS_URL, the password in REDISCLI_AUTH.

    \b
    embedrec publish redis redis://127.0.0.1:6379/0 -n 50
    embedrec publish redis rediss://user@cache.example.com:6380/0 --format json --keep 2

    The key of an item is PREFIX:NUMBER:ITEM. Readers get the number from PREFIX:served, then the key.
    """
    _publish("redis", (prefix, kind, full), url, retries, items="neighbours", new_space=False, **given)


@publish.command("postgres")
@service_options(TARGETS["postgres"].url)
@click.option("--schema", metavar="NAME", help="Schema of the tables [default: the connection's].")
@click.option("--hnsw", is_flag=True, help="Create an HNSW index on the vectors.")
@full_option
@content_options(_BOTH_IF_VECTORS)
def postgres(url: str, prefix: str, schema: str | None, hnsw: bool, full: bool, retries: int, **given: Any) -> None:
    """Publish neighbours and vectors to PostgreSQL at URL: postgresql://. URL may also be set in
    EMBEDREC_POSTGRES_URL; the variables of libpq, such as PGPASSWORD, are used too.

    \b
    embedrec publish postgres postgresql://127.0.0.1/shop
    embedrec publish postgres "postgresql://user@db.example.com/shop?sslmode=verify-full" --hnsw

    Readers query the views PREFIX_neighbours (item, rank, other, score) and PREFIX_vectors (item, vector).
    """
    _publish("postgres", (prefix, schema, hnsw, full), url, retries, **given)


@publish.command("qdrant")
@service_options(TARGETS["qdrant"].url)
@content_options("both")
def qdrant(url: str, prefix: str, retries: int, **given: Any) -> None:
    """Publish vectors, with neighbours in their payloads, to Qdrant at URL: http://, https://, or a folder for the
    client's local mode. URL may also be set in EMBEDREC_QDRANT_URL, the API key in QDRANT_API_KEY.

    \b
    embedrec publish qdrant http://127.0.0.1:6333
    embedrec publish qdrant qdrant-data/ --items vectors

    Readers query the alias PREFIX. Do not run two publishes at the same time.
    """
    if given["items"] == "neighbours":
        raise click.UsageError("Qdrant stores vectors; use --items vectors or both")
    given["items"] = given["items"] or "both"
    _publish("qdrant", (prefix,), url, retries, **given)


@publish.command("parquet")
@click.argument("folder", type=click.Path(path_type=Path))
@list_option
@content_options(_BOTH_IF_VECTORS)
def parquet(
    folder: Path, listing: bool, dry_run: bool, new_space: bool, as_json: bool, threads: int, **given: Any
) -> None:
    """Publish neighbours (item, rank, other, score) and vectors as Parquet files in FOLDER, which is replaced as a
    whole; no older generation is kept.

    \b
    embedrec publish parquet similar/ -n 50
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.publish.parquet import folder_generation, measure_folder, publish_folder

    if lists_or_rolls_back(listing, False, None):
        _print_generations([folder_generation(folder)], as_json)
        return
    with Progress("publish") as report, _content(threads, report, **given) as content:
        if dry_run:
            _print_plan("parquet", measure_folder(content), as_json)
            return
        started = perf_counter()
        done = publish_folder(content, folder, new_space=new_space, report=report)
    _print_result("parquet", str(folder), done.generation, done.written, perf_counter() - started, as_json)


def _publish(
    name: str,
    options: tuple[Any, ...],
    url: str,
    retries: int,
    *,
    listing: bool,
    rollback: bool,
    generation: int | None,
    keep: int,
    grace: float,
    dry_run: bool,
    new_space: bool,
    as_json: bool,
    threads: int,
    **given: Any,
) -> None:
    """Publish to the service `name` of the registry; `options` are those of its `Target`, after the endpoint."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.publish import generations
    from embedrec.publish.endpoint import Endpoint, Retries

    read_only = lists_or_rolls_back(listing, rollback, generation)
    with Progress("publish") as report:
        endpoint = Endpoint(url, os.environ.get(TARGETS[name].secret) or None, Retries(retries), report)
        target = resolve(TARGETS, name, "target")(endpoint, *options)
        if read_only and listing:
            _print_generations(generations.generations_at(target), as_json)
            return
        if read_only:
            now, before = generations.rollback(target, generation)
            note(f"{endpoint} serves generation {now} again, not {before or 'none'}; another --rollback reverts this")
            emit([{"target": name, "generation": now, "before": before}], as_json)
            return
        with _content(threads, report, **given) as content:
            if dry_run:
                _print_plan(name, target.measure(content), as_json)
                return
            started = perf_counter()
            done = generations.publish(content, target, keep=keep, grace=grace, new_space=new_space, report=report)
    _print_result(name, str(endpoint), done.generation, done.written, perf_counter() - started, as_json)


def _print_generations(generations: Sequence[Generation], as_json: bool) -> None:
    if not generations:
        note("no generations")
    emit(
        (
            {
                "generation": g.number,
                "state": "served" if g.served else "kept",
                "retired_seconds": None if g.served else round(g.retired, 1),
                "source": g.source,
                "fingerprint": g.fingerprint,
            }
            for g in generations
        ),
        as_json,
    )


def _print_plan(name: str, size: Any, as_json: bool) -> None:
    note("nothing is written; the plan:")
    emit([{"target": name, **size}], as_json)


def _print_result(name: str, destination: str, generation: int, written: Any, seconds: float, as_json: bool) -> None:
    if not written:
        note(f"{destination} already serves this content as generation {generation}; nothing is written")
    else:
        note(f"published generation {generation} to {destination}")
    emit([{"target": name, "generation": generation, **written, "seconds": round(seconds, 3)}], as_json)


@contextmanager
def _content(
    threads: int, report: Report, *, items: str | None, stale_ok: bool, workspace: Workspace, **given: Any
) -> Iterator[PublishContent]:
    """The content that the options name; afterwards, the effect of policies is printed."""
    from embedrec.export.write_lists import ExportSettings
    from embedrec.workflows.export import open_export_source
    from embedrec.workflows.publish import build_publish_content

    spark = spark_settings(given["engine"], given["master"], given["spark_conf"])
    if spark is not None and items == "vectors":
        raise click.UsageError("--engine spark computes lists, which --items vectors leaves out; leave it out")
    check_not_both(given["model"], given["index"])
    source = export_source(given, threads)
    settings = ExportSettings(given["count"], given["policies"], given["candidates"])
    opened = open_export_source(workspace, source)
    use_artifacts(workspace, opened.used, source.candidates(workspace), stale_ok=stale_ok)
    for line in opened.messages:
        note(line)
    use_threads(threads)
    if spark is None:
        from embedrec.export.select_lists import select_lists

        selecting = select_lists(opened.lists, settings, opened.inputs, threads=threads, report=report)
    else:
        from embedrec.workflows.spark_export import select_on_spark

        selecting = select_on_spark(workspace, source, opened, settings, spark, report=report)
    with selecting as selected:
        yield build_publish_content(opened, source, settings, selected.lists, items=items)
        if selected.result is not None:
            note_effect(selected.result, settings.policies.describe(), min(settings.k, opened.lists.max_k))
