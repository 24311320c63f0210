"""The columns of tables of events: which holds sessions, items, users, times, and how their values are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedrec.errors import DataError
from embedrec.tabular.guess_columns import (
    NONE,
    column_of_role,
    display_name_column,
    find_column,
    format_columns,
)
from embedrec.tabular.read_rows import Plan, ValueFormats


@dataclass(frozen=True)
class TableColumns(ValueFormats):
    """The columns of a table of events, and how their values are read, see `ValueFormats`.

    session, item, user, time, weight  columns; None guesses from common names, "-" means none
    order      column of numbers that order the rows of a session; None guesses if there is no time
    name       column of the item's display name; None uses the one that matches the item column (track_uri, track_name)
    kind       column of the kind of event (click, buy …)
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
            **self.value_formats,
            guessed_user=self.user is None,
            keep_users=self.keep_users,
        )
