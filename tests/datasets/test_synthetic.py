"""The synthetic world: seeded, complete, and with learnable neighbours."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from embedrec.datasets.synthetic import World, make_world, write_mpd, write_shop
from embedrec.errors import SettingsError
from embedrec.readers.mpd import Mpd
from embedrec.tabular.read_settings import ReadSettings

_TRACK = {"pos", "artist_name", "track_uri", "artist_uri", "track_name", "album_uri", "duration_ms", "album_name"}
_PLAYLIST = {"name", "collaborative", "pid", "modified_at", "num_tracks", "num_albums", "num_followers", "tracks"} | {
    "num_edits",
    "duration_ms",
    "num_artists",
}


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(genres=6, artists_per_genre=10, playlists=300)


def test_the_seed_decides(world: World) -> None:
    assert make_world(genres=6, artists_per_genre=10, playlists=300) == world
    assert make_world(1, genres=6, artists_per_genre=10, playlists=300) != world


def test_artists_are_distinct_and_named_like_artists(world: World) -> None:
    assert len({a.uri for a in world.artists}) == len({a.name for a in world.artists}) == 60
    assert all(re.fullmatch(r"spotify:artist:[0-9A-Za-z]{22}", a.uri) for a in world.artists)
    songs = [song for artist in world.artists for song in artist.songs]
    assert all(re.fullmatch(r"spotify:track:[0-9A-Za-z]{22}", song.uri) for song in songs)
    assert all(re.fullmatch(r"spotify:album:[0-9A-Za-z]{22}", song.album_uri) for song in songs)
    assert len({song.uri for song in songs}) == len(songs)


def test_neighbours_are_the_others_of_the_genre(world: World) -> None:
    first = world.artists[0]
    assert world.neighbours(first.uri) == {a.uri for a in world.artists[1:10]}
    with pytest.raises(KeyError):
        world.neighbours("spotify:artist:unknown")


def test_playlists_mostly_keep_to_a_genre_and_popularity_falls(world: World) -> None:
    shares = []
    for playlist in world.playlists:
        assert 5 <= len(playlist.tracks) <= 60
        genres = Counter(artist.genre for artist, _ in playlist.tracks)
        shares.append(max(genres.values()) / len(playlist.tracks))
    assert 0.8 < sum(shares) / len(shares) < 0.95
    counts = Counter(artist.uri for playlist in world.playlists for artist, _ in playlist.tracks)
    firsts = [counts[world.artists[g * 10].uri] for g in range(6)]
    lasts = [counts[world.artists[g * 10 + 9].uri] for g in range(6)]
    assert min(firsts) > 3 * max(lasts) > 0


def test_written_files_have_every_field_and_read_back(world: World, tmp_path: Path) -> None:
    files = write_mpd(world, tmp_path / "mpd", per_file=128)
    assert [f.name for f in files] == [
        "mpd.slice.0-127.json",
        "mpd.slice.128-255.json",
        "mpd.slice.256-299.json",
    ]
    content = json.loads(files[1].read_text(encoding="utf-8"))
    assert set(content) == {"info", "playlists"} and content["info"]["slice"] == "128-255"
    for playlist in content["playlists"]:
        assert set(playlist) == _PLAYLIST
        assert all(set(track) == _TRACK for track in playlist["tracks"])
        assert [track["pos"] for track in playlist["tracks"]] == list(range(playlist["num_tracks"]))
        assert playlist["num_artists"] == len({track["artist_uri"] for track in playlist["tracks"]})
    events = Mpd().read([tmp_path / "mpd"], ReadSettings())
    assert events.items.ids[events.item].tolist() == [a.uri for p in world.playlists for a, _ in p.tracks]
    assert events.sessions.ids.tolist() == list(range(300))
    names = {a.uri: a.name for a in world.artists}
    assert events.items.names.tolist() == [names[uri] for uri in events.items.ids]


def test_settings_below_one_are_refused() -> None:
    with pytest.raises(SettingsError) as refused:
        make_world(playlists=0)
    assert str(refused.value) == "a toy world needs at least 1 genre, 1 artist a genre and 1 playlist"


def test_a_record_shop_is_written_as_clicks_and_products(tmp_path: Path) -> None:
    """Visits are the playlists in order, their clicks in order of time; every product has its artist and genre."""
    world = make_world(seed=3, genres=2, artists_per_genre=3, playlists=8)
    clicks_path, products_path = write_shop(world, tmp_path / "shop")
    with clicks_path.open() as a, products_path.open() as b:
        clicks, products = list(csv.DictReader(a)), list(csv.DictReader(b))
    by_sku = {product["sku"]: product for product in products}
    assert len(by_sku) == len(products) == len({song.album_uri for artist in world.artists for song in artist.songs})
    assert [click["time"] for click in clicks] == sorted(click["time"] for click in clicks)
    for playlist in world.playlists:
        visit = [click for click in clicks if click["visit"] == f"v{playlist.pid}"]
        views = [click for click in visit if click["kind"] == "view"]
        bought = [click["sku"] for click in visit if click["kind"] == "buy"]
        assert bought == ([views[-1]["sku"]] if playlist.pid % 4 == 0 else []) and len(visit) == len(views + bought)
        shown = [(by_sku[click["sku"]]["name"], by_sku[click["sku"]]["artist"]) for click in views]
        assert shown == [(song.album_name, artist.name) for artist, song in playlist.tracks]
        assert {by_sku[click["sku"]]["genre"] for click in views} <= {artist.genre for artist in world.artists}
