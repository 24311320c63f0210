"""Tables of events: CSV, TSV, Parquet and JSON lines with columns named by options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from embedrec.data.events import Events
from embedrec.errors import DataError, did_you_mean
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.files import Source, expand
from embedrec.readers.formats import Delimited, Format, JsonLines, Parquet
from embedrec.readers.rows import Plan, listed, read_rows
from embedrec.readers.values import TimeUnit
from embedrec.reporting import Report, quiet

_FORMATS: dict[str, Format] = {
    "csv": Delimited(),
    "tsv": Delimited("\t", quoted=False),
    "parquet": Parquet(),
    "jsonl": JsonLines(),
}
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".inter": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_NONE = "-"

# names in common use, most telling first, as `_plain` writes them
_GUESSES = {
    "session": ("sessionid", "session", "sid", "playlistid", "playlist", "pid", "basketid", "orderid", "visitid"),
    "item": (
        *("itemid", "item", "trackid", "trackuri", "trackidclean", "songid", "artisturi", "artistid", "albumuri"),
        *("albumid", "movieid", "productid", "sku", "articleid", "track", "artist", "iid"),
    ),
    "user": ("userid", "user", "uid", "visitorid", "customerid"),
    "time": ("timestamp", "time", "datetime", "eventtime", "playedat", "createdat", "ts", "date"),
    "weight": ("weight", "rating", "playcount", "plays"),
}


@dataclass(frozen=True)
class Table:
    """Rows of session (or user), item and, where known, time, weight, name and kind.

    session, item, user, time, weight  columns; None guesses from names in common use, "-" is for none
    name       column of the item's display name; None takes the item column's sister (track_uri, track_name)
    kind       column of the kind of event (click, buy …)
    format     "auto" goes by the suffix; CSV finds its delimiter in the header, TSV knows no quotes
    time_unit  numbers are seconds or milliseconds since 1970, texts ISO 8601, UTC where no zone is given

    Without a session column a user is a session; without times the order of files and rows counts. Ids are int64
    where a column holds whole numbers only, else texts.
    """

    session: str | None = None
    item: str | None = None
    user: str | None = None
    time: str | None = None
    weight: str | None = None
    name: str | None = None
    kind: str | None = None
    format: Literal["auto", "csv", "tsv", "parquet", "jsonl"] = "auto"
    time_unit: TimeUnit = "auto"

    def read(
        self,
        paths: Sequence[str | Path],
        *,
        bad_rows: BadRows,
        workers: int = 1,  # one process is enough: parsing is compiled
        report: Report = quiet,
    ) -> Events:
        """The rows of all files as events; the same columns are read in every file.

        report  "progress" with `done` and `total` bytes

        Raises DataError for files that cannot be read, columns that are not there, times whose unit cannot be
        told, and for bad rows (as `bad_rows` says): a missing id, a time or weight that is none.
        """
        sources = [
            (source, self._format(source)) for source in expand(paths, tuple(_SUFFIXES), any_file=self.format != "auto")
        ]
        first, form = sources[0]
        plan = self._plan(first, form.columns(first))
        return read_rows(sources, plan, bad_rows, report)

    def _format(self, source: Source) -> Format:
        kind = self.format if self.format != "auto" else _SUFFIXES.get(source.suffix, "")
        return _FORMATS[kind]

    def _plan(self, source: Source, columns: list[str]) -> Plan:
        def column(role: str) -> str:
            given: str | None = getattr(self, role)
            if given is not None:
                return "" if given == _NONE else _named(given, role, source, columns)
            return _guess(_GUESSES[role], columns)

        session, item, user = column("session"), column("item"), column("user")
        if not item:
            raise DataError(f"{source} has no column of items; name one of {listed(columns)} with --item")
        if not session and not user:
            raise DataError(
                f"{source} has no column of sessions or users; name one of {listed(columns)} with --session or --user"
            )
        return Plan(
            session=session or user,
            item=item,
            user=user,
            time=column("time"),
            weight=column("weight"),
            name=self._name(item, source, columns),
            kind=_named(str(self.kind), "kind", source, columns) if self.kind not in (None, _NONE) else "",
            time_unit=self.time_unit,
        )

    def _name(self, item: str, source: Source, columns: list[str]) -> str:
        if self.name is not None:
            return "" if self.name == _NONE else _named(self.name, "name", source, columns)
        stem = _plain(item).removesuffix("id").removesuffix("uri")
        return _guess((f"{stem}name", f"{stem}title"), [c for c in columns if c != item])


def _plain(column: str) -> str:
    """A column's name without what differs between writers: "item_id:token" and "ItemId" are "itemid"."""
    return "".join(c for c in column.partition(":")[0].lower() if c.isalnum())


def _guess(candidates: Sequence[str], columns: Sequence[str]) -> str:
    plain = {_plain(column): column for column in reversed(columns)}
    return next((plain[candidate] for candidate in candidates if candidate in plain), "")


def _named(given: str, role: str, source: Source, columns: Sequence[str]) -> str:
    if given in columns:
        return given
    typed = [column for column in columns if column.partition(":")[0] == given]
    if len(typed) == 1:
        return typed[0]
    hint = did_you_mean(given, columns) or f"; there are {listed(columns)}"
    raise DataError(f"{source} has no column {given!r} for the {role}{hint}")
