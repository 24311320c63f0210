"""HetRec 2011 Last.fm 2K: both layouts give the same events."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from embedrec.readers.hetrec import HetRec
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import SKIP, feature_values, refusal, rows, write

_PLAYS = "userID\tartistID\tweight\r\n2\t51\t13883\r\n2\t52\t11690\r\n3\t51\t1\r\n"
_FILES: dict[str, str | bytes] = {
    "user_artists.dat": _PLAYS,
    "artists.dat": 'id\tname\turl\tpictureURL\r\n51\tSigur Rós\thttp://x\thttp://y\r\n52\tQ"u\thttp://x\t\r\n99\tNo\t\t\r\n',
    "tags.dat": "tagID\ttagValue\r\n1\tmetal\r\n2\tcafé\r\n3\tcafé\r\n4\tunused\r\n".encode("latin-1"),
    "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\r\n"
    + "".join(
        f"{u}\t{a}\t{t}\t1\t4\t2009\r\n" for u, a, t in ((2, 51, 1), (2, 51, 2), (3, 51, 3), (2, 99, 1), (2, 52, 77))
    ),
    "readme.txt": "no",
}
_WANT = [(2, 51, 13883), (2, 52, 11690), (3, 51, 1)]


def read(path: Path, **settings: Any) -> Any:
    return HetRec(**settings).read([path], ReadSettings())


@pytest.mark.parametrize("kind", ["dat", "zip", "parquet"])
def test_every_layout_gives_the_same_events(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "d", _FILES)
    if kind == "zip":
        path = tmp_path / "hetrec2011-lastfm-2k.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in _FILES.items():
                archive.writestr(name, content)
    elif kind == "parquet":
        path = tmp_path / "p"
        path.mkdir()
        for name in [n for n in _FILES if n.endswith(".dat")]:
            content = (tmp_path / "d" / name).read_bytes()
            text = content.decode("latin-1" if name == "tags.dat" else "utf-8").encode()
            options = pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False)
            table = pyarrow.csv.read_csv(io.BytesIO(text), parse_options=options)
            pq.write_table(table, path / f"{Path(name).stem}.parquet")
    events = read(path)
    assert rows(events, "weight") == _WANT
    assert events.items.names.tolist() == ["Sigur Rós", 'Q"u']
    assert events.users.ids.tolist() == [2, 3] and events.time is None
    assert feature_values(events.item_features) == {51: {"tags": ["café", "metal"]}, 52: {}}
    assert feature_values(read(path, min_tags=2).item_features) == {51: {"tags": ["café"]}, 52: {}}


def test_play_counts_are_read_without_other_files(tmp_path: Path) -> None:
    events = read(write(tmp_path, {"user_artists.dat": _PLAYS}))
    assert rows(events, "weight") == _WANT
    assert events.items.names is None and events.item_features is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"artists.dat": "id\tname\n"}, "{d} contains no user_artists.dat or .parquet; check the path"),
        (
            {"user_artists.dat": _PLAYS, "a/user_artists.dat": _PLAYS},
            "{d}/a/user_artists.dat and {d}/user_artists.dat are both user_artists; name one data set",
        ),
        (
            {"user_artists.dat": _PLAYS + "4\tx\t1\n"},
            "{d}/user_artists.dat, row 4: artistID must be a whole number, but is 'x'" + SKIP,
        ),
        (
            {"user_artists.dat": _PLAYS + "4\t1\tlots\n"},
            "{d}/user_artists.dat, row 4: weight must be a number, but is 'lots'" + SKIP,
        ),
        (
            {"user_artists.dat": "userID\tweight\n1\t1\n"},
            "the column 'artistID' is not in {d}/user_artists.dat; its columns are userID, weight",
        ),
        (
            {**_FILES, "tags.dat": "tagID\ttagValue\none\tmetal\n"},
            "{d}/tags.dat, row 1: tagID must be a whole number, but is 'one'" + SKIP,
        ),
        (
            {**_FILES, "user_taggedartists.dat": "userID\ttagID\n1\t1\n"},
            "the column 'artistID' is not in {d}/user_taggedartists.dat; its columns are userID, tagID",
        ),
        (
            {**_FILES, "artists.dat": "id\tname\n51\ta\n51\tb\n"},
            "{d}/artists.dat, row 2: id occurs twice, but is '51'" + SKIP,
        ),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, files: dict, message: str) -> None:
    write(tmp_path, files)
    assert refusal(HetRec(), [tmp_path]) == message.replace("{d}", str(tmp_path))


def test_the_data_set_has_known_sizes(data_folder: Path) -> None:
    events = read(data_folder / "hetrec_lastfm_2k")
    assert (len(events), len(events.sessions), len(events.items)) == (92_834, 1_892, 17_632)
    row = int(np.flatnonzero(events.items.ids == 51)[0])
    assert events.items.names[row] == "Duran Duran"
    assert feature_values(events.item_features)[51]["tags"][:3] == ["80s", "new wave", "pop"]
