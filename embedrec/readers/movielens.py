"""MovieLens ratings in all common layouts, with film titles as names (Harper and Konstan 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.readers.movielens_items import (
    Parse,
    add_films,
    parse_movies_csv,
    parse_movies_dat,
    parse_recbole_item,
    parse_u_item,
)
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.feature_tables import SideTable, add_features, feature_name
from embedrec.tabular.read_rows import Plan, read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand, find_beside


@dataclass(frozen=True)
class MovieLens:
    """MovieLens 100K (u.data), 1M and 10M (ratings.dat), the CSV layouts, and RecBole's .inter.

    titles  file of the titles; "" uses the one beside the ratings (u.item, movies.dat, movies.csv, .item), if it exists

    A session is a user (int64), an item a film (int64), a weight a rating; names are titles with the year. Features of
    the films are `release_year` and the list `genres`. If u.user, users.dat or .user is beside the ratings, features of
    the users are `age`, `gender`, `occupation` and `zip`, with the codes of the data set.
    """

    titles: str = ""

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The ratings of one data set as events: paths name its folder, its zip archive or its file of ratings.

        Raises DataError unless there is exactly one file of ratings, for unreadable files, and for bad rows (unless
        they are skipped).
        """
        sources = expand(paths, (".data", ".dat", ".csv", ".inter", ".item", ".user"))
        ratings = _ratings(sources, paths)
        layout, stem = _LAYOUTS[ratings.suffix], ratings.name.rpartition(".")[0]
        films = find_beside(ratings, sources, layout.films.replace("*", stem))
        if self.titles:
            films = expand([self.titles], (), any_file=True)[0]
        events = read_rows([(ratings, layout.format)], layout.plan, settings)
        if films is not None:
            events = add_films(events, films, layout.parse, settings.bad_rows)
        users = find_beside(ratings, sources, layout.users.replace("*", stem)) if layout.users else None
        if users is None:
            return events
        key, *columns = layout.user_format.columns(users)
        kinds = {column: _USER_KINDS[feature_name(column)] for column in columns if feature_name(column) in _USER_KINDS}
        return add_features(events, "user", SideTable([(users, layout.user_format)], key, "", kinds), settings.bad_rows)


@dataclass(frozen=True)
class _Layout:
    """One layout: its files, and the columns of ratings and users.

    films, users  names of the files beside the ratings; "*" is the stem of the ratings file
    """

    ratings: str
    films: str
    users: str
    format: Delimited
    plan: Plan
    parse: Parse
    user_format: Delimited


def _plan(user: str, item: str, rating: str, time: str) -> Plan:
    return Plan(session=user, item=item, user=user, time=time, weight=rating, time_unit="s", whole_ids=True)


_COLUMNS = ("user", "item", "rating", "time")
_LAYOUTS = {
    ".data": _Layout(
        "u.data",
        "u.item",
        "u.user",
        Delimited("\t", False, _COLUMNS),
        _plan(*_COLUMNS),
        parse_u_item,
        Delimited("|", False, ("id", "age", "gender", "occupation", "zip")),
    ),
    ".dat": _Layout(
        "ratings.dat",
        "movies.dat",
        "users.dat",
        Delimited("::", False, _COLUMNS),
        _plan(*_COLUMNS),
        parse_movies_dat,
        Delimited("::", False, ("id", "gender", "age", "occupation", "zip")),
    ),
    ".csv": _Layout(
        "ratings.csv",
        "movies.csv",
        "",
        Delimited(","),
        _plan("userId", "movieId", "rating", "timestamp"),
        parse_movies_csv,
        Delimited(","),
    ),
    ".inter": _Layout(
        "*.inter",
        "*.item",
        "*.user",
        Delimited("\t", False),
        _plan("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
        parse_recbole_item,
        Delimited("\t", False),
    ),
}
_USER_KINDS: dict[str, Kind] = {
    "age": "number",
    "gender": "text",
    "occupation": "text",
    "zip": "text",
    "zip_code": "text",
}


def _ratings(sources: Sequence[Source], paths: Sequence[str | Path]) -> Source:
    """The one source of ratings: by name among several files, by suffix for a single file."""
    if len(sources) == 1 and sources[0].suffix in _LAYOUTS:
        return sources[0]
    names = {layout.ratings for layout in _LAYOUTS.values()} - {"*.inter"}
    matches = [s for s in sources if s.name.lower() in names or s.suffix == ".inter"]
    if len(matches) == 1:
        return matches[0]
    given = ", ".join(map(str, paths))
    if not matches:
        raise DataError(f"{given} contains no ratings of MovieLens; looked for {', '.join(sorted(names))} and *.inter")
    raise DataError(f"{given} contains several data sets ({', '.join(map(str, matches))}); name one of these files")
