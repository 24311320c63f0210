"""Spotify's Music Streaming Sessions Dataset (Brost, Mehrotra and Jehan 2019): session logs and track features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.tabular import parse_values
from embedrec.tabular.computed_columns import Columns, ComputedColumn, ComputedFormat
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.feature_tables import SideTable, add_features
from embedrec.tabular.formats import Format, Parquet
from embedrec.tabular.guess_columns import format_columns
from embedrec.tabular.read_rows import Plan, read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand

_SUFFIXES = (".csv", ".parquet")
_FEATURE_FILES = ("tf_", "track_features")  # prefixes of files of track features
_SKIPS = ("skip_1", "skip_2", "skip_3", "not_skipped")
_WORDS = {"mode", "key", "time_signature"}  # the features that are categories; the others are numbers
_STATE, _TIME = "skip state", "date and hour_of_day"


@dataclass(frozen=True)
class Mssd:
    """Session logs as .csv, .csv.gz or in .tar, .tar.gz or .zip archives; also Parquet of the same columns.

    features  files of track features; "" uses those among the paths (tf_*.csv, track_features*.csv)
    skips     kind of an event: "state" is the first true one of skip_1 (hardly played), skip_2, skip_3 (mostly
              played), not_skipped, else "none"; "binary" is "skipped" (skip_1 or skip_2, the target of the dataset's
              challenge) or "played"; "none" reads no kinds
    time      "none", or "hour": the date and hour_of_day of each event

    A session is a session_id, an item a track_id_clean, ordered by session_position. Tables of user_id, pos, song_id
    and skipped (0 to 3 for the first true state, 4 for none) are also read.
    """

    features: str = ""
    skips: Literal["state", "binary", "none"] = "state"
    time: Literal["none", "hour"] = "none"

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The plays of all logs as events, with the features of the tracks that occur.

        Raises DataError for unreadable files, other columns, and bad rows (unless they are skipped).
        """
        files = expand(paths, _SUFFIXES)
        logs = _logs(files, paths)
        layout = _layout(logs[0])
        plan = layout.plan(self, logs[0])
        sources: list[tuple[Source, Format]] = [(source, _add_computed(source, layout, self)) for source in logs]
        return self._with_tracks(read_rows(sources, plan, settings), files, settings)

    def sources(self, paths: Sequence[str | Path]) -> list[Source]:
        """The session logs. Raises DataError if there are none, and as `expand`."""
        return _logs(expand(paths, _SUFFIXES), paths)

    def events_only(self) -> Self:
        """The same reader without the features that it names."""
        return replace(self, features="")

    def has_features(self, paths: Sequence[str | Path]) -> bool:
        """Whether `add_features` adds any."""
        return bool(self.features) or any(s.name.startswith(_FEATURE_FILES) for s in expand(paths, _SUFFIXES))

    def add_features(self, events: Events, plan: Plan, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The events with the features of the tracks that occur, where there are files of them."""
        return self._with_tracks(events, expand(paths, _SUFFIXES), settings)

    def _with_tracks(self, events: Events, files: Sequence[Source], settings: ReadSettings) -> Events:
        tracks = [source for source in files if source.name.startswith(_FEATURE_FILES)]
        if self.features:
            tracks = expand([self.features], _SUFFIXES)
        if not tracks:
            return events
        columns = [c for c in _form(tracks[0]).columns(tracks[0]) if c != "track_id"]
        kinds: dict[str, Kind] = {column: "text" if column in _WORDS else "number" for column in columns}
        table = SideTable([(source, _form(source)) for source in tracks], "track_id", "", kinds)
        return add_features(events, "item", table, settings.bad_rows)


def _logs(files: Sequence[Source], paths: Sequence[str | Path]) -> list[Source]:
    logs = [source for source in files if not source.name.startswith(_FEATURE_FILES)]
    if not logs:
        raise DataError(f"{', '.join(map(str, paths))} contains track features but no session logs; name these too")
    return logs


@dataclass(frozen=True)
class _Layout:
    """Columns of session, item, position, skip states and, optionally, time."""

    session: str
    item: str
    position: str
    skips: tuple[str, ...]
    times: tuple[str, ...] = ()

    def plan(self, settings: Mssd, source: Source) -> Plan:
        if settings.time == "hour" and not self.times:
            raise DataError(f"{source} contains no date and hour_of_day; leave out --time")
        return Plan(
            session=self.session,
            item=self.item,
            order=self.position,
            kind=_STATE if settings.skips != "none" else "",
            time=_TIME if settings.time == "hour" else "",
        )


_LAYOUTS = (
    _Layout("session_id", "track_id_clean", "session_position", _SKIPS, ("date", "hour_of_day")),
    _Layout("user_id", "song_id", "pos", ("skipped",)),
)


def _layout(source: Source) -> _Layout:
    columns = _form(source).columns(source)
    for layout in _LAYOUTS:
        if {layout.session, layout.item, layout.position, *layout.skips} <= {*columns}:
            return layout
    raise DataError(
        f"{source} is not a session log: it lacks the columns session_id, session_position, track_id_clean and skip_1 "
        f"to not_skipped; its columns are {format_columns(columns)}"
    )


def _form(source: Source) -> Format:
    return Parquet() if source.suffix == ".parquet" else Delimited(",")


def _add_computed(source: Source, layout: _Layout, settings: Mssd) -> ComputedFormat:
    def kind(columns: Columns) -> Any:
        if len(layout.skips) > 1:
            state = _state([_truth(columns[name]) for name in layout.skips])
        else:
            names = pa.array([*_SKIPS, "none"])
            number = pc.cast(parse_values.cast(columns[layout.skips[0]], pa.int64())[0], pa.int32())
            state = names.take(pc.if_else(pc.is_in(number, pa.array(range(5), pa.int32())), number, None))
        if settings.skips == "state":
            return state
        skipped = pc.if_else(pc.is_in(state, pa.array(_SKIPS[:2])), "skipped", "played")
        return pc.if_else(pc.is_valid(state), skipped, None)

    return ComputedFormat(
        _form(source), {_STATE: ComputedColumn(layout.skips, kind), _TIME: ComputedColumn(layout.times, _hours)}
    )


def _truth(column: Any) -> Any:
    """Booleans, null for texts other than true and false."""
    if pa.types.is_boolean(column.type):
        return column
    lower = pc.utf8_lower(pc.cast(column, pa.string()))
    return pc.if_else(pc.is_in(lower, pa.array(["true", "false"])), pc.equal(lower, "true"), None)


def _state(skips: list[Any]) -> Any:
    """The first true one of the four, else "none"; null if one of them is null."""
    state = pc.case_when(pc.make_struct(*skips), *_SKIPS, "none")
    known = [pc.is_valid(skip) for skip in skips]
    return pc.if_else(pc.and_(pc.and_(known[0], known[1]), pc.and_(known[2], known[3])), state, None)


def _hours(columns: Columns) -> Any:
    """Date and hour (0 to 23) as times, null if one is missing or invalid."""
    day = pc.cast(parse_values.cast(columns["date"], pa.date32())[0], pa.timestamp("s"))
    hour = parse_values.cast(columns["hour_of_day"], pa.int64())[0]
    hour = pc.if_else(pc.and_(pc.greater_equal(hour, 0), pc.less(hour, 24)), hour, None)
    return pc.cast(pc.add(pc.cast(day, pa.int64()), pc.multiply(hour, 3600)), pa.timestamp("s"))
