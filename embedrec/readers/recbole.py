"""RecBole's atomic files (Zhao et al. 2021): .inter, with .item and .user beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.readers.table import Table
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.feature_tables import Role, SideTable, add_features
from embedrec.tabular.formats import Format
from embedrec.tabular.guess_columns import normalize_name
from embedrec.tabular.item_lists import ItemLists, list_column_of
from embedrec.tabular.read_rows import Plan, ValueFormats, read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand, find_beside

_FORM = Delimited("\t", quoted=False)
_KINDS: dict[str, Kind] = {"token": "text", "float": "number", "token_seq": "list"}


@dataclass(frozen=True)
class RecBole(ValueFormats):
    """TAB separated files with the type of each column in the header: `item_id:token`, `timestamp:float`.

    session, item, user, time, weight, kind  columns of the .inter file, with or without their type; None guesses from
        RecBole's names (session_id, item_id, user_id, timestamp, rating), "-" means none

    Features of items and users are the columns of the files .item and .user: token is a category, float a number,
    token_seq (words separated by spaces) a list; float_seq is ignored. A column of titles or names, such as
    `movie_title`, gives the items' names instead. Without a session column a user is a session.

    x.train.inter, x.valid.inter and x.test.inter are one data set, read in this order. If there is a list of previous
    items (item_id_list:token_seq), as in data sets of sessions, rows that extend each other are one session, and other
    columns are ignored.
    """

    session: str | None = None
    item: str | None = None
    user: str | None = None
    time: str | None = None
    weight: str | None = None
    kind: str | None = None

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The interactions of one data set as events: paths name its .inter file, its folder or its archive.

        Raises DataError unless there is exactly one data set, for unreadable files, missing columns, and bad rows
        (unless they are skipped).
        """
        files = expand(paths, (".inter", ".item", ".user"))
        given = [source for source in files if source.suffix == ".inter"]
        stems = {
            (source.path.parent, source.member and source.member.rpartition("/")[0], _stem(source)) for source in given
        }
        if len(stems) != 1 or len({_part(source) for source in given}) != len(given):
            which = f"several .inter files ({', '.join(map(str, given))})" if given else "no .inter file"
            raise DataError(f"{', '.join(map(str, paths))} contains {which}; name one")
        given.sort(key=_part)
        given_columns = (self.session, self.item, self.user, self.time, self.weight)
        columns = Table(*given_columns, name="-", kind=self.kind, **self.value_formats)
        header = _FORM.columns(given[0])
        plan = columns.plan(given[0], header)
        form: Format = _FORM
        before = list_column_of(plan.item, header)
        if before:
            plan = Plan(session=plan.session, item=plan.item, id_type=self.id_type, missing=self.missing)
            form = ItemLists(_FORM, plan.session, before, plan.item)
        sources = [(source, form) for source in given]
        events = read_rows(sources, plan, settings)
        for role, suffix in _SIDES.items():
            side = find_beside(given[0], files, _stem(given[0]) + suffix)
            if side is not None and (role == "item" or plan.user):
                events = add_features(events, role, replace(_side(side, role, plan), cold=True), settings.bad_rows)
        return events


_PARTS = ("", "train", "valid", "test")  # x.inter, or x.train.inter … of a data set that is split


def _part(source: Source) -> int:
    """The part of a data set in a file, as an index into `_PARTS`."""
    part = source.name[: -len(".inter")].rpartition(".")[2].lower()
    return _PARTS.index(part) if part in _PARTS else 0


def _stem(source: Source) -> str:
    """The name of a data set: its .inter file without suffix and part."""
    name = source.name[: -len(".inter")]
    return name.rpartition(".")[0] if _part(source) else name


_SIDES: dict[Role, str] = {"item": ".item", "user": ".user"}


def _side(source: Source, role: Role, plan: Plan) -> SideTable:
    columns = _FORM.columns(source)
    key = plan.item if role == "item" else plan.user
    if key not in columns:
        key = columns[0]
    name = next((c for c in columns if role == "item" and normalize_name(c).endswith(("title", "name"))), "")
    typed = {c: _KINDS.get(c.partition(":")[2]) for c in columns if c not in (key, name)}
    kinds = {column: kind for column, kind in typed.items() if kind is not None}
    return SideTable([(source, _FORM)], key, name, kinds, split=" ")
