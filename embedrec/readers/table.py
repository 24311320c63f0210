"""Tables of events: CSV, TSV, Parquet and JSON lines with configurable columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.readers.tabular.code_ids import IdType
from embedrec.readers.tabular.feature_columns import Kind
from embedrec.readers.tabular.feature_tables import add_side_tables
from embedrec.readers.tabular.guess_columns import (
    NONE,
    FormatName,
    column_of_role,
    display_name_column,
    find_column,
    format_columns,
    format_of,
    table_suffixes,
)
from embedrec.readers.tabular.item_lists import list_column_of
from embedrec.readers.tabular.parse_times import TimeUnit
from embedrec.readers.tabular.read_rows import Plan, read_rows
from embedrec.readers.tabular.read_settings import ReadSettings
from embedrec.readers.tabular.source_files import Source, expand


@dataclass(frozen=True)
class Table:
    """Rows of session (or user), item and, optionally, time, weight, name and kind.

    session, item, user, time, weight  columns; None guesses from common names, "-" means none
    order      column of numbers that order the rows of a session; None guesses if there is no time
    name       column of the item's display name; None uses the one that matches the item column (track_uri, track_name)
    kind       column of the kind of event (click, buy …)
    format     "auto" uses the suffix; CSV detects its delimiter in the header, TSV has no quotes
    columns    comma separated names of the columns of delimited text without a header
    time_unit  numbers are seconds or milliseconds since 1970, texts ISO 8601, UTC if no zone is given
    time_format  strptime format of times ("%d.%m.%Y %H:%M"), in place of a unit; "" for none
    id_type    "text" keeps ids unchanged, "number" requires whole numbers; "auto": see below
    missing    texts that mean a missing value, in all columns; NA, NULL, \\N, None always do in times and numbers
    keep_users  whether to read users; else they only distinguish sessions whose numbers restart for each user
    item_features, user_features  tables of features of items and users, see `feature_tables`; "" for none. Items and
                     users without events are kept, too
    feature_types    name of a feature → "number", "text", "list" or "date"; the others are guessed, see
                     `feature_columns`

    Without a session column a user is a session; without times and positions the order of files and rows counts. Ids
    are int64 if a column holds only whole numbers, else texts. The id of a value depends on that value alone: 5 and 5.0
    are "5", 05 and 5.5 stay as they are. A session with events of several users is split by user.
    """

    session: str | None = None
    item: str | None = None
    user: str | None = None
    time: str | None = None
    weight: str | None = None
    order: str | None = None
    name: str | None = None
    kind: str | None = None
    format: FormatName = "auto"
    columns: str = ""
    time_unit: TimeUnit = "auto"
    time_format: str = ""
    id_type: IdType = "auto"
    missing: tuple[str, ...] = ()
    item_features: str = ""
    user_features: str = ""
    feature_types: dict[str, Kind] = field(default_factory=dict)
    keep_users: bool = True

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The rows of all files as events; the same columns are read in every file. Reports "columns" with the guesses.

        Raises DataError for unreadable files, missing columns, times with an ambiguous unit, and bad rows (unless they
        are skipped): a missing id, an invalid time or weight.
        """
        files = expand(paths, table_suffixes(paths), any_file=self.format != "auto")
        names = tuple(name.strip() for name in self.columns.split(",")) if self.columns else ()
        sources = [(source, format_of(source, self.format, names)) for source in files]
        first, form = sources[0]
        plan = self.plan(first, form.columns(first))
        before = list_column_of(plan.item, form.columns(first)) if self.item is None else ""
        if before:
            raise DataError(
                f"{first} holds the items before each item ({before}), so a row is not an event; read it as recbole, "
                f"or name the column of items if each row is one"
            )
        if None in (self.session, self.item, self.time):
            settings.report("columns", session=plan.session, item=plan.item, time=plan.time or "none")
        events = read_rows(sources, plan, settings)
        return add_side_tables(
            events, plan, self.item_features, self.user_features, settings.bad_rows, self.feature_types
        )

    def plan(self, source: Source, columns: list[str]) -> Plan:
        """The roles of the columns of a source. Raises DataError if one is missing."""

        def column(role: str) -> str:
            return column_of_role(role, getattr(self, role), source, columns)

        session, item, user, time = column("session"), column("item"), column("user"), column("time")
        if not item:
            raise DataError(f"{source} has no column of items; name one of {format_columns(columns)} with --item")
        if not session and not (user and self.keep_users):
            users, option = ("", "") if self.user == NONE or not self.keep_users else (" or users", " or --user")
            raise DataError(
                f"{source} has no column of sessions{users}; name one of {format_columns(columns)} "
                f"with --session{option}"
            )
        name = display_name_column(item, columns)
        if self.name is not None:
            name = "" if self.name == NONE else find_column(self.name, "name", source, columns)
        return Plan(
            session=session or user,
            item=item,
            user=user,
            time=time,
            weight=column("weight"),
            name=name,
            kind="" if self.kind is None else column("kind"),
            order="" if self.order is None and time else column("order"),
            time_unit=self.time_unit,
            time_format=self.time_format,
            id_type=self.id_type,
            missing=self.missing,
            guessed_user=self.user is None,
            keep_users=self.keep_users,
        )
