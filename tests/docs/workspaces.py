"""Folders in which the commands of the documentation run: small invented data under the names that the pages use."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedrec.datasets.synthetic import World, make_world, write_mpd
from tests.docs.shell import succeed

NAMES = ("Daft Punk", "Justice", "Phoenix", "Bob Marley & The Wailers", "Metallica", "Miles Davis")
GENRES = ("pop", "rock", "jazz", "folk")
PREPARE = (
    "embedrec prepare table listens.csv --session session --item artist --title name --time time --user user "
    "--kind kind --weight rating --item-features artists.csv --user-features users.csv --duplicates all --name plays"
)


def write_files(folder: Path) -> None:
    """Tables and files of other layouts, as a reader of the documentation has them."""
    world = make_world(seed=1, genres=4, artists_per_genre=20, playlists=300)
    playlists = folder / "data" / "mpd" / "train"
    write_mpd(world, playlists)
    popular = [artist.name for rank in range(2) for artist in world.artists[rank::20]]
    names = dict(zip(popular, NAMES, strict=False))
    for file in playlists.iterdir():
        text = file.read_text()
        for old, new in names.items():
            text = text.replace(json.dumps(old, ensure_ascii=False), json.dumps(new))
        file.write_text(text)
    _write_tables(world, folder, names)


def _write_tables(world: World, folder: Path, names: dict[str, str]) -> None:
    artists = {}  # uri → id, name, genre
    for number, artist in enumerate(world.artists):
        name = names.get(artist.name, artist.name)
        artists[artist.uri] = (re.sub(r"\W+", "-", name.lower()), name, GENRES[number // 20])
    rng = np.random.default_rng(0)
    plays = []
    for playlist in world.playlists:
        start = 1_700_000_000 + 86_400 * (playlist.pid // 3)
        for at, (artist, _) in enumerate(playlist.tracks):
            kind = "buy" if rng.random() < 0.2 else "click"
            user = f"u{playlist.pid % 60}"
            rating = int(rng.integers(1, 6))
            key, name, _ = artists[artist.uri]
            plays.append((f"p{playlist.pid}", key, start + 60 * at, user, kind, rating, name))
    write_csv(folder / "listens.csv", ("session", "artist", "time", "user", "kind", "rating", "name"), plays)
    write_csv(folder / "plays.csv", ("playlist", "artist"), [(row[0], row[-1]) for row in plays])
    features = [(key, genre, 1980 + row, f"{genre}|{key[0]}") for row, (key, _, genre) in enumerate(artists.values())]
    write_csv(folder / "artists.csv", ("artist", "genre", "year", "tags"), features)
    write_csv(folder / "users.csv", ("user", "country"), [(f"u{n}", "FR" if n % 2 else "DE") for n in range(60)])
    clicks = [row[:3] for row in plays]
    write_csv(folder / "clicks.csv", ("visit", "sku", "clicked_at"), clicks)
    (folder / "log.csv").write_text("".join(f"{visit},{sku},{time}\n" for visit, sku, time in clicks))
    (folder / "sold-out.txt").write_text("justice\n")
    write_csv(folder / "carts.csv", ("session", "item"), [("c1", "daft-punk"), ("c1", "justice"), ("c2", "phoenix")])
    events: dict[str, list[dict[str, object]]] = {}
    for session, artist, time, _, kind, *_ in plays:
        events.setdefault(session, []).append({"aid": artist, "ts": time * 1000, "type": kind})
    lines = [json.dumps({"session": session, "events": held}) for session, held in events.items()]
    (folder / "otto.jsonl").write_text("\n".join(lines) + "\n")
    rows = [(session, artist, time) for session, artist, time, *_ in plays]
    for name, part in {"train.tsv": rows[:-600], "test.tsv": rows[-600:]}.items():
        lines = ["\t".join(map(str, row)) for row in [("SessionId", "ItemId", "Time"), *part]]
        (folder / name).write_text("\n".join(lines) + "\n")
    vectors = pa.FixedSizeListArray.from_arrays(rng.normal(size=2 * 64).astype(np.float32), 64)
    pq.write_table(pa.table({"id": ["new-1", "new-2"], "vector": vectors}), folder / "new.parquet")
    (folder / "gone.txt").write_text("metallica\n")


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A CSV file with a header."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def prepare_workspace(folder: Path) -> None:
    """Files, and from listens.csv sessions, a model `word2vec` and an index of it, all in `folder`."""
    write_files(folder)
    for command in (PREPARE, "embedrec train word2vec", "embedrec build-index --type ivf"):
        succeed(command, folder)


def copy_workspace(prepared: Path, folder: Path) -> None:
    """A copy whose files keep their times, so that the latest artifact stays the latest."""
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
