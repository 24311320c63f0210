"""Last.fm 1K (Celma 2010): the whole listening history of 992 users, with their profiles and optional tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.data.features import Features
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.tabular import parse_values
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.computed_columns import Columns, ComputedColumn, ComputedFormat
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.feature_tables import SideTable, add_features
from embedrec.tabular.item_labels import tag_features
from embedrec.tabular.read_rows import Plan, read_rows, report_bad_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand, find_beside

Level = Literal["track", "artist"]

_PROFILES = "userid-profile.tsv"
_USER, _TIME, _COLUMNS = "user", "time", ("user", "time", "artist id", "artist", "track id", "track")


@dataclass(frozen=True)
class LastFm1K:
    """userid-timestamp-artid-artname-traid-traname.tsv: TAB separated, without header and quotes.

    level      an item is a track or an artist
    tags       file of tags, "" for none: TAB separated, without header: the item's id or name, the tag and,
               optionally, its count; a name tags all items with that name, in any case
    min_tags   minimum count of a tag

    A session is a user. The id of an item is its MusicBrainz id, or its text, "Artist – Track" or "Artist", if it has
    none; it then differs from an item with the same text and an id. Names are these texts. The users' features come
    from userid-profile.tsv beside the log: gender, age, country, and registered in days since 1970. A few lines of the
    original contain a line break and are bad rows.
    """

    level: Level = "track"
    tags: str = ""
    min_tags: int = 1

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The plays of all logs as events.

        Raises DataError for unreadable files, another layout, and bad rows (unless they are skipped).
        """
        sources = expand(paths, (".tsv",))
        logs = [source for source in sources if source.name != _PROFILES]
        if not logs:
            raise DataError(f"{', '.join(map(str, paths))} contains profiles but no listening log; name it too")
        form = ComputedFormat(Delimited("\t", quoted=False, names=_COLUMNS), _items(self.level))
        plan = Plan(session=_USER, user=_USER, item="item", name="item name", time=_TIME, time_unit="iso")
        for source in logs:
            _check_layout(source)
        events = read_rows([(s, form) for s in logs], plan, settings)
        profiles = find_beside(logs[0], sources, _PROFILES)
        if profiles is not None:
            events = add_features(events, "user", _profiles(profiles), settings.bad_rows)
        if self.tags:
            events = replace(events, item_features=_tags(self.tags, events.items, self.min_tags, settings.bad_rows))
        return events


def _items(level: Level) -> dict[str, ComputedColumn]:
    """The computed columns of items and their names."""
    id_, names = f"{level} id", ("artist", "track") if level == "track" else ("artist",)

    def text(columns: Columns) -> Any:
        return pc.binary_join_element_wise(*(columns[name] for name in names), " – ")  # null if a part is

    def item(columns: Columns) -> Any:
        return pc.coalesce(columns[id_], text(columns))

    return {"item": ComputedColumn((id_, *names), item), "item name": ComputedColumn(names, text)}


def _check_layout(source: Source) -> None:
    count = source.first_line(1 << 16).count(b"\t") + 1
    if count != len(_COLUMNS):
        raise DataError(
            f"{source} has {count} TAB separated values in its first line, but this layout has "
            f"{len(_COLUMNS)}: {', '.join(_COLUMNS)}"
        )


def _profiles(source: Source) -> SideTable:
    def days(columns: Columns) -> Any:
        given = pc.strptime(columns["registered"], format="%b %d, %Y", unit="s", error_is_null=True)  # Aug 13, 2006
        return pc.divide(pc.cast(pc.cast(given, pa.int64()), pa.float64()), 86_400.0)

    form = ComputedFormat(Delimited("\t", quoted=False), {"registered": ComputedColumn(("registered",), days)})
    kinds: Any = {"gender": "text", "age": "number", "country": "text", "registered": "number"}
    return SideTable([(source, form)], "#id", "", kinds)


def _tags(path: str, items: Vocab, least: int, bad_rows: BadRows) -> Features:
    rows_of: dict[str, list[int]] = {}  # name in lower case → rows of the items
    names = items.ids if items.names is None else items.names
    for item, name in enumerate(names.tolist()):
        rows_of.setdefault(str(name).casefold(), []).append(item)
    for item, id_ in enumerate(items.ids.tolist()):
        rows_of[str(id_).casefold()] = [item]
    rows: list[int] = []
    tags: list[str] = []
    counts: list[float] = []
    for source in expand([path], (), any_file=True):
        width = source.first_line(1 << 16).count(b"\t") + 1
        if width not in (2, 3):
            raise DataError(f"{source} must contain TAB separated items, tags and, optionally, counts")
        columns = ("item", "tag", "count")[:width]
        for batch in Delimited("\t", quoted=False, names=columns).batches(source, columns, bad_rows):
            problems = [
                (c, pc.is_null(batch.columns[c]).to_numpy(zero_copy_only=False), f"{c} is missing") for c in columns
            ]
            times = np.ones(len(batch.rows), np.float32)
            if width == 3:
                times, invalid = parse_values.numbers(batch.columns["count"], "count")
                problems += [("count", mask, problem) for mask, problem in invalid]
            good = report_bad_rows(batch, problems, bad_rows)
            for row in np.flatnonzero(good).tolist():
                tagged = rows_of.get(batch.columns["item"][row].as_py().casefold(), [])
                rows += tagged
                tags += [batch.columns["tag"][row].as_py()] * len(tagged)
                counts += [float(times[row])] * len(tagged)
    words, codes = np.unique(np.array(tags, dtype=object), return_inverse=True)
    return tag_features(items, np.array(rows, dtype=np.int64), codes, words, np.array(counts), least)
