"""Last.fm 1K: items with and without ids, tags, profiles."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from embedrec.readers import BadRows
from embedrec.readers.lastfm1k import LastFm1K
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import SKIP, feature_values, refusal, rows, write

_NAME = "userid-timestamp-artid-artname-traid-traname.tsv"
_LOG = """\
user_000001\t2009-05-04T23:08:57Z\tf1b\tDeep Dish\t\tFuck "Me 'Good
user_000001\t2009-05-04T13:54:10Z\ta71\t坂本龍一\tf78\tComposition 0919
user_000001\t2009-05-04T13:52:04Z\t\tUnknown One\t\tA
user_000002\t2006-08-13T13:59:20Z\ta71\t坂本龍一\tc98\tComposition 0919
"""
_PROFILES = """\
#id\tgender\tage\tcountry\tregistered
user_000001\tm\t\tJapan\tAug 13, 2006
user_000002\tf\t30\t\t
user_000009\tf\t30\tPeru\tFeb 1, 2006
"""
_DISH = "Deep Dish – Fuck \"Me 'Good"
_TRACKS = [
    ("user_000001", "Unknown One – A", "user_000001", 1_241_445_124_000),
    ("user_000001", "f78", "user_000001", 1_241_445_250_000),
    ("user_000001", _DISH, "user_000001", 1_241_478_537_000),
    ("user_000002", "c98", "user_000002", 1_155_477_560_000),
]


def read(*paths: Path, **settings: Any) -> Any:
    return LastFm1K(**settings).read(paths, ReadSettings())


def names(events: Any) -> dict[str, str]:
    return dict(zip(events.items.ids.tolist(), events.items.names.tolist(), strict=True))


@pytest.mark.parametrize("given", ["folder", "file", "tar.gz"])
def test_tracks_and_profiles_are_read(tmp_path: Path, given: str) -> None:
    files = {_NAME: _LOG, "userid-profile.tsv": _PROFILES, "README.txt": "no"}
    path = write(tmp_path / "lastfm", files)
    if given == "file":
        path /= _NAME
    elif given == "tar.gz":
        path = tmp_path / "lastfm-dataset-1K.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"lastfm-dataset-1K/{name}")
                entry.size = len(content.encode())
                archive.addfile(entry, io.BytesIO(content.encode()))
    events = read(path)
    assert rows(events, "user", "time") == _TRACKS
    assert names(events) == {
        "Unknown One – A": "Unknown One – A",
        "f78": "坂本龍一 – Composition 0919",
        "c98": "坂本龍一 – Composition 0919",
        _DISH: _DISH,
    }
    assert feature_values(events.user_features) == {
        "user_000001": {"gender": "m", "country": "Japan", "registered": 13373},  # days to 2006-08-13
        "user_000002": {"gender": "f", "age": 30},
    }


def test_artists_are_read(tmp_path: Path) -> None:
    events = read(write(tmp_path, {"log.tsv": _LOG}), level="artist")
    assert [item for _, item, *_ in rows(events)] == ["Unknown One", "a71", "f1b", "a71"]
    assert names(events) == {"Unknown One": "Unknown One", "a71": "坂本龍一", "f1b": "Deep Dish"}
    assert events.user_features is None


def test_tags_are_matched_by_id_and_name(tmp_path: Path) -> None:
    write(tmp_path, {"log/log.tsv": _LOG})
    write(
        tmp_path,
        {
            "tags.tsv": "f78\tpiano\t3\n坂本龍一 – composition 0919\tJAPAN\t9\n"
            "f78\tpiano\t1\nnever\tx\t1\nc98\trare\t1\n"
        },
    )
    events = read(tmp_path / "log", tags=str(tmp_path / "tags.tsv"), min_tags=2)
    assert {i: f for i, f in feature_values(events.item_features).items() if f} == {
        "f78": {"tags": ["JAPAN", "piano"]},
        "c98": {"tags": ["JAPAN"]},
    }
    write(tmp_path, {"two": "a71\tambient\na71\tambient\nDEEP DISH\thouse\n"})
    events = read(tmp_path / "log", tags=str(tmp_path / "two"), level="artist")
    assert feature_values(events.item_features) == {
        "Unknown One": {},
        "a71": {"tags": ["ambient"]},
        "f1b": {"tags": ["house"]},
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u\t2009\ta\tA\tt\tT", "time must be a date as 2024-05-31 23:59:00, but is '2009'"),
        ("u\t2009-05-04T23:08:57Z\ta\tA\t\t", "item is missing"),
        (
            "u\t2009-05-04T23:08:57Z\ta\tA",
            "the row must have a value for every column, but has 4 where there are 6 columns",
        ),
        ("\t2009-05-04T23:08:57Z\ta\tA\tt\tT", "user is missing"),
    ],
)
def test_bad_rows_are_located(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path, {"log.tsv": f"{_LOG}{line}\n"})
    assert refusal(LastFm1K(), [tmp_path]) == f"{tmp_path}/log.tsv, row 5: {message}{SKIP}"
    bad_rows = BadRows("skip")
    assert len(LastFm1K().read([tmp_path], ReadSettings(bad_rows))) == 4 and bad_rows.total == 1


@pytest.mark.parametrize(
    ("files", "tags", "message"),
    [
        (
            {"log.tsv": "u\t2009-05-04T23:08:57Z\tA\n"},
            "",
            "{d}/log.tsv has 3 TAB separated values in its first line, but this layout has 6: user, time, "
            "artist id, artist, track id, track",
        ),
        ({"userid-profile.tsv": _PROFILES}, "", "{d} contains profiles but no listening log; name it too"),
        (
            {"log.tsv": _LOG, "userid-profile.tsv": "#id\tage\n"},
            "",
            "the column 'gender' is not in {d}/userid-profile.tsv; its columns are #id, age, registered",
        ),
        (
            {"log.tsv": _LOG, "tags": "a\n"},
            "{d}/tags",
            "{d}/tags must contain TAB separated items, tags and, optionally, counts",
        ),
        (
            {"log.tsv": _LOG, "tags": "a\tb\tc\n"},
            "{d}/tags",
            "{d}/tags, row 1: count must be a number, but is 'c'" + SKIP,
        ),
        ({"log.tsv": _LOG, "tags": "a\t\n"}, "{d}/tags", "{d}/tags, row 1: tag is missing" + SKIP),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, files: dict, tags: str, message: str) -> None:
    write(tmp_path, files)
    reader = LastFm1K(tags=tags.replace("{d}", str(tmp_path)))
    assert refusal(reader, [tmp_path]) == message.replace("{d}", str(tmp_path))
