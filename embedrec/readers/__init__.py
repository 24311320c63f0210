"""Readers of files of one layout as `Events`. A reader is a frozen dataclass of settings with one method,

    read(paths, settings: ReadSettings) -> Events    (see `tabular.read_settings`)

`READERS` is the only list of readers: the command line, experiments, and the tests use it. A new source is one file and
one line here; `embedrec prepare NAME` then has an option for each of its settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from embedrec.config import Entry, resolve
from embedrec.tabular.bad_rows import BadRows

__all__ = ["READERS", "BadRows", "ReaderEntry", "reader"]


@dataclass(frozen=True)
class ReaderEntry(Entry):
    """A reader.

    filters  defaults of `Filters` that differ for this source
    naming   the default name of its sessions: the "source", the source and its setting "level", or that of the first
             "file"
    sharded  whether its files can be read apart from each other: then it has `sources(paths)`, `events_only()`,
             `has_features(paths)` and `add_features(events, plan, paths, settings)`
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    naming: Literal["source", "level", "file"] = "source"
    sharded: bool = False


READERS: dict[str, ReaderEntry] = {
    "mpd": ReaderEntry(
        "embedrec.readers.mpd:Mpd",
        "Playlists in the layout of the Million Playlist Dataset.",
        {"duplicates": "all", "duplicates_at": "end"},
        naming="level",
        sharded=True,
    ),
    "movielens": ReaderEntry(
        "embedrec.readers.movielens:MovieLens", "MovieLens 100K, 1M, or ratings.csv; a session is a user."
    ),
    "table": ReaderEntry(
        "embedrec.readers.table:Table",
        "A table with a session (or user) and an item per row.",
        naming="file",
        sharded=True,
    ),
    "mssd": ReaderEntry("embedrec.readers.mssd:Mssd", "Spotify's Music Streaming Sessions Dataset.", sharded=True),
    "lastfm1k": ReaderEntry(
        "embedrec.readers.lastfm1k:LastFm1K", "Last.fm 1K: histories of 992 listeners.", naming="level"
    ),
    "hetrec": ReaderEntry("embedrec.readers.hetrec:HetRec", "HetRec 2011 Last.fm 2K: play counts and tags."),
    "recbole": ReaderEntry(
        "embedrec.readers.recbole:RecBole", "RecBole's atomic files: .inter, .item, .user.", naming="file"
    ),
    "sessions": ReaderEntry(
        "embedrec.readers.session_tables:SessionTables", "Tables of SessionId, ItemId, Time or pos.", naming="file"
    ),
    "wsknn": ReaderEntry("embedrec.readers.wsknn:Wsknn", "Session maps of wsknn; weighted events.", naming="file"),
}


def reader(name: str) -> type:
    """The reader of that name. Raises SettingsError, with near misses, when there is none."""
    return resolve(READERS, name, "reader")
