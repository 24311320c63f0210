"""The films of MovieLens: titles, years and genres, from the files of all its layouts."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from embedrec.data.events import Events
from embedrec.data.features import Features, Lists
from embedrec.data.vocab import Vocab
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.files import Source

Film = tuple[str, str, list[str]]  # id, title with the year, genres
Parse = Callable[[Iterable[str]], Iterator[Film]]

# the flags at the end of a line of u.item, in this order
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_NO_GENRES = "(no genres listed)"
_YEAR = re.compile(r"\(([0-9]{4})\)\s*$")


def with_films(events: Events, source: Source, parse: Parse, bad_rows: BadRows) -> Events:
    """The events with the films' titles as names, and their year and genres as features.

    Raises DataError for a film that is no whole number (as `bad_rows` says).
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


def flagged(lines: Iterable[str]) -> Iterator[Film]:
    """u.item of 100K: id|title|released|on video|URL and a flag a genre."""
    for line in lines:
        film, title, *rest = [*line.split("|"), ""][:24]
        yield film, title, [genre for genre, flag in zip(_GENRES, rest[3:], strict=False) if flag == "1"]


def joined(lines: Iterable[str]) -> Iterator[Film]:
    """movies.dat of 1M and 10M: id::title::genre|genre."""
    for line in lines:
        film, title, genres = [*line.split("::"), "", ""][:3]
        yield film, title, _genres(genres)


def comma_separated(lines: Iterable[str]) -> Iterator[Film]:
    """movies.csv: movieId,title,genres."""
    for row in csv.DictReader(lines):
        yield row.get("movieId") or "", row.get("title") or "", _genres(row.get("genres") or "")


def atomic(lines: Iterable[str]) -> Iterator[Film]:
    """RecBole's .item: title and year stand in columns of their own; they are joined as in the other layouts."""
    rows = (line.split("\t") for line in lines)
    columns = [name.partition(":")[0] for name in next(rows, [])]
    for row in rows:
        given = dict(zip(columns, row, strict=False))
        title, year = given.get("movie_title", ""), given.get("release_year", "")
        titled = f"{title} ({year})" if year.isdecimal() else title
        yield given.get("item_id", ""), titled, given.get("class", given.get("genre", "")).split()


def _genres(text: str) -> list[str]:
    return [genre for genre in text.split("|") if genre not in ("", _NO_GENRES)]


def _films(source: Source, parse: Parse, bad_rows: BadRows) -> Iterator[tuple[int, tuple[str, list[str]]]]:
    content = source.read()
    try:
        text = content.decode()
    except UnicodeDecodeError:  # 100K and 1M are Latin-1; those bytes with accents are not valid UTF-8
        text = content.decode("latin-1")
    lines = [line for line in text.split("\n") if line.strip()]
    for row, (film, title, genres) in enumerate(parse(line.rstrip("\r") for line in lines), 1):
        if not film.isascii() or not film.isdecimal():
            bad_rows.add(source, f"row {row}", "the film must be a whole number", f", but is {film[:40]!r}")
        else:
            yield int(film), (title, genres)
