"""Guesses of the roles of columns and of file formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from embedrec.errors import DataError, did_you_mean
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.formats import Format, JsonLines, Parquet
from embedrec.tabular.nested_json import EACH
from embedrec.tabular.source_files import Source

FormatName = Literal["auto", "csv", "tsv", "parquet", "jsonl"]
NONE = "-"  # no column, in place of a guess

_FORMATS: dict[str, Format] = {
    "csv": Delimited(),
    "tsv": Delimited("\t", quoted=False),
    "parquet": Parquet(),
    "jsonl": JsonLines(),
}
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".inter": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}

# common names, most specific first, as `normalize_name` writes them
_GUESSES = {
    "session": ("sessionid", "session", "sid", "playlistid", "playlist", "pid", "basketid", "orderid", "visitid"),
    "item": (
        *("itemid", "item", "trackid", "trackuri", "trackidclean", "songid", "artisturi", "artistid", "albumuri"),
        *("albumid", "movieid", "productid", "sku", "articleid", "track", "artist", "iid", "aid"),
    ),
    "user": ("userid", "user", "uid", "visitorid", "customerid"),
    "time": ("timestamp", "time", "datetime", "eventtime", "playedat", "createdat", "ts", "date"),
    "weight": ("weight", "rating", "playcount", "plays"),
    "order": ("pos", "sessionposition"),
}


def table_suffixes(paths: Sequence[str | Path]) -> tuple[str, ...]:
    """Suffixes of table files; .json only if a path names such a file, since folders hold other .json files too."""
    named = any(re.search(r"\.json(\.[a-z0-9]+)?$", str(path), re.I) for path in paths)
    return (*SUFFIXES, ".json") if named else tuple(SUFFIXES)


def format_of(source: Source, given: FormatName = "auto", names: tuple[str, ...] = ()) -> Format:
    """The format of a source: the given one, or that of its suffix.

    names  the columns of delimited text without a header

    Raises DataError for an unknown suffix, and for `names` if the format names its columns.
    """
    kind = given if given != "auto" else SUFFIXES.get(source.suffix, "jsonl" if source.suffix == ".json" else "")
    if not kind:
        raise DataError(f"{source} is not a table that can be read; names must end with {', '.join(SUFFIXES)}")
    form = _FORMATS[kind]
    if not names:
        return form
    if not isinstance(form, Delimited):
        raise DataError(f"{source} already names its columns; leave out --columns")
    return replace(form, names=names)


def column_of_role(role: str, given: str | None, source: object, columns: Sequence[str]) -> str:
    """The column of a role ("session", "item" …): the one given, "" for "-", a guess for None, "" if no name fits.

    Raises DataError, with near misses, for a missing column.
    """
    if given is None:
        return guess(_GUESSES[role], columns)
    return "" if given == NONE else find_column(given, role, source, columns)


def display_name_column(item: str, columns: Sequence[str]) -> str:
    """The column of display names that belongs to an id column (track_uri, track_name), "" for none."""
    stem = normalize_name(item).removesuffix("id").removesuffix("uri")
    return guess((f"{stem}name", f"{stem}title"), [c for c in columns if c != item])


def find_column(given: str, role: str, source: object, columns: Sequence[str]) -> str:
    """The column of that name, with or without RecBole's ":token". Raises DataError if there is none."""
    if given in columns:
        return given
    typed = [column for column in columns if column.partition(":")[0] == given]
    if len(typed) == 1:
        return typed[0]
    hint = did_you_mean(given, columns) or f"; its columns are {format_columns(columns)}"
    raise DataError(f"{source} has no column {given!r} for the {role}{hint}")


def guess(candidates: Sequence[str], columns: Sequence[str]) -> str:
    """The column whose normalized name comes first in `candidates`; "" if there is none."""
    by_name = {normalize_name(column): column for column in reversed(columns)}
    return next((by_name[candidate] for candidate in candidates if candidate in by_name), "")


@lru_cache(maxsize=1 << 16)  # every role is searched among all columns
def normalize_name(column: str) -> str:
    """The normalized name of a column: "item_id:token", "ItemId", "x[].item_id" are "itemid"."""
    return "".join(c for c in column.rpartition(EACH)[2].partition(":")[0].lower() if c.isalnum())


def format_columns(columns: Sequence[str]) -> str:
    """The columns of a file, for messages."""
    return ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
