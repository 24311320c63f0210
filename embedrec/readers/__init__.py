"""Readers: from files of one layout to `Events`. A reader is a frozen dataclass of settings with one method,

    read(paths, *, bad_rows, workers=1, room=IN_MEMORY, report=quiet) -> Events

`READERS` names every reader; a new source is one file and one line here.
"""

from __future__ import annotations

from embedrec.config import resolve
from embedrec.readers.tabular.bad_rows import BadRows

__all__ = ["FILTERED", "READERS", "BadRows", "reader"]

READERS: dict[str, str] = {
    "mpd": "embedrec.readers.mpd:Mpd",
    "movielens": "embedrec.readers.movielens:MovieLens",
    "table": "embedrec.readers.table:Table",
    "mssd": "embedrec.readers.mssd:Mssd",
    "lastfm1k": "embedrec.readers.lastfm1k:LastFm1K",
    "hetrec": "embedrec.readers.hetrec:HetRec",
    "recbole": "embedrec.readers.recbole:RecBole",
    "sessions": "embedrec.readers.session_tables:SessionTables",
    "wsknn": "embedrec.readers.wsknn:Wsknn",
}

# filters that sources have where nothing is said, beside those of all
FILTERED: dict[str, dict[str, str]] = {"mpd": {"duplicates": "all", "duplicates_at": "end"}}


def reader(name: str) -> type:
    """The reader of that name. Raises SettingsError, with near misses, when there is none."""
    return resolve(READERS, name, "reader")
