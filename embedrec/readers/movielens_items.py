"""The films of MovieLens: titles, years and genres, from the files of all its layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from embedrec.data.events import Events
from embedrec.data.features import Features, Lists
from embedrec.data.vocab import Vocab
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.source_files import Source

Film = tuple[str, str, list[str]]  # id, title with the year, genres
Parse = Callable[[Source, BadRows], Iterator[tuple[int, Film]]]  # with the number of each row
_MOST = 256 << 20  # maximum bytes of all films; the largest data set has 3 MB
_LONGEST = 18  # digits of a whole number of 64 bits

# the flags at the end of a line of u.item, in this order
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_MOVIES = ("movieId", "title", "genres")  # columns of movies.csv
_NO_GENRES = "(no genres listed)"
_YEAR = re.compile(r"\(([0-9]{4})\)\s*$")


def add_films(events: Events, source: Source, parse: Parse, bad_rows: BadRows) -> Events:
    """The events with film titles as names, and years and genres as features.

    Raises DataError for a film id that is not a whole number (unless bad rows are skipped).
    """
    films = dict(_films(source, parse, bad_rows))
    items = events.items.ids.tolist()
    titles = np.array([films.get(i, ("", []))[0] for i in items], dtype=object)
    years = [float(year[1]) if (year := _YEAR.search(title)) else np.nan for title in titles]
    genres = [films.get(i, ("", []))[1] for i in items]
    names, codes = np.unique(np.array([*chain.from_iterable(genres)], dtype=object), return_inverse=True)
    offsets = np.cumsum([0, *map(len, genres)])
    features = Features(
        Vocab(events.items.ids),
        {"release_year": np.array(years, dtype=np.float32)},
        lists={"genres": Lists(offsets, codes, names)},
    )
    return replace(events, items=Vocab(events.items.ids, titles), item_features=features)


def parse_u_item(source: Source, bad_rows: BadRows) -> Iterator[tuple[int, Film]]:
    """u.item of 100K: id|title|released|on video|URL and a flag per genre."""
    for row, line in enumerate(_lines(source), 1):
        film, title, *rest = [*line.split("|"), ""][:24]
        yield row, (film, title, [genre for genre, flag in zip(_GENRES, rest[3:], strict=False) if flag == "1"])


def parse_movies_dat(source: Source, bad_rows: BadRows) -> Iterator[tuple[int, Film]]:
    """movies.dat of 1M and 10M: id::title::genre|genre."""
    for row, line in enumerate(_lines(source), 1):
        film, title, genres = [*line.split("::"), "", ""][:3]
        yield row, (film, title, _genres(genres))


def parse_movies_csv(source: Source, bad_rows: BadRows) -> Iterator[tuple[int, Film]]:
    """movies.csv: movieId,title,genres."""
    form = Delimited(",").decoding(source)
    columns = [name for name in _MOVIES if name in form.columns(source)]
    for batch in form.batches(source, columns, bad_rows):
        given = {name: batch.columns[name].to_pylist() for name in columns}
        for at, row in enumerate(batch.rows):
            film, title, genres = (given[name][at] or "" if name in given else "" for name in _MOVIES)
            yield int(row), (film, title, _genres(genres))


def parse_recbole_item(source: Source, bad_rows: BadRows) -> Iterator[tuple[int, Film]]:
    """RecBole's .item: separate columns of title and year, joined as in the other layouts."""
    rows = (line.split("\t") for line in _lines(source))
    columns = [name.partition(":")[0] for name in next(rows, [])]
    for number, row in enumerate(rows, 1):
        given = dict(zip(columns, row, strict=False))
        title, year = given.get("movie_title", ""), given.get("release_year", "")
        titled = f"{title} ({year})" if year.isdecimal() else title
        yield number, (given.get("item_id", ""), titled, given.get("class", given.get("genre", "")).split())


def _genres(text: str) -> list[str]:
    return [genre for genre in text.split("|") if genre not in ("", _NO_GENRES)]


def _films(source: Source, parse: Parse, bad_rows: BadRows) -> Iterator[tuple[int, tuple[str, list[str]]]]:
    for row, (film, title, genres) in parse(source, bad_rows):
        if not film.isascii() or not film.isdecimal():
            bad_rows.add(source, f"row {row}", "the film must be a whole number", f", but is {film[:40]!r}")
        elif len(film) > _LONGEST:
            bad_rows.add(source, f"row {row}", "the film must be a whole number of 64 bits", f", but is {film[:40]!r}…")
        else:
            yield int(film), (title, genres)


def _lines(source: Source) -> Iterator[str]:
    """The lines that are not blank, in UTF-8 or Latin-1."""
    content = source.read(_MOST)
    try:
        text = content.decode()
    except UnicodeDecodeError:  # 100K and 1M are Latin-1; those bytes with accents are not valid UTF-8
        text = content.decode("latin-1")
    return (line.rstrip("\r") for line in text.split("\n") if line.strip())
