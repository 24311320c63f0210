"""The columns of tables of events: which holds sessions, items, users, times, and how their values are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedrec.errors import DataError
from embedrec.tabular.code_ids import IdType
from embedrec.tabular.guess_columns import (
    NONE,
    column_of_role,
    display_name_column,
    find_column,
    format_columns,
)
from embedrec.tabular.parse_times import TimeUnit
from embedrec.tabular.read_rows import Plan


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table of events and the types of their values.

    session, item, user, time, weight  columns; None guesses from common names, "-" means none
    order      column of numbers that order the rows of a session; None guesses if there is no time
    name       column of the item's display name; None uses the one that matches the item column (track_uri, track_name)
    kind       column of the kind of event (click, buy …)
    time_unit  numbers are seconds or milliseconds since 1970, texts ISO 8601, UTC if no zone is given
    time_format  strptime format of times ("%d.%m.%Y %H:%M"), in place of a unit; "" for none
    id_type    "text" keeps ids unchanged, "number" requires whole numbers; "auto": ids are int64 if a column holds only
               whole numbers, else texts. The id of a value depends on that value alone: 5 and 5.0 are "5", 05 and 5.5
               stay as they are
    missing    texts that mean a missing value, in all columns; NA, NULL, \\N, None always do in times and numbers
    keep_users  whether to read users; else they only distinguish sessions whose numbers restart for each user

    Without a session column a user is a session; without times and positions the order of rows counts. A session with
    events of several users is split by user.
    """

    session: str | None = None
    item: str | None = None
    user: str | None = None
    time: str | None = None
    weight: str | None = None
    order: str | None = None
    name: str | None = None
    kind: str | None = None
    time_unit: TimeUnit = "auto"
    time_format: str = ""
    id_type: IdType = "auto"
    missing: tuple[str, ...] = ()
    keep_users: bool = True

    def plan(self, source: object, columns: Sequence[str]) -> Plan:
        """The roles of the columns of a source. Raises DataError if a column is missing."""

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
