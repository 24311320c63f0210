"""One slice of the Million Playlist Dataset: the fast decoder, and the slower one that locates errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.readers.mpd_slices import ROWS, AlbumRow, ArtistRow, Slice, TrackRow, read_carefully, read_slice
from embedrec.tabular.source_files import Source, expand


def source_of(folder: Path, content: Any) -> Source:
    """A file of a slice; content other than bytes is the list of playlists."""
    data = content if isinstance(content, bytes) else json.dumps({"playlists": content}).encode()
    (folder / "s.json").write_bytes(data)
    (source,) = expand([folder / "s.json"], (".json",))
    return source


def track(artist: str, *, name: str = "", track: str = "t", **more: Any) -> dict[str, Any]:
    return {"artist_uri": artist, "artist_name": name, "track_uri": track, "track_name": f"T {track}", **more}


def values(part: Slice) -> dict[str, Any]:
    columns = ("places", "pids", "lengths", "items")
    return {name: getattr(part, name).tolist() for name in columns} | {"ids": part.ids, "names": part.names}


def test_playlists_become_arrays(tmp_path: Path) -> None:
    """Items are numbered by first appearance; the first non-empty name is used."""
    playlists = [
        {"pid": 7, "tracks": [track("b"), track("a", name="A")]},
        {"pid": 3, "tracks": []},
        {"pid": 5, "tracks": [track("b", name="B"), track("b", name="Other")]},
    ]
    expected = {
        "places": [0, 1, 2], "pids": [7, 3, 5], "lengths": [2, 0, 2], "items": [0, 1, 0, 0], "ids": ["b", "a"],
        "names": ["B", "A"],
    }  # fmt: skip
    source = source_of(tmp_path, playlists)
    assert values(read_slice(source, "artist", "fail")) == expected
    assert values(read_carefully(source, source.read(), "artist", "fail")) == expected


def test_every_level_has_a_label() -> None:
    assert list(ROWS) == ["artist", "track", "album"]
    assert ArtistRow("a", "Artist").label() == "Artist"
    assert TrackRow("t", "Song", "Artist").label() == "Artist – Song"
    assert AlbumRow("a", "Album", "").label() == "Album" and AlbumRow("a", "", "Artist").label() == "Artist"


@pytest.mark.parametrize(
    ("positions", "order"), [([2, 0, 1], "bca"), ([1, 1, 0], "cab"), ([0.5, "x", 0], "abc"), ([2, None, 0], "abc")]
)
def test_tracks_are_ordered_by_pos(positions: list[Any], order: str, tmp_path: Path) -> None:
    """If one position is not a number, all tracks keep their order."""
    tracks = [track(artist) | {"pos": pos} for artist, pos in zip("abc", positions, strict=True)]
    source = source_of(tmp_path, [{"pid": 1, "tracks": tracks}])
    for part in (read_slice(source, "artist", "fail"), read_carefully(source, source.read(), "artist", "fail")):
        assert "".join(part.ids[item] for item in part.items) == order


@pytest.mark.parametrize(
    ("playlist", "location", "problem"),
    [
        (3, "playlists[1]", "a playlist must be an object, but is 3"),
        ({"tracks": []}, "playlists[1]", "the playlist has no pid"),
        ({"pid": 2}, "playlists[1]", "the playlist has no tracks"),
        ({"pid": "2", "tracks": []}, "playlists[1]", 'pid must be a whole number of 64 bits, but is "2"'),
        ({"pid": 2**63, "tracks": []}, "playlists[1]", f"pid must be a whole number of 64 bits, but is {2**63}"),
        ({"pid": 2, "tracks": {}}, "playlists[1]", "tracks must be a list, but is an object"),
        ({"pid": 2, "tracks": [None]}, "playlists[1] (pid 2), tracks[0]", "a track must be an object, but is null"),
        ({"pid": 2, "tracks": [{}]}, "playlists[1] (pid 2), tracks[0]", "the track has no artist_uri"),
        (
            {"pid": 2, "tracks": [track("a"), track("b") | {"artist_name": 5}]},
            "playlists[1] (pid 2), tracks[1]",
            "artist_name must be a text, but is 5",
        ),
        ({"pid": 2, "tracks": [track("")]}, "playlists[1] (pid 2), tracks[0]", "artist_uri is empty"),
        ({"pid": 2, "tracks": [track("spotify:artist:")]}, "playlists[1] (pid 2), tracks[0]", "artist_uri is empty"),
    ],
)
def test_bad_rows_are_located(playlist: Any, location: str, problem: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, [{"pid": 1, "tracks": [track("a")]}, playlist])
    with pytest.raises(DataError) as error:
        read_slice(source, "artist", "fail")
    assert str(error.value) == f"{source}, {location}: {problem}; use --on-bad-row skip to leave such rows out"
    part = read_slice(source, "artist", "skip")
    assert part.pids.tolist()[0] == 1 and part.ids == ["a"]
    assert part.bad_rows.counts == {problem.partition(", but")[0]: 1}


def test_whole_floats_are_playlist_ids(tmp_path: Path) -> None:
    source = source_of(tmp_path, [{"pid": 7.0, "tracks": [track("a")]}])
    assert read_slice(source, "artist", "fail").pids.tolist() == [7]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"playlists": [', "is cut off: its JSON ends too early; get the file again"),
        (b'{"playlists": x}', "is not valid JSON ("),
        (
            b"[]",
            'is not in the layout of the Million Playlist Dataset, an object with a list "playlists", but is a list',
        ),
        (
            b"{}",
            'is not in the layout of the Million Playlist Dataset, an object with a list "playlists", but is an',
        ),
        (
            b'{"b": 1, "a": 2}',
            'is not in the layout of the Million Playlist Dataset, an object with a list "playlists", but is an object '
            "with the keys a, b",
        ),
    ],
)
def test_other_layouts_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, content)
    with pytest.raises(DataError) as error:
        read_slice(source, "artist", "skip")
    assert str(error.value).startswith(f"{source} {message}")


def test_a_level_missing_from_the_file_is_refused(tmp_path: Path) -> None:
    source = source_of(tmp_path, [{"pid": 1, "tracks": [track("a")]}])
    with pytest.raises(DataError) as error:
        read_slice(source, "album", "skip")
    assert str(error.value) == (f"{source} has no album_uri, which --level album needs; use --level artist or track")
    source = source_of(tmp_path, [{"pid": 1, "tracks": [{"name": "a"}]}])
    with pytest.raises(DataError, match=r"which --level album needs; check the layout$"):
        read_slice(source, "album", "skip")
