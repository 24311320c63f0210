"""One slice of the Million Playlist Dataset as compact arrays.

A slice is JSON, `{"playlists": [{"pid": 0, "tracks": [{"artist_uri": …, "artist_name": …, …}]}]}`. Decoding
into typed rows of the needed fields takes 2 ms per megabyte; if that fails, the slice is read again row by row, to
locate the errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from embedrec.errors import DataError, decoding
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.source_files import Source

Level = Literal["artist", "track", "album"]

_PID = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ArtistRow(msgspec.Struct, gc=False, rename={"uri": "artist_uri", "title": "artist_name"}):
    """Fields of a track for the level "artist"."""

    uri: str
    title: str = ""
    pos: Any = None

    def label(self) -> str:
        """The display name: "Artist"."""
        return self.title


class TrackRow(msgspec.Struct, gc=False, rename={"uri": "track_uri", "title": "track_name", "by": "artist_name"}):
    """Fields of a track for the level "track"."""

    uri: str
    title: str = ""
    by: str = ""
    pos: Any = None

    def label(self) -> str:
        """The display name: "Artist – Track"."""
        return _artist_and_title(self.by, self.title)


class AlbumRow(msgspec.Struct, gc=False, rename={"uri": "album_uri", "title": "album_name", "by": "artist_name"}):
    """Fields of a track for the level "album"."""

    uri: str
    title: str = ""
    by: str = ""
    pos: Any = None

    def label(self) -> str:
        """The display name: "Artist – Album"."""
        return _artist_and_title(self.by, self.title)


Row = ArtistRow | TrackRow | AlbumRow
ROWS: dict[str, type[Row]] = {"artist": ArtistRow, "track": TrackRow, "album": AlbumRow}


def _artist_and_title(artist: str, title: str) -> str:
    return f"{artist} – {title}" if artist and title else artist or title


@dataclass(frozen=True)
class Slice:
    """P playlists of E tracks.

    places    (P,) int64 index of the playlist in the file
    pids      (P,) int64 playlist ids, not yet checked for duplicates
    lengths   (P,) int64 tracks per playlist, 0 if none is valid
    items     (E,) int32 rows into `ids`
    ids       distinct uris, by first appearance
    names     the first nonempty name of each
    bad_rows  rows left out
    """

    places: np.ndarray
    pids: np.ndarray
    lengths: np.ndarray
    items: np.ndarray
    ids: list[str]
    names: list[str]
    bad_rows: BadRows


def read_slice(source: Source, level: Level, mode: Literal["fail", "skip"], most: int | None = None) -> Slice:
    """The playlists of one file of at most `most` bytes, see `Source.read`.

    Raises DataError for another layout, and for bad rows in mode "fail".
    """
    content = source.read(most)
    try:
        playlists = _decoder(level).decode(content).playlists
    except Exception:  # see `decoding`
        return read_carefully(source, content, level, mode)
    tracks = [t for p in playlists for t in _by_pos(p.tracks)]
    lengths = [len(p.tracks) for p in playlists]
    part = _collect(range(len(lengths)), [p.pid for p in playlists], lengths, tracks, BadRows(mode))
    if not _EMPTY_IDS[level].isdisjoint(part.ids):
        return read_carefully(source, content, level, mode)
    return part


def read_carefully(source: Source, content: bytes | bytearray, level: Level, mode: Literal["fail", "skip"]) -> Slice:
    """The same as `read_slice`, row by row, to report every bad row."""
    playlists = _playlists(source, content)
    bad_rows = BadRows(mode)
    row_type = ROWS[level]
    fields = row_type.__struct_encode_fields__[:-1]  # the id first; without pos
    places, pids, lengths = [], [], []
    tracks: list[Row] = []
    _check_field(source, playlists, level)
    for position, playlist in enumerate(playlists):
        problem, detail = _playlist_problem(playlist)
        if problem:
            bad_rows.add(source, f"playlists[{position}]", problem, detail)
            continue
        before = len(tracks)
        for index, row in enumerate(playlist["tracks"]):
            problem, detail = _track_problem(row, fields, level)
            if problem:
                location = f"playlists[{position}] (pid {playlist['pid']}), tracks[{index}]"
                bad_rows.add(source, location, problem, detail)
            else:
                tracks.append(row_type(*(row.get(field, "") for field in fields)))
                tracks[-1].pos = row.get("pos")
        tracks[before:] = _by_pos(tracks[before:])
        places.append(position)
        pids.append(int(playlist["pid"]))
        lengths.append(len(tracks) - before)
    return _collect(places, pids, lengths, tracks, bad_rows)


def _by_pos(tracks: list[Row]) -> list[Row]:
    """The tracks of a playlist ordered by `pos`; unchanged if one has no number."""
    places = [track.pos for track in tracks]
    if places == list(range(len(places))) or not all(type(pos) in (int, float) for pos in places):
        return tracks
    return sorted(tracks, key=lambda track: track.pos)


_EMPTY_IDS = {level: {"", f"spotify:{level}:"} for level in ROWS}


@cache
def _decoder(level: Level) -> msgspec.json.Decoder[Any]:
    tracks = GenericAlias(list, ROWS[level])
    playlist = msgspec.defstruct("Playlist", [("pid", _PID), ("tracks", tracks)], gc=False)
    top = msgspec.defstruct("Top", [("playlists", GenericAlias(list, playlist))])
    return msgspec.json.Decoder(top)


def _collect(places: Iterable[int], pids: list[int], lengths: list[int], tracks: list[Row], bad_rows: BadRows) -> Slice:
    uris = [t.uri for t in tracks]
    first = dict(zip(reversed(uris), reversed(tracks), strict=True))  # uri → the first track that has it
    row_of = {uri: row for row, uri in enumerate(dict.fromkeys(uris))}
    names = [first[uri].label() for uri in row_of]
    if "" in names:
        for track in tracks:
            names[row_of[track.uri]] = names[row_of[track.uri]] or track.label()
    return Slice(
        places=np.fromiter(places, np.int64),
        pids=np.array(pids, dtype=np.int64),
        lengths=np.array(lengths, dtype=np.int64),
        items=np.fromiter(map(row_of.__getitem__, uris), np.int32, len(uris)),
        ids=list(row_of),
        names=names,
        bad_rows=bad_rows,
    )


def _playlists(source: Source, content: bytes | bytearray) -> list[Any]:

    def failed(why: str) -> DataError:
        if "truncated" in why:
            return DataError(f"{source} is cut off: its JSON ends too early; get the file again")
        return DataError(f"{source} is not valid JSON ({why}); get the file again")

    with decoding(failed):
        top = msgspec.json.decode(content)
    if not isinstance(top, dict) or not isinstance(top.get("playlists"), list):
        raise DataError(
            f"{source} is not in the layout of the Million Playlist Dataset, "
            f'an object with a list "playlists", but is {_shape(top)}'
        )
    return top["playlists"]


def _shape(top: Any) -> str:
    if isinstance(top, dict):
        return f"an object with the keys {', '.join(sorted(top)[:8])}" if top else "an empty object"
    return _kind(top)


def _check_field(source: Source, playlists: list[Any], level: Level) -> None:
    """Raises DataError if there are tracks and none has the field: a wrong level, not bad rows."""
    lists = [p["tracks"] for p in playlists if isinstance(p, dict) and isinstance(p.get("tracks"), list)]
    rows = [t for tracks in lists for t in tracks if isinstance(t, dict)]
    field = _id_field(level)
    if rows and not any(field in row for row in rows):
        levels = [other for other in ROWS if any(_id_field(other) in row for row in rows)]
        instead = f"use --level {' or '.join(levels)}" if levels else "check the layout"
        raise DataError(f"{source} has no {field}, which --level {level} needs; {instead}")


def _id_field(level: str) -> str:
    return ROWS[level].__struct_encode_fields__[0]


def _playlist_problem(playlist: Any) -> tuple[str, str]:
    if not isinstance(playlist, dict):
        return "a playlist must be an object", f", but is {_kind(playlist)}"
    for field in ("pid", "tracks"):
        if field not in playlist:
            return f"the playlist has no {field}", ""
    pid = playlist["pid"]
    whole = type(pid) is int or (type(pid) is float and pid.is_integer())
    if not whole or not -(2**63) <= pid < 2**63:
        return "pid must be a whole number of 64 bits", f", but is {_kind(pid)}"
    if not isinstance(playlist["tracks"], list):
        return "tracks must be a list", f", but is {_kind(playlist['tracks'])}"
    return "", ""


def _track_problem(row: Any, fields: Sequence[str], level: Level) -> tuple[str, str]:
    if not isinstance(row, dict):
        return "a track must be an object", f", but is {_kind(row)}"
    if fields[0] not in row:
        return f"the track has no {fields[0]}", ""
    for field in fields:
        if not isinstance(row.get(field, ""), str):
            return f"{field} must be a text", f", but is {_kind(row[field])}"
    if row[fields[0]] in _EMPTY_IDS[level]:
        return f"{fields[0]} is empty", ""
    return "", ""


def _kind(value: Any) -> str:
    """A JSON value, for messages: "null", "12", "a list"."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:37]}…"
