"""`embedrec prepare`: one command per source."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from embedrec.cli.shared.commands import SuggestingGroup
from embedrec.cli.shared.prepare_options import (
    VALUES,
    column_options,
    feature_types_option,
    features_option,
    format_option,
    prepare_from,
    shared,
    value_options,
)
from embedrec.readers import READERS, reader
from embedrec.text.setting_descriptions import describe_settings


class ReaderCommand(click.Command):
    """A command with an option for each setting of the reader of its name, which is imported only for that."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*setting_options(reader(str(self.name))), *super().get_params(ctx)]


class Sources(SuggestingGroup):
    """A command for every reader: one written below, else one made from the reader's settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(READERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in READERS:
            return None
        command = super().get_command(ctx, cmd_name) or reader_command(cmd_name)
        command.short_help = READERS[cmd_name].summary
        return command


@click.group(cls=Sources)
def prepare() -> None:
    """Read, filter and write sessions."""


def reader_command(source: str) -> click.Command:
    """The command of a reader from its entry in the registry and its settings."""
    entry = READERS[source]

    @click.command(source, cls=ReaderCommand, help=f"{entry.summary}\n\n\b\nembedrec prepare {source} PATH...")
    @shared(**entry.filters)
    def command(name: str | None, **options: Any) -> None:
        shared_names = {parameter.name for parameter in command.params}
        settings = {key: options.pop(key) for key in list(options) if key not in shared_names}
        prepare_from(source, settings, name, **options)

    return command


def setting_options(cls: type) -> list[click.Parameter]:
    """An option for each setting of a dataclass, described in its docstring: of texts, numbers, choices and flags."""
    texts, kinds = describe_settings(cls), get_type_hints(cls)
    options: list[click.Parameter] = []
    for field in fields(cls):
        flag = f"--{field.name.replace('_', '-')}"
        common: dict[str, Any] = {
            "default": field.default,
            "help": f"{texts[field.name][:1].upper()}{texts[field.name][1:]}.",
        }
        if get_origin(kinds[field.name]) is Literal:
            options.append(
                click.Option([flag], type=click.Choice(get_args(kinds[field.name])), show_default=True, **common)
            )
        elif kinds[field.name] is bool:
            options.append(click.Option([f"{flag}/--no-{flag[2:]}"], show_default=True, **common))
        elif get_origin(kinds[field.name]) not in (tuple, dict):
            options.append(click.Option([flag], type=str, show_default=field.default not in (None, ""), **common))
    return options


@prepare.command()
@click.option(
    "--level",
    type=click.Choice(["artist", "track", "album"]),
    default="artist",
    show_default=True,
    help="Entity that is an item.",
)
@click.option(
    "--uris",
    type=click.Choice(["keep", "cut"]),
    default="keep",
    show_default=True,
    help="Keep or remove the prefix 'spotify:artist:'.",
)
@shared(**READERS["mpd"].filters)
def mpd(level: str, uris: str, name: str | None, **given: Any) -> None:
    """Playlists in the layout of the Million Playlist Dataset: .json, .json.gz or .zip files, folders, globs.

    \b
    embedrec prepare mpd data/ --level artist
    embedrec prepare mpd 'data/mpd.slice.*.json' --level track --top 10000 --min-tracks 6

    Filters apply in the order of their options, --duplicates at the end. --rounds 1 is the single pass of the article.
    """
    prepare_from("mpd", {"level": level, "uris": uris}, name, **given)


@prepare.command()
@column_options(
    session="Column of the session id [default: guessed].",
    item="Column of the item id [default: guessed].",
    user="Column of the user id; without a session column, a user is a session.",
    time="Column of the time [default: guessed; without one, the order of rows is used].",
    order="Column of numbers that orders the rows of a session.",
    weight="Column of a weight, such as a rating or a play count.",
)
@click.option("--title", "names", metavar="COLUMN", help="Column of the item's display name.")
@click.option("--kind", metavar="COLUMN", help="Column of the event's kind, such as click or buy.")
@format_option
@click.option(
    "--columns",
    default="",
    metavar="NAME,...",
    help="Column names of delimited text without a header: session,item,time.",
)
@value_options
@features_option("item")
@features_option("user")
@feature_types_option
@shared()
def table(name: str | None, names: str | None, **options: Any) -> None:
    """A table with a session (or user) and an item per row: .csv, .tsv, .parquet, .jsonl, .json, .gz, .bz2, .xz, .zst.

    \b
    embedrec prepare table clicks.csv --session visit --item sku --time clicked_at
    embedrec prepare table clicks.csv --item sku --by user --gap 30min --min-count 5
    embedrec prepare table otto.jsonl --item 'events[].aid' --time 'events[].ts'
    """
    columns = ("session", "item", "user", "time", "order", "weight", "kind", "format", "columns", *VALUES)
    settings = {key: options.pop(key) for key in (*columns, "item_features", "user_features", "feature_types")}
    prepare_from("table", {**settings, "name": names}, name, **options)


@prepare.command()
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
    help="Kind of an event: skip_1 to not_skipped, skipped or played, or none.",
)
@click.option(
    "--time",
    type=click.Choice(["none", "hour"]),
    default="none",
    show_default=True,
    help="Time of an event: none, or date and hour of day.",
)
@shared()
def mssd(features: str, skips: str, time: str, name: str | None, **given: Any) -> None:
    """Spotify's Music Streaming Sessions Dataset: logs and track features, .csv, .parquet, also in .gz, .tar.gz, .zip.

    \b
    embedrec prepare mssd training_set.tar.gz --features track_features.tar.gz
    embedrec prepare mssd mssd/ --skips binary --time hour
    """
    prepare_from("mssd", {"features": features, "skips": skips, "time": time}, name, **given)


@prepare.command()
@click.option(
    "--level",
    type=click.Choice(["track", "artist"]),
    default="track",
    show_default=True,
    help="Entity that is an item.",
)
@click.option("--tags", default="", metavar="FILE", help="TAB separated tags: item id or name, tag, count.")
@click.option(
    "--min-tags", type=click.IntRange(1), default=1, show_default=True, help="Minimum count of a tag of an item."
)
@shared()
def lastfm1k(level: str, tags: str, min_tags: int, name: str | None, **given: Any) -> None:
    """Last.fm 1K: userid-timestamp-artid-artname-traid-traname.tsv, its folder or archive. A session is a user.

    \b
    embedrec prepare lastfm1k lastfm-dataset-1K.tar.gz --gap 30min --on-bad-row skip
    embedrec prepare lastfm1k lastfm-dataset-1K/ --level artist --tags tags.tsv
    """
    settings = {"level": level, "tags": tags, "min_tags": min_tags}
    prepare_from("lastfm1k", settings, name, **given)


@prepare.command()
@click.option(
    "--min-tags",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Minimum number of users of a tag of an item.",
)
@shared()
def hetrec(min_tags: int, name: str | None, **given: Any) -> None:
    """HetRec 2011 Last.fm 2K: play counts of artists, names and tags, as .dat or .parquet. A session is a user.

    Events have no times: the artists of a user are in file order.

    \b
    embedrec prepare hetrec hetrec2011-lastfm-2k.zip --min-tags 2
    """
    prepare_from("hetrec", {"min_tags": min_tags}, name, **given)


@prepare.command()
@column_options(
    session="Column of the session id [default: session_id, else the user].",
    item="Column of the item id [default: item_id].",
    user="Column of the user id [default: user_id].",
    time="Column of the time [default: timestamp].",
    weight="Column of a weight [default: rating].",
    kind="Column of the event's kind.",
)
@value_options
@shared()
def recbole(name: str | None, **given: Any) -> None:
    """RecBole's atomic files: .inter, and .item and .user with features.

    \b
    embedrec prepare recbole ml-100k/
    """
    settings = {key: given.pop(key) for key in ("session", "item", "user", "time", "weight", "kind", *VALUES)}
    prepare_from("recbole", settings, name, **given)


@prepare.command()
@click.option("--test", metavar="FILE", help="Held-out part: another such table, or prefixes with targets.")
@column_options(
    session="Column of the session id [default: SessionId, ignoring case].",
    item="Column of the item id [default: ItemId].",
    time="Column of the time [default: Time].",
    order="Column of positions [default: pos, if there is no time].",
)
@format_option
@value_options
@features_option("item")
@feature_types_option
@shared()
def sessions(test: str | None, name: str | None, **given: Any) -> None:
    """Tables of SessionId, ItemId and Time (or pos) as in GRU4Rec and session-rec: .tsv, .csv, .parquet.

    Filters apply to the training part only; --by and --gap cannot be combined with --test.

    \b
    embedrec prepare sessions rsc15_train_full.tsv --test rsc15_test.tsv
    embedrec prepare sessions train_sessions.parquet --test test_prefixes.parquet
    """
    keys = ("session", "item", "time", "order", "format", *VALUES, "item_features", "feature_types")
    settings = {key: given.pop(key) for key in keys}
    prepare_from("sessions", settings, name, test=test, **given)


@prepare.command()
@click.option("--actions", default="", metavar="KIND=WEIGHT,...", help="Kinds of events to read, and their weights.")
@column_options(
    session="Tables: column of the session id [default: guessed].",
    item="Tables: column of the item id [default: guessed].",
    time="Tables: column of the time [default: guessed].",
    weight="Tables: column of a weight [default: guessed].",
    kind="Tables: column of the event's kind [default: guessed].",
)
@value_options
@features_option("item")
@feature_types_option
@shared()
def wsknn(name: str | None, **given: Any) -> None:
    """Sessions of the package wsknn: {session: [items, times, kinds, weights]} in JSON, or tables of events.

    \b
    embedrec prepare wsknn sessions.json
    embedrec prepare wsknn events.jsonl.gz --actions view=1,cart=2,purchase=5
    """
    keys = ("actions", "session", "item", "time", "weight", "kind", *VALUES, "item_features", "feature_types")
    settings = {key: given.pop(key) for key in keys}
    prepare_from("wsknn", settings, name, **given)
