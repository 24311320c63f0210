"""Toy data in the layouts of the experiments in configs/: each user prefers a group of items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedrec.datasets.synthetic import make_world, write_mpd

GROUPS, EACH = 4, 10
_START = 1_100_000_000  # seconds
_HOUR = 3600


def plays(users: int = 40, *, seed: int = 0) -> list[list[tuple[int, int]]]:
    """The (item, seconds) of every user in order: sessions of five events a day apart; at most fifty events."""
    rng = np.random.default_rng(seed)
    out = []
    for user in range(users):
        liked = user % GROUPS * EACH
        count = int(rng.integers(22, 50))
        # each item once, most of them of the user's group
        own, other = rng.permutation(EACH) + liked, rng.permutation(GROUPS * EACH)
        items = list(dict.fromkeys([*own.tolist(), *other.tolist()]))[:count]
        times = _START + user * _HOUR + np.arange(len(items)) // 5 * 24 * _HOUR + np.arange(len(items)) % 5 * 60
        out.append(list(zip(items, times.tolist(), strict=True)))
    return out


def five_item_sessions() -> list[list[int]]:
    """Sessions of five items."""
    return [[item for item, _ in events[at : at + 5]] for events in plays() for at in range(0, len(events) - 4, 5)]


def write_toy(layout: str, folder: Path) -> Path:
    """Write data in a layout; the path that an experiment has as its data."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "lastfm1k":
        lines = [
            f"user_{u:06}\t{_iso(time)}\tar{item % 7}\tArtist {item % 7}\ttr{item}\tTrack {item}"
            for u, events in enumerate(plays())
            for item, time in reversed(events)
        ]
        (folder / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("\n".join(lines) + "\n")
    elif layout == "movielens":
        lines = [f"{u}\t{item}\t{3 + (item + u) % 3}\t{time}" for u, e in enumerate(plays()) for item, time in e]
        (folder / "u.data").write_text("\n".join(lines) + "\n")
        films = [
            f"{item}|Film {item} ({1970 + item})|01-Jan-{1970 + item}||http://example.org/{item}|"
            + "|".join("1" if genre in (item // EACH + 1, item % 3 + 8) else "0" for genre in range(19))
            for item in range(GROUPS * EACH)
        ]
        (folder / "u.item").write_text("\n".join(films) + "\n", encoding="latin-1")
    elif layout == "mpd":
        world = make_world(seed=2, genres=4, artists_per_genre=12, playlists=300)
        for part in ("train", "test"):
            (file,) = write_mpd(world, folder / part)
        slice_ = json.loads(file.read_text())  # the same again, under other numbers
        slice_["playlists"] = [{**playlist, "pid": playlist["pid"] + 1000} for playlist in slice_["playlists"]]
        file.write_text(json.dumps(slice_))
    elif layout == "mssd":
        heads = "session_id,session_position,session_length,track_id_clean,skip_1,skip_2,skip_3,not_skipped"
        logs = [
            f"s{s},{p},{len(items)},t{item},false,false,false,true"
            for s, items in enumerate(five_item_sessions())
            for p, item in enumerate(items, 1)
        ]
        (folder / "log_0.csv").write_text("\n".join([heads, *logs]) + "\n")
        tracks = [f"t{item},{item % 5},{item % 3}.5" for item in range(GROUPS * EACH)]
        (folder / "tf_0.csv").write_text("\n".join(["track_id,duration,tempo", *tracks]) + "\n")
    elif layout == "mssd-sample":
        rows = [(s, p, f"t{item}", 3) for s, items in enumerate(five_item_sessions()) for p, item in enumerate(items)]
        _write(folder / "sessions.parquet", ("user_id", "pos", "song_id", "skipped"), rows)
        return folder / "sessions.parquet"
    elif layout == "sessions":
        lists = five_item_sessions()
        train, test = lists[:-20], lists[-20:]
        rows = [(s, p, item) for s, items in enumerate(train) for p, item in enumerate(items)]
        _write(folder / "train_sessions.parquet", ("session", "pos", "item"), rows)
        prefixes = [(items[:end], items[end]) for items in test for end in range(len(items) - 1, 0, -1)]
        _write(folder / "test_prefixes.parquet", ("prefix", "target"), prefixes)
    elif layout == "hetrec":
        _write(
            folder / "user_artists.parquet",
            ("userID", "artistID", "weight"),
            [(u, item, 1 + item % 4) for u, events in enumerate(plays()) for item, _ in events],
        )
    else:
        raise ValueError(layout)
    return folder


def _write(path: Path, names: tuple[str, ...], rows: list[tuple]) -> None:
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), path)


def _iso(seconds: int) -> str:
    return f"{np.datetime64(seconds, 's')}Z"
