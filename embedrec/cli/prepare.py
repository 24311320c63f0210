"""`embedrec prepare`: one command a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from embedrec.artifacts import plain_from
from embedrec.cli.common import emit, json_option, note, threads_option, workspace_option
from embedrec.cli.named import Named
from embedrec.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=Named)
def prepare() -> None:
    """Read files, filter, and write sessions."""


def _shared(repeats: str) -> Callable[[F], F]:
    """Paths and the options that every source has; `repeats` is the default of --repeats."""
    options = [
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
        click.option("--min-tracks", type=click.IntRange(1), help="Drop sessions with fewer rows in the files."),
        click.option("--top", type=click.IntRange(1), help="Keep the so many most mentioned items."),
        click.option("--min-count", type=click.IntRange(1), help="Drop items with fewer mentions."),
        click.option(
            "--min-length",
            type=click.IntRange(1),
            default=2,
            show_default=True,
            help="Drop sessions with fewer rows left.",
        ),
        click.option("--max-length", type=click.IntRange(1), help="Drop sessions with more rows left."),
        click.option(
            "--repeats",
            type=click.Choice(["first", "all"]),
            default=repeats,
            show_default=True,
            help="Mentions of an item in a session: the first, or all.",
        ),
        click.option(
            "--on-bad-row",
            type=click.Choice(["fail", "skip"]),
            default="fail",
            show_default=True,
            help="Stop at a row that cannot be used, or leave it out and count it.",
        ),
        click.option("--name", metavar="NAME", help="Name of the sessions [default: from the source]."),
        json_option,
        threads_option,
        workspace_option,
    ]

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@prepare.command()
@click.option(
    "--level",
    type=click.Choice(["artist", "track", "album"]),
    default="artist",
    show_default=True,
    help="What an item is.",
)
@click.option(
    "--uris",
    type=click.Choice(["keep", "cut"]),
    default="keep",
    show_default=True,
    help="Keep or cut the prefix 'spotify:artist:'.",
)
@_shared(repeats="first")
def mpd(level: str, uris: str, name: str | None, **shared: Any) -> None:
    """Playlists in the layout of the Million Playlist Dataset: .json, .json.gz or .zip files, folders, globs.

    \b
    embedrec prepare mpd data/ --level artist
    embedrec prepare mpd 'data/mpd.slice.*.json' --level track --top 10000 --min-tracks 6

    Filters work in the order of their options, from --min-tracks to --repeats.
    """
    _prepare("mpd", {"level": level, "uris": uris}, name or f"mpd-{level}", **shared)


@prepare.command()
@click.option("--min-rating", type=float, default=0.0, show_default=True, help="Leave out ratings below this.")
@_shared(repeats="all")
def movielens(min_rating: float, name: str | None, **shared: Any) -> None:
    """MovieLens: a folder (or its ratings file) of 100K, 1M, or a layout with ratings.csv. A session is a user.

    \b
    embedrec prepare movielens ml-100k/
    """
    _prepare("movielens", {"min_rating": min_rating}, name or "movielens", **shared)


@prepare.command()
@click.option("--session", metavar="COLUMN", help="Column of the session id [default: guessed].")
@click.option("--item", metavar="COLUMN", help="Column of the item id [default: guessed].")
@click.option("--user", metavar="COLUMN", help="Column of the user id; without sessions, a user is one.")
@click.option(
    "--time",
    metavar="COLUMN",
    help="Column of the time [default: guessed; without one, the order of rows counts].",
)
@click.option("--weight", metavar="COLUMN", help="Column of a weight, such as a rating or a play count.")
@click.option("--title", "names", metavar="COLUMN", help="Column of the item's display name.")
@click.option("--kind", metavar="COLUMN", help="Column of the event's kind, such as click or buy.")
@click.option(
    "--format",
    type=click.Choice(["auto", "csv", "tsv", "parquet", "jsonl"]),
    default="auto",
    show_default=True,
    help="Format of the files; auto goes by suffix.",
)
@click.option(
    "--time-unit",
    type=click.Choice(["auto", "s", "ms", "iso"]),
    default="auto",
    show_default=True,
    help="Unit of the time column.",
)
@_shared(repeats="all")
def table(name: str | None, names: str | None, **options: Any) -> None:
    """Any table with a session (or user) and an item a row: .csv, .tsv, .parquet, .jsonl, also .gz.

    \b
    embedrec prepare table clicks.csv --session visit --item sku --time clicked_at
    """
    columns = ("session", "item", "user", "time", "weight", "kind", "format", "time_unit")
    settings = {key: options.pop(key) for key in columns}
    stem = plain_from(Path(options["paths"][0]).name.removesuffix(".gz").rpartition(".")[0])
    _prepare("table", {**settings, "name": names}, name or stem or "table", **options)


def _prepare(source: str, settings: dict[str, Any], name: str, **shared: Any) -> None:
    from dataclasses import fields

    from embedrec import steps
    from embedrec.cli.progress import Progress
    from embedrec.config import build
    from embedrec.data.filters import Filters
    from embedrec.readers import BadRows, reader

    workspace: Workspace = shared["workspace"]
    filters = Filters(**{f.name: shared[f.name] for f in fields(Filters)})
    bad_rows = BadRows(shared["on_bad_row"])
    with Progress("prepare") as report:
        done = steps.prepare(
            source,
            build(reader(source), settings, given="the options"),
            shared["paths"],
            workspace.folder("sessions", name),
            filters,
            bad_rows=bad_rows,
            workers=shared["threads"],
            report=report,
        )
    about = done.about
    for line in bad_rows.lines():
        note(line)
    for step in about["removed"]:
        note(
            f"--{step['filter'].replace('_', '-')} {step['setting']} removed {step['sessions']:,} sessions, "
            f"{step['items']:,} items, {step['events']:,} events"
        )
    note(f"wrote sessions {done.name} ({done.folder})")
    emit(
        [{"sessions": about["sessions"], "items": about["items"], "events": about["events"]}],
        shared["as_json"],
    )
