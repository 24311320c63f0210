"""Commands of `embedrec prepare` for data sets and layouts of papers and other packages."""

from __future__ import annotations

from typing import Any

import click

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


@click.command(short_help="Spotify's Music Streaming Sessions Dataset.")
@click.option(
    "--features",
    default="",
    metavar="PATH",
    help="Track features [default: tf_*.csv, track_features* among the paths].",
)
@click.option(
    "--skips",
    type=click.Choice(["state", "binary", "none"]),
    default="state",
    show_default=True,
    help="The kind of an event: which of skip_1 to not_skipped holds, skipped or played, or none.",
)
@click.option(
    "--time",
    type=click.Choice(["none", "hour"]),
    default="none",
    show_default=True,
    help="Times: none, or the date and hour of day.",
)
@shared()
def mssd(features: str, skips: str, time: str, name: str | None, **given: Any) -> None:
    """Spotify's Music Streaming Sessions Dataset: logs and track features, .csv, .parquet, also in .gz, .tar.gz, .zip.

    \b
    embedrec prepare mssd training_set.tar.gz --features track_features.tar.gz
    embedrec prepare mssd mssd/ --skips binary --time hour
    """
    prepare_from("mssd", {"features": features, "skips": skips, "time": time}, name or "mssd", **given)


@click.command(short_help="Last.fm 1K: histories of 992 listeners.")
@click.option(
    "--level", type=click.Choice(["track", "artist"]), default="track", show_default=True, help="What an item is."
)
@click.option("--tags", default="", metavar="FILE", help="Tags: item id or name, tag, count, with TABs between them.")
@click.option(
    "--min-tags", type=click.IntRange(1), default=1, show_default=True, help="Leave out rarer tags of an item."
)
@shared()
def lastfm1k(level: str, tags: str, min_tags: int, name: str | None, **given: Any) -> None:
    """Last.fm 1K: userid-timestamp-artid-artname-traid-traname.tsv, its folder or archive. A session is a user.

    \b
    embedrec prepare lastfm1k lastfm-dataset-1K.tar.gz --gap 30min --on-bad-row skip
    embedrec prepare lastfm1k lastfm-dataset-1K/ --level artist --tags tags.tsv
    """
    settings = {"level": level, "tags": tags, "min_tags": min_tags}
    prepare_from("lastfm1k", settings, name or f"lastfm1k-{level}", **given)


@click.command(short_help="HetRec 2011 Last.fm 2K: play counts and tags.")
@click.option(
    "--min-tags", type=click.IntRange(1), default=1, show_default=True, help="Tags that fewer users gave are left out."
)
@shared()
def hetrec(min_tags: int, name: str | None, **given: Any) -> None:
    """HetRec 2011 Last.fm 2K: play counts of artists, names and tags, as .dat or .parquet. A session is a user.

    There are no times: the order of a user's artists is that of the file.

    \b
    embedrec prepare hetrec hetrec2011-lastfm-2k.zip --min-tags 2
    """
    prepare_from("hetrec", {"min_tags": min_tags}, name or "hetrec", **given)


@click.command(short_help="RecBole's atomic files: .inter, .item, .user.")
@click.option("--session", metavar="COLUMN", help="Column of the session id [default: session_id, else the user].")
@click.option("--item", metavar="COLUMN", help="Column of the item id [default: item_id].")
@click.option("--user", metavar="COLUMN", help="Column of the user id [default: user_id].")
@click.option("--time", metavar="COLUMN", help="Column of the time [default: timestamp].")
@click.option("--weight", metavar="COLUMN", help="Column of a weight [default: rating].")
@click.option("--kind", metavar="COLUMN", help="Column of the event's kind.")
@time_unit_option
@time_format_option
@id_options
@shared()
def recbole(name: str | None, **given: Any) -> None:
    """RecBole's atomic files: .inter, with the features in .item and .user beside it.

    \b
    embedrec prepare recbole ml-100k/
    """
    settings = {key: given.pop(key) for key in ("session", "item", "user", "time", "weight", "kind", *VALUES)}
    prepare_from("recbole", settings, name or stem_of(given["paths"]) or "recbole", **given)


@click.command(short_help="Tables of SessionId, ItemId, Time or pos.")
@click.option("--test", metavar="FILE", help="The held-out part: another such table, or prefixes with targets.")
@click.option("--session", metavar="COLUMN", help="Column of the session id [default: SessionId, in any writing].")
@click.option("--item", metavar="COLUMN", help="Column of the item id [default: ItemId].")
@click.option("--time", metavar="COLUMN", help="Column of the time [default: Time].")
@click.option("--order", metavar="COLUMN", help="Column of positions [default: pos, where there is no time].")
@click.option(
    "--format",
    type=click.Choice(["auto", "csv", "tsv", "parquet", "jsonl"]),
    default="auto",
    show_default=True,
    help="Format of the files; auto goes by suffix.",
)
@time_unit_option
@time_format_option
@id_options
@features_option("item")
@feature_types_option
@shared()
def sessions(test: str | None, name: str | None, **given: Any) -> None:
    """Tables of SessionId, ItemId and Time (or pos) as in GRU4Rec and session-rec: .tsv, .csv, .parquet.

    Filters apply to the training part only; --by and --gap do not go with --test.

    \b
    embedrec prepare sessions rsc15_train_full.tsv --test rsc15_test.tsv
    embedrec prepare sessions train_sessions.parquet --test test_prefixes.parquet
    """
    keys = ("session", "item", "time", "order", "format", *VALUES, "item_features", "feature_types")
    settings = {key: given.pop(key) for key in keys}
    prepare_from("sessions", settings, name or stem_of(given["paths"]) or "sessions", test=test, **given)


@click.command(short_help="Session maps of wsknn; weighted events.")
@click.option("--actions", default="", metavar="KIND=WEIGHT,...", help="Kinds that are read, and their weights.")
@click.option("--session", metavar="COLUMN", help="Tables: column of the session id [default: guessed].")
@click.option("--item", metavar="COLUMN", help="Tables: column of the item id [default: guessed].")
@click.option("--time", metavar="COLUMN", help="Tables: column of the time [default: guessed].")
@click.option("--weight", metavar="COLUMN", help="Tables: column of a weight [default: guessed].")
@click.option("--kind", metavar="COLUMN", help="Tables: column of the event's kind [default: guessed].")
@time_unit_option
@time_format_option
@id_options
@features_option("item")
@feature_types_option
@shared()
def wsknn(name: str | None, **given: Any) -> None:
    """Sessions as the package wsknn has them: {session: [items, times, kinds, weights]} in JSON, or tables of events.

    \b
    embedrec prepare wsknn sessions.json
    embedrec prepare wsknn events.jsonl.gz --actions view=1,cart=2,purchase=5
    """
    keys = ("actions", "session", "item", "time", "weight", "kind", *VALUES, "item_features", "feature_types")
    settings = {key: given.pop(key) for key in keys}
    prepare_from("wsknn", settings, name or stem_of(given["paths"]) or "wsknn", **given)


SOURCES = (mssd, lastfm1k, hetrec, recbole, sessions, wsknn)
