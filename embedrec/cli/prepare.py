"""`embedrec prepare`: one command a source."""

from __future__ import annotations

from typing import Any

import click

from embedrec.cli.shared.command_group import Named
from embedrec.cli.shared.prepare_options import (
    VALUES,
    feature_types_option,
    features_option,
    id_options,
    prepare_from,
    shared,
    stem_of,
    time_format_option,
    time_unit_option,
)
from embedrec.cli.sources import SOURCES
from embedrec.readers import FILTERED


@click.group(cls=Named)
def prepare() -> None:
    """Read files, filter, and write sessions."""


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
@shared(**FILTERED["mpd"])
def mpd(level: str, uris: str, name: str | None, **given: Any) -> None:
    """Playlists in the layout of the Million Playlist Dataset: .json, .json.gz or .zip files, folders, globs.

    \b
    embedrec prepare mpd data/ --level artist
    embedrec prepare mpd 'data/mpd.slice.*.json' --level track --top 10000 --min-tracks 6

    Filters work in the order of their options, --duplicates at the end. The article's single pass is --rounds 1.
    """
    prepare_from("mpd", {"level": level, "uris": uris}, name or f"mpd-{level}", **given)


@prepare.command()
@shared()
def movielens(name: str | None, **given: Any) -> None:
    """MovieLens: a folder (or its ratings file) of 100K, 1M, or a layout with ratings.csv. A session is a user.

    \b
    embedrec prepare movielens ml-100k/
    embedrec prepare movielens ml-100k/ --min-rating 4 --gap 30min
    """
    prepare_from("movielens", {}, name or "movielens", **given)


@prepare.command()
@click.option("--session", metavar="COLUMN", help="Column of the session id [default: guessed].")
@click.option("--item", metavar="COLUMN", help="Column of the item id [default: guessed].")
@click.option("--user", metavar="COLUMN", help="Column of the user id; without sessions, a user is one.")
@click.option(
    "--time",
    metavar="COLUMN",
    help="Column of the time [default: guessed; without one, the order of rows counts].",
)
@click.option("--order", metavar="COLUMN", help="Column of numbers that order a session's rows.")
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
    "--columns",
    default="",
    metavar="NAME,...",
    help="Names of the columns, where delimited text has no header: session,item,time.",
)
@time_unit_option
@time_format_option
@id_options
@features_option("item")
@features_option("user")
@feature_types_option
@shared()
def table(name: str | None, names: str | None, **options: Any) -> None:
    """A table with a session (or user) and an item a row: .csv, .tsv, .parquet, .jsonl, .json, .gz, .bz2, .xz, .zst.

    \b
    embedrec prepare table clicks.csv --session visit --item sku --time clicked_at
    embedrec prepare table clicks.csv --item sku --by user --gap 30min --min-count 5
    embedrec prepare table otto.jsonl --item 'events[].aid' --time 'events[].ts'
    """
    columns = ("session", "item", "user", "time", "order", "weight", "kind", "format", "columns", *VALUES)
    settings = {key: options.pop(key) for key in (*columns, "item_features", "user_features", "feature_types")}
    prepare_from("table", {**settings, "name": names}, name or stem_of(options["paths"]) or "table", **options)


for command in SOURCES:
    prepare.add_command(command)
