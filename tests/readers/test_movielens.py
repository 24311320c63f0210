"""MovieLens: every layout of the same ratings gives the same events."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from embedrec.data.events import Events
from embedrec.data.sessions import sessionize
from embedrec.datasets.movielens_100k import user_cache
from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.movielens import MovieLens
from embedrec.tabular.read_settings import ReadSettings
from tests.readers import reading
from tests.readers.reading import ARCHIVES

_SKIP = "; use --on-bad-row skip to leave such rows out"
_RATINGS = [(7, 50, 4, 881250949), (3, 50, 5, 881250950), (7, 9, 1, 881250940), (7, 11, 3, 881250949)]
_TITLES = {9: "Misérables, Les (1995)", 11: "Seven (Se7en) (1995)", 12: "Nobody's (1990)", 50: "Star, The: a (1977)"}
# (user, film, title, rating, ms) sorted by user as they come, then time
_WANT = [
    (7, 9, "Misérables, Les (1995)", 1, 881250940000),
    (7, 50, "Star, The: a (1977)", 4, 881250949000),
    (7, 11, "Seven (Se7en) (1995)", 3, 881250949000),
    (3, 50, "Star, The: a (1977)", 5, 881250950000),
]


def _rows(delimiter: str) -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in _RATINGS)


def _recbole(film: int, title: str) -> str:
    return f"{film}\t{title[:-7]}\t{title[-5:-1]}\tDrama\n"


_FILES = {
    "100k": {
        "u.data": _rows("\t").encode(),
        "u.item": "".join(f"{i}|{t}|01-Jan-1995||http://x\n" for i, t in _TITLES.items()).encode("latin-1"),
        "u.genre": b"unknown|0\n",
    },
    "1m": {
        "ratings.dat": _rows("::").encode(),
        "movies.dat": "".join(f"{i}::{t}::Drama|War\n" for i, t in _TITLES.items()).encode("latin-1"),
        "users.dat": b"1::F::1::10::48067\n",
    },
    "10m": {
        "ratings.dat": _rows("::").encode(),
        "movies.dat": "".join(f"{i}::{t}::Drama|War\n" for i, t in _TITLES.items()).encode("utf-8"),
    },
    "csv": {
        "ratings.csv": b"userId,movieId,rating,timestamp\r\n" + _rows(",").replace("\n", "\r\n").encode(),
        "movies.csv": (
            "movieId,title,genres\r\n" + "".join(f'{i},"{t}",Drama\r\n' for i, t in _TITLES.items())
        ).encode(),
        "links.csv": b"movieId,imdbId\n",
    },
    "recbole": {
        "ml.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + _rows("\t").encode(),
        "ml.item": (
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            + "".join(_recbole(i, t) for i, t in _TITLES.items())
        ).encode(),
        "ml.user": b"user_id:token\n",
    },
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def as_rows(events: Events) -> list[tuple[Any, ...]]:
    items = events.item
    columns = (events.sessions.ids[events.session], events.items.ids[items], events.items.names[items])
    return list(zip(*(c.tolist() for c in (*columns, events.weight, events.time)), strict=True))


@pytest.mark.parametrize("layout", _FILES)
@pytest.mark.parametrize("given", ["folder", "file", "zip"])
def test_every_layout_gives_the_same_events(tmp_path: Path, layout: str, given: str) -> None:
    folder = write(tmp_path / "ml", _FILES[layout])
    ratings = next(iter(_FILES[layout]))
    path = {"folder": folder, "file": folder / ratings, "zip": tmp_path / "ml.zip"}[given]
    if given == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in _FILES[layout].items():
                archive.writestr(f"ml/{name}", content)
    events = MovieLens().read([path], ReadSettings())
    assert as_rows(events) == _WANT
    assert events.items.integer and events.sessions.integer


def test_titles_may_be_in_another_file_or_missing(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml", {"u.data": _FILES["100k"]["u.data"]})
    assert MovieLens().read([folder], ReadSettings()).items.names is None
    other = tmp_path / "titles"
    other.write_bytes(b"50|Fifty (1950)|\n")
    names = MovieLens(titles=str(other)).read([folder], ReadSettings()).items.names
    assert names.tolist() == ["Fifty (1950)", "", ""]


_FLAGS = "|".join("1" if n in (8, 17) else "0" for n in range(19))  # Drama and War
_FEATURES: dict[str, dict[str, str | bytes]] = {
    "100k": {
        "u.data": _rows("\t"),
        "u.item": f"9|Misérables, Les (1995)|01-Jan-1995||http://x|{_FLAGS}\n11|Seven|||".encode("latin-1"),
        "u.user": "3|24|M|writer|85711\n7|53|F||\n9|1|M|other|0\n",
    },
    "1m": {
        "ratings.dat": _rows("::"),
        "movies.dat": "9::Misérables, Les (1995)::Drama|War\n11::Seven::\n".encode("latin-1"),
        "users.dat": "3::M::24::writer::85711\n7::F::53::::\n",
    },
    "csv": {
        "ratings.csv": "userId,movieId,rating,timestamp\n" + _rows(","),
        "movies.csv": 'movieId,title,genres\n9,"Misérables, Les (1995)",Drama|War\n11,Seven,(no genres listed)\n',
    },
    "recbole": {
        "ml.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + _rows("\t"),
        "ml.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "9\tMisérables, Les\t1995\tDrama War\n11\tSeven\t\t\n",
        "ml.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "3\t24\tM\twriter\t85711\n7\t53\tF\t\t\n",
    },
}


@pytest.mark.parametrize("layout", _FEATURES)
def test_features_of_films_and_users_are_read(tmp_path: Path, layout: str) -> None:
    events = MovieLens().read([reading.write(tmp_path, _FEATURES[layout])], ReadSettings())
    assert reading.feature_values(events.item_features) == {
        50: {},
        9: {"release_year": 1995, "genres": ["Drama", "War"]},
        11: {},
    }
    if layout == "csv":
        assert events.user_features is None
    else:
        zip_ = "zip_code" if layout == "recbole" else "zip"
        assert reading.feature_values(events.user_features) == {
            3: {"age": 24, "gender": "M", "occupation": "writer", zip_: "85711"},
            7: {"age": 53, "gender": "F"},
        }


_UNEVEN = "the row must have a value for every column, but has 3 where there are 4 columns"
_ENDINGS = ".data, .dat, .csv, .inter, .item, .user, " + ARCHIVES


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"u.data": "7\t50\t4\t881250949\n7\t51\t4\n"}, "{d}/u.data, row 2: " + _UNEVEN + _SKIP),
        ({"ratings.dat": "7::50::4\n"}, "{d}/ratings.dat, row 1: " + _UNEVEN + _SKIP),
        (
            {"u.data": "7\t50\t4\t881250949\nx\t51\t4\t1\n"},
            "{d}/u.data, row 2: user must be a whole number, but is 'x'" + _SKIP,
        ),
        ({"u.data": "7\t\t4\t881250949\n"}, "{d}/u.data, row 1: item is missing" + _SKIP),
        (
            {"u.data": "7\t50\tnan\t881250949\n"},
            "{d}/u.data, row 1: rating must be a finite number, but is 'nan'" + _SKIP,
        ),
        ({"u.data": "7\t50\t4\tnoon\n"}, "{d}/u.data, row 1: time must be a number, but is 'noon'" + _SKIP),
        (
            {"u.data": "7\t50\t4\t1\n", "u.item": "fifty|Fifty\n"},
            "{d}/u.item, row 1: the film must be a whole number, but is 'fifty'" + _SKIP,
        ),
        (
            {"ratings.csv": "user,movie\n1,2\n"},
            "the column 'userId' is not in {d}/ratings.csv; its columns are user, movie",
        ),
        (
            {"a.csv": "1", "b.csv": "1"},
            "{d} contains no ratings of MovieLens; looked for ratings.csv, ratings.dat, u.data and *.inter",
        ),
        (
            {"u.data": "1", "x.inter": "1"},
            "{d} contains several data sets ({d}/u.data, {d}/x.inter); name one of these files",
        ),
        (
            {"u.genre": "1"},
            f"the folder {{d}} contains no data files; looked for {_ENDINGS}",
        ),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    write(tmp_path, {name: content.encode() for name, content in files.items()})
    with pytest.raises(DataError) as error:
        MovieLens().read([tmp_path], ReadSettings())
    assert str(error.value) == message.replace("{d}", str(tmp_path))


def test_skipped_rows_are_counted(tmp_path: Path) -> None:
    files = {
        "u.data": b"7\t50\t4\t881250949\nx\t5\t4\t1\n7\t51\n7\t9\tinf\t1\n3\t50\t5\t881250950\n",
        "u.item": b"x|X\n",
    }
    bad_rows = BadRows("skip")
    events = MovieLens().read([write(tmp_path, files)], ReadSettings(bad_rows))
    assert events.sessions.ids.tolist() == [7, 3]
    assert sorted(bad_rows.counts.values()) == [1, 1, 1, 1]
    assert bad_rows.examples["rating must be a finite number"] == [f"{tmp_path}/u.data, row 4"]


def test_movielens_100k_has_known_sizes() -> None:
    folder = user_cache() / "ml-100k"
    if not (folder / "ml-100k.inter").is_file():
        pytest.skip(f"needs MovieLens 100K in {folder}, where `embedrec demo` puts it")
    events = MovieLens().read([folder], ReadSettings())
    sessions = sessionize(events)
    assert (len(events), len(sessions), len(sessions.vocab)) == (100_000, 943, 1682)
    assert sessions.lengths.max() == 737
    first, last = (datetime.fromtimestamp(int(t) / 1000, UTC) for t in (events.time.min(), events.time.max()))
    assert first == datetime(1997, 9, 20, 3, 5, 10, tzinfo=UTC)
    assert last == datetime(1998, 4, 22, 23, 10, 38, tzinfo=UTC)
    assert events.items.name(int(events.items.rows([1])[0])) == "Toy Story (1995)"
