"""MovieLens ratings in all layouts in use, with the films' titles as names (Harper and Konstan 2015)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedrec.data.events import Events
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.files import Source, expand
from embedrec.readers.formats import Delimited
from embedrec.readers.rows import Plan, read_rows
from embedrec.reporting import Report, quiet


@dataclass(frozen=True)
class MovieLens:
    """MovieLens 100K (u.data), 1M and 10M (ratings.dat), the CSV layouts, and RecBole's .inter.

    titles      file of the titles; "" takes the one beside the ratings (u.item, movies.dat, movies.csv, .item),
                where there is one
    min_rating  smaller ratings are left out

    A session is a user (int64), an item a film (int64), a weight a rating; names are titles with the year.
    """

    titles: str = ""
    min_rating: float = 0.0

    def read(
        self,
        paths: Sequence[str | Path],
        *,
        bad_rows: BadRows,
        workers: int = 1,  # one process is enough: parsing is compiled
        report: Report = quiet,
    ) -> Events:
        """The ratings of one data set as events: paths name its folder, its zip archive or its file of ratings.

        report  "progress" with `done` and `total` bytes

        Raises DataError when there are no or several files of ratings, for files that cannot be read, and for
        bad rows (as `bad_rows` says).
        """
        sources = expand(paths, (".data", ".dat", ".csv", ".inter", ".item"))
        ratings = _ratings(sources, paths)
        layout = _LAYOUTS[ratings.suffix]
        titles = _beside(ratings, sources, layout) if not self.titles else expand([self.titles], (), any_file=True)[0]
        plan = replace(layout.plan, min_weight=self.min_rating)
        events = read_rows([(ratings, layout.format)], plan, bad_rows, report)
        if titles is None:
            return events
        names = dict(_titles(titles, layout, bad_rows))
        texts = np.array([names.get(i, "") for i in events.items.ids.tolist()], dtype=object)
        return replace(events, items=Vocab(events.items.ids, texts))


@dataclass(frozen=True)
class _Layout:
    """One layout: its files, the columns of the ratings, and how a title file is taken apart.

    titles  name of the title file beside the ratings; "" for the ratings' own name with .item
    parse   lines → (film, title) as texts
    """

    ratings: str
    titles: str
    format: Delimited
    plan: Plan
    parse: Callable[[Iterable[str]], Iterator[tuple[str, str]]]


def _plan(user: str, item: str, rating: str, time: str) -> Plan:
    return Plan(session=user, item=item, user=user, time=time, weight=rating, time_unit="s", whole_ids=True)


def _split(delimiter: str) -> Callable[[Iterable[str]], Iterator[tuple[str, str]]]:
    def parse(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
        for line in lines:
            film, _, rest = line.partition(delimiter)
            yield film, rest.partition(delimiter)[0]

    return parse


def _csv_titles(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for row in csv.DictReader(lines):
        yield row.get("movieId") or "", row.get("title") or ""


def _recbole_titles(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Title and year stand in columns of their own; they are joined to the form of the other layouts."""
    rows = (line.split("\t") for line in lines)
    columns = [name.partition(":")[0] for name in next(rows, [])]
    for row in rows:
        given = dict(zip(columns, row, strict=False))
        title, year = given.get("movie_title", ""), given.get("release_year", "")
        yield given.get("item_id", ""), f"{title} ({year})" if year.isdecimal() else title


_COLUMNS = ("user", "item", "rating", "time")
_LAYOUTS = {
    ".data": _Layout("u.data", "u.item", Delimited("\t", False, _COLUMNS), _plan(*_COLUMNS), _split("|")),
    ".dat": _Layout("ratings.dat", "movies.dat", Delimited("::", False, _COLUMNS), _plan(*_COLUMNS), _split("::")),
    ".csv": _Layout(
        "ratings.csv", "movies.csv", Delimited(","), _plan("userId", "movieId", "rating", "timestamp"), _csv_titles
    ),
    ".inter": _Layout(
        "",
        "",
        Delimited("\t", False),
        _plan("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
        _recbole_titles,
    ),
}


def _ratings(sources: Sequence[Source], paths: Sequence[str | Path]) -> Source:
    """The one source of ratings: by name among many, by suffix where one file was given."""
    if len(sources) == 1 and sources[0].suffix in _LAYOUTS:
        return sources[0]
    names = {layout.ratings for layout in _LAYOUTS.values() if layout.ratings}
    found = [s for s in sources if s.name.lower() in names or s.suffix == ".inter"]
    if len(found) == 1:
        return found[0]
    given = ", ".join(map(str, paths))
    if not found:
        raise DataError(f"{given} holds no ratings of MovieLens; looked for {', '.join(sorted(names))} and *.inter")
    raise DataError(f"{given} holds several data sets ({', '.join(map(str, found))}); name one of these files")


def _beside(ratings: Source, sources: Sequence[Source], layout: _Layout) -> Source | None:
    """The titles in the folder of the ratings, or in the same folder of the same archive."""
    name = layout.titles or f"{ratings.name.removesuffix('.inter')}.item"
    if ratings.member is not None:
        folder = ratings.member.rpartition("/")[0]
        members = [s for s in sources if s.path == ratings.path and s.name == name and s.member is not None]
        return next((s for s in members if str(s.member).rpartition("/")[0] == folder), None)
    for path in (ratings.path.with_name(name), ratings.path.with_name(f"{name}.gz")):
        if path.is_file():
            return expand([path], (), any_file=True)[0]
    return None


def _titles(source: Source, layout: _Layout, bad_rows: BadRows) -> Iterator[tuple[int, str]]:
    content = source.read()
    try:
        text = content.decode()
    except UnicodeDecodeError:  # 100K and 1M are Latin-1; those bytes with accents are not valid UTF-8
        text = content.decode("latin-1")
    lines = [line for line in text.split("\n") if line.strip()]
    for row, (film, title) in enumerate(layout.parse(line.rstrip("\r") for line in lines), 1):
        if not film.isascii() or not film.isdecimal():
            bad_rows.add(source, f"row {row}", "the film must be a whole number", f", but is {film[:40]!r}")
        else:
            yield int(film), title
