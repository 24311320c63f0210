"""RecBole's atomic files (Zhao et al. 2021): .inter, with .item and .user beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from embedrec.data.events import Events
from embedrec.data.room import IN_MEMORY, Room
from embedrec.errors import DataError
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.columns import plain
from embedrec.readers.delimited import Delimited
from embedrec.readers.feature_columns import Kind
from embedrec.readers.files import Source, beside, expand
from embedrec.readers.rows import Plan, read_rows
from embedrec.readers.side_tables import Role, SideTable, with_features
from embedrec.readers.table import Table
from embedrec.reporting import Report, quiet

_FORM = Delimited("\t", quoted=False)
_KINDS: dict[str, Kind] = {"token": "text", "float": "number", "token_seq": "list"}


@dataclass(frozen=True)
class RecBole:
    """TAB separated files whose header says of each column what it holds: `item_id:token`, `timestamp:float`.

    session, item, user, time, weight, kind  columns of the .inter file, with or without their type; None guesses from
        RecBole's names (session_id, item_id, user_id, timestamp, rating), "-" is for none

    Features of items and users are the columns of the files .item and .user: token is a category, float a number,
    token_seq (words with spaces between them) a list; float_seq is left out. A column of titles or names, such as
    `movie_title`, gives the items' names instead. Without a session column a user is a session.
    """

    session: str | None = None
    item: str | None = None
    user: str | None = None
    time: str | None = None
    weight: str | None = None
    kind: str | None = None

    def read(
        self,
        paths: Sequence[str | Path],
        *,
        bad_rows: BadRows,
        workers: int = 1,
        room: Room = IN_MEMORY,
        report: Report = quiet,
    ) -> Events:
        """The interactions of one data set as events: paths name its .inter file, its folder or its archive.

        workers  threads; the result does not depend on them
        room     where the columns of the events lie
        report   "progress" with `done` and `total` bytes

        Raises DataError where there is not one .inter file, for files that cannot be read, columns that are not there,
        and for bad rows (as `bad_rows` says).
        """
        found = expand(paths, (".inter", ".item", ".user"))
        given = [source for source in found if source.suffix == ".inter"]
        if len(given) != 1:
            which = f"several .inter files ({', '.join(map(str, given))})" if given else "no .inter file"
            raise DataError(f"{', '.join(map(str, paths))} holds {which}; name one")
        columns = Table(self.session, self.item, self.user, self.time, self.weight, name="-", kind=self.kind)
        plan = columns.plan(given[0], _FORM.columns(given[0]))
        events = read_rows([(given[0], _FORM)], plan, bad_rows, report, threads=workers, room=room)
        for role, suffix in _SIDES.items():
            side = beside(given[0], found, given[0].name.removesuffix(".inter") + suffix)
            if side is not None and (role == "item" or plan.user):
                events = with_features(events, role, replace(_side(side, role, plan), cold=True), bad_rows)
        return events


_SIDES: dict[Role, str] = {"item": ".item", "user": ".user"}


def _side(source: Source, role: Role, plan: Plan) -> SideTable:
    columns = _FORM.columns(source)
    key = plan.item if role == "item" else plan.user
    if key not in columns:
        key = columns[0]
    name = next((c for c in columns if role == "item" and plain(c).endswith(("title", "name"))), "")
    typed = {c: _KINDS.get(c.partition(":")[2]) for c in columns if c not in (key, name)}
    kinds = {column: kind for column, kind in typed.items() if kind is not None}
    return SideTable([(source, _FORM)], key, name, kinds, split=" ")
