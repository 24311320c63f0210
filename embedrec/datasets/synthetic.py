"""A synthetic data set with known neighbours: invented artists of invented genres, and playlists of them.

The nearest neighbours of an artist are the artists of the same genre. The data can be written in the layout of the
Million Playlist Dataset, so every step from the reader to the similarity file runs on it, and as the click log of a
record shop with a table of its products.
"""

from __future__ import annotations

import csv
import json
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.errors import SettingsError

_BASE62 = list(string.digits + string.ascii_letters)
_KEEPS_TO_GENRE = 0.85  # fraction of the artists of a playlist that have its genre
_SAME_ARTIST_AGAIN = 0.3  # probability that the next track has the same artist


@dataclass(frozen=True)
class Song:
    """A track: uri, name, length in milliseconds, and its album."""

    uri: str
    name: str
    duration_ms: int
    album_uri: str
    album_name: str


@dataclass(frozen=True)
class Artist:
    """An artist with its genre, the ground truth."""

    uri: str
    name: str
    genre: str
    songs: tuple[Song, ...]


@dataclass(frozen=True)
class Playlist:
    """A playlist: pid, name, and its tracks as (artist, song) in order."""

    pid: int
    name: str
    tracks: tuple[tuple[Artist, Song], ...]


@dataclass(frozen=True)
class World:
    """Artists and playlists; artists are grouped by genre, the most popular first."""

    artists: tuple[Artist, ...]
    playlists: tuple[Playlist, ...]

    def neighbours(self, uri: str) -> set[str]:
        """The true neighbours of an artist: the uris of all others of the same genre. KeyError if unknown."""
        return self._of_genre[self._artist[uri].genre] - {uri}

    @cached_property
    def _artist(self) -> dict[str, Artist]:
        return {artist.uri: artist for artist in self.artists}

    @cached_property
    def _of_genre(self) -> dict[str, set[str]]:
        genres: dict[str, set[str]] = {}
        for artist in self.artists:
            genres.setdefault(artist.genre, set()).add(artist.uri)
        return genres


def make_world(seed: int = 0, *, genres: int = 20, artists_per_genre: int = 30, playlists: int = 3000) -> World:
    """A world that depends only on the arguments.

    Artists are drawn with a probability that falls with their rank in the genre (Zipf): 85 % of a playlist from its
    genre, the rest from any genre. Playlists have 5 to 60 tracks, 25 on average.

    Raises SettingsError for a number below 1.
    """
    if min(genres, artists_per_genre, playlists) < 1:
        raise SettingsError("a toy world needs at least 1 genre, 1 artist a genre and 1 playlist")
    rng = np.random.default_rng(seed)
    names = _Names(rng)
    artists = []
    genre_names = [names.genre() for _ in range(genres)]
    for genre_name in genre_names:
        artists += [_artist(rng, names, genre_name) for _ in range(artists_per_genre)]
    chance = 1 / (1 + np.arange(artists_per_genre))
    chance /= chance.sum()  # (artists_per_genre,)
    drawn_playlists = []
    for pid in range(playlists):
        genre = int(rng.integers(genres))
        length = int(np.clip(rng.gamma(2.5, 10), 5, 60))
        genre_of = np.where(rng.random(length) < _KEEPS_TO_GENRE, genre, rng.integers(genres, size=length))
        drawn = genre_of * artists_per_genre + rng.choice(artists_per_genre, size=length, p=chance)
        again = rng.random(length) < _SAME_ARTIST_AGAIN
        drawn = drawn[np.maximum.accumulate(np.where(again, 0, np.arange(length)))]  # (length,) rows of artists
        picked = rng.random(length)
        tracks = []
        for row, pick in zip(drawn.tolist(), picked.tolist(), strict=True):
            artist = artists[row]
            tracks.append((artist, artist.songs[int(pick**2 * len(artist.songs))]))
        drawn_playlists.append(Playlist(pid, names.playlist(genre_names[genre]), tuple(tracks)))
    return World(tuple(artists), tuple(drawn_playlists))


