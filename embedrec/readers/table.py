"""Tables of events: CSV, TSV, Parquet and JSON lines with columns named by options."""

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
    """Rows of session (or user), item and, where known, time, weight, name and kind.

    session, item, user, time, weight  columns; None guesses from names in common use, "-" is for none
    order      column of numbers that order the rows of a session; None guesses where there is no time
    name       column of the item's display name; None takes the item column's sister (track_uri, track_name)
    kind       column of the kind of event (click, buy …)
    format     "auto" goes by the suffix; CSV finds its delimiter in the header, TSV knows no quotes
    columns    names of the columns, with commas between them, of delimited text that has no header
    time_unit  numbers are seconds or milliseconds since 1970, texts ISO 8601, UTC where no zone is given
    time_format  how times are written, as strptime has it ("%d.%m.%Y %H:%M"), in place of a unit; "" for none
    id_type    ids are "text", as they are written, or whole "number"; "auto": see below
    missing    texts that stand for no value, in all columns; NA, NULL, \\N, None in times and numbers always do
    keep_users  whether users are read; else they only tell sessions apart whose numbers begin anew for each user
    item_features, user_features  tables of what is known of items and users, see `side_tables`; "" for none. Those that
                     occur in no event are kept, too
    feature_types    name of a feature → "number", "text", "list" or "date"; the others are guessed, see
                     `feature_columns`

    Without a session column a user is a session; without times and order the order of files and rows counts. Ids are
    int64 where a column holds whole numbers only, else texts. Which id a value is depends on that value alone: 5 and
    5.0 are "5", 05 and 5.5 are themselves. Where a session has events of several users, they are told apart.
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
        """The rows of all files as events; the same columns are read in every file.

        Raises DataError for files that cannot be read, columns that are not there, times whose unit cannot be
        told, and for bad rows (as `bad_rows` says): a missing id, a time or weight that is none.
        """
        files = expand(paths, table_suffixes(paths), any_file=self.format != "auto")
        names = tuple(name.strip() for name in self.columns.split(",")) if self.columns else ()
        sources = [(source, format_of(source, self.format, names)) for source in files]
        first, form = sources[0]
        plan = self.plan(first, form.columns(first))
        before = list_column_of(plan.item, form.columns(first)) if self.item is None else ""
        if before:
            raise DataError(
                f"{first} holds the items before each item ({before}), so that a row is no event; read it as recbole, "
                f"or name the column of items if each row is one"
            )
        if None in (self.session, self.item, self.time):
            settings.report("columns", session=plan.session, item=plan.item, time=plan.time or "none")
        events = read_rows(sources, plan, settings)
        return add_side_tables(
            events, plan, self.item_features, self.user_features, settings.bad_rows, self.feature_types
        )

    def plan(self, source: Source, columns: list[str]) -> Plan:
        """What the columns of a source are. Raises DataError when one is missing."""

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