def write_mpd(world: World, folder: Path, *, per_file: int = 1000) -> list[Path]:
    """Write the playlists as slices mpd.slice.0-999.json, … with all fields; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for begin in range(0, len(world.playlists), per_file):
        part = world.playlists[begin : begin + per_file]
        name = f"{begin}-{begin + len(part) - 1}"
        info = {"generated_on": "2017-12-03 08:41:42.057563", "slice": name, "version": "v1"}
        path = folder / f"mpd.slice.{name}.json"
        content = {"info": info, "playlists": [_mpd_playlist(playlist) for playlist in part]}
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        written.append(path)
    return written


def write_shop(world: World, folder: Path) -> tuple[Path, Path]:
    """Write the world as a record shop: a playlist is a visit, and the album of each of its tracks is a viewed product.

    clicks.csv    visit, sku, time, kind: visits start every 10 minutes from 2025-01-01 on, views are 30 seconds apart,
                  and in every fourth visit the last product is bought, 30 seconds after the last view; in order of
                  time
    products.csv  sku, name, artist, genre, price: one row an album, the artists in the order of the world

    Returns the two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = {song.album_uri: (artist, song) for artist in world.artists for song in artist.songs}
    skus = {uri: f"R{number:04}" for number, uri in enumerate(records, start=1)}
    products = [
        (skus[uri], song.album_name, artist.name, artist.genre, 9 + number % 12)
        for number, (uri, (artist, song)) in enumerate(records.items())
    ]
    start = datetime(2025, 1, 1)
    clicks = []
    for playlist in world.playlists:
        viewed = [skus[song.album_uri] for _, song in playlist.tracks]
        events = [(sku, "view") for sku in viewed] + [(sku, "buy") for sku in viewed[-1:] if playlist.pid % 4 == 0]
        for number, (sku, kind) in enumerate(events):
            time = start + timedelta(minutes=10 * playlist.pid, seconds=30 * number)
            clicks.append((f"v{playlist.pid}", sku, time.isoformat(), kind))
    clicks.sort(key=itemgetter(2))
    return (
        _write_csv(folder / "clicks.csv", ("visit", "sku", "time", "kind"), clicks),
        _write_csv(folder / "products.csv", ("sku", "name", "artist", "genre", "price"), products),
    )


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _mpd_playlist(playlist: Playlist) -> dict[str, Any]:
    tracks = [
        {
            "pos": pos,
            "artist_name": artist.name,
            "track_uri": song.uri,
            "artist_uri": artist.uri,
            "track_name": song.name,
            "album_uri": song.album_uri,
            "duration_ms": song.duration_ms,
            "album_name": song.album_name,
        }
        for pos, (artist, song) in enumerate(playlist.tracks)
    ]
    return {
        "name": playlist.name,
        "collaborative": "false",
        "pid": playlist.pid,
        "modified_at": 1_493_424_000 + 86_400 * (playlist.pid % 180),
        "num_tracks": len(tracks),
        "num_albums": len({song.album_uri for _, song in playlist.tracks}),
        "num_followers": 1 + playlist.pid % 7,
        "tracks": tracks,
        "num_edits": 1 + playlist.pid % 20,
        "duration_ms": sum(song.duration_ms for _, song in playlist.tracks),
        "num_artists": len({artist.uri for artist, _ in playlist.tracks}),
    }


def _artist(rng: np.random.Generator, names: _Names, genre: str) -> Artist:
    songs = []
    for _ in range(int(rng.integers(2, 5))):
        album_uri, album_name = _uri(rng, "album"), names.title()
        for _ in range(int(rng.integers(3, 7))):
            duration = int(rng.integers(120_000, 360_000))
            songs.append(Song(_uri(rng, "track"), names.title(), duration, album_uri, album_name))
    return Artist(_uri(rng, "artist"), names.artist(), genre, tuple(songs))


def _uri(rng: np.random.Generator, kind: str) -> str:
    return f"spotify:{kind}:{''.join(_BASE62[i] for i in rng.integers(62, size=22).tolist())}"


class _Names:
    """Invented, pronounceable names; names of artists and genres are distinct."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.used: Counter[str] = Counter()

    def artist(self) -> str:
        patterns = ("{} {}", "The {}s", "{} & {}", "{}", "DJ {}")
        return self._distinct(patterns, lambda: self._word().capitalize())

    def genre(self) -> str:
        return self._distinct(("{} folk", "{} house", "{} rock", "{} jazz", "{}wave", "{} beat"), self._word)

    def title(self) -> str:
        pattern = self._pick(("{}", "{} of {}", "My {}", "{} Again", "No {} Without {}"))
        return pattern.format(self._word().capitalize(), self._word().capitalize())

    def playlist(self, genre: str) -> str:
        return self._pick(("{}", "late {}", "{} for work", "best of {}", "{} mix")).format(genre)

    def _distinct(self, patterns: tuple[str, ...], word: Any) -> str:
        name = self._pick(patterns).format(word(), word())
        self.used[name] += 1
        return name if self.used[name] == 1 else f"{name} {self.used[name]}"

    def _word(self) -> str:
        onsets = ("b", "br", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "z")
        vowels = ("a", "e", "i", "o", "u", "ai", "ou")
        syllables = [self._pick(onsets) + self._pick(vowels) for _ in range(int(self.rng.integers(2, 4)))]
        return "".join(syllables) + self._pick(("", "l", "n", "r", "x"))

    def _pick(self, options: tuple[str, ...]) -> str:
        return options[int(self.rng.integers(len(options)))]
