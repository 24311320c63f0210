"""Events of a data frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from embedrec.data.events import Events
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.errors import DataError, SettingsError, TargetNotMet, did_you_mean
from embedrec.progress import Report
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.feature_tables import add_side_tables
from embedrec.tabular.frames import Frames, FrameSource, as_arguments
from embedrec.tabular.read_rows import read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.table_columns import TableColumns


@dataclass(frozen=True)
class FrameTable(TableColumns):
    """The columns of a data frame of events; see `TableColumns`.

    feature_types  name of a feature → "number", "text", "list" or "date"; the others are guessed, see `feature_columns`
    """

    feature_types: dict[str, Kind] = field(default_factory=dict)

    def read(
        self, frame: Any, settings: ReadSettings, *, item_features: Any = None, user_features: Any = None
    ) -> Events:
        """The rows of a data frame as events. Reports "columns" with the guesses.

        frame  see `FrameSource`
        item_features, user_features  frames of features of items and users, one row an id; see `feature_tables`

        Raises DataError as the reader `Table` does, with arguments in place of options of the command line.
        """
        with naming_arguments():
            source, form = FrameSource(frame), Frames()
            plan = self.plan(source, form.columns(source))
            if None in (self.session, self.item, self.time):
                settings.report("columns", session=plan.session, item=plan.item, time=plan.time or "none")
            events = read_rows([(source, form)], plan, settings)
            items, users = (
                "" if features is None else [(FrameSource(features, f"the data frame of {what} features"), form)]
                for features, what in ((item_features, "item"), (user_features, "user"))
            )
            return add_side_tables(events, plan, items, users, settings.bad_rows, self.feature_types)


def frame_events(frame: Any, options: Mapping[str, Any], *, threads: int, report: Report) -> Events:
    """The events of a data frame, regrouped and filtered, as `embedrec prepare table` makes them.

    options  settings of `FrameTable`, `Regroup` and `Filters`; and "on_bad_row", "fail" (default) or "skip";
             "item_features" and "user_features", data frames
    report   "columns" with the guesses, "progress", "note" (message)

    Raises SettingsError for an unknown option and a wrong value, DataError as `FrameTable.read`.
    """
    table, regroup, filters = frame_options(options, "help(Sessions.from_frame)", ("item_features", "user_features"))
    bad_rows = BadRows(options.get("on_bad_row", "fail"))
    settings = ReadSettings(bad_rows, threads, report=report)
    read = [  # popped below: the filters then release column after column
        table.read(
            frame, settings, item_features=options.get("item_features"), user_features=options.get("user_features")
        )
    ]
    for line in (*bad_rows.lines(), *bad_rows.notes):
        report("note", message=as_arguments(line))
    with naming_arguments():
        return filters.apply(regroup.apply(read.pop()))[0]


def frame_options(
    options: Mapping[str, Any], listed: str, others: Sequence[str] = ()
) -> tuple[FrameTable, Regroup, Filters]:
    """The settings of `FrameTable`, `Regroup` and `Filters` among options by name.

    listed  what lists the options, for a message
    others  names of further options, besides "on_bad_row"

    Raises SettingsError for an unknown option and a wrong value.
    """
    parts: list[type] = [FrameTable, Regroup, Filters]
    names = [[f.name for f in fields(part)] for part in parts]
    known = [*itertools.chain.from_iterable(names), "on_bad_row", *others]
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) or f"; {listed} lists them"
            raise SettingsError(f"no option is called {name!r}{hint}")
    table, regroup, filters = (
        part(**{name: options[name] for name in its if name in options}) for part, its in zip(parts, names, strict=True)
    )
    return table, regroup, filters


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Name arguments of Python in place of options of the command line in the messages of errors."""
    try:
        yield
    except (DataError, SettingsError) as e:
        raise type(e)(as_arguments(str(e))) from e.__cause__
    except TargetNotMet as e:
        raise TargetNotMet(as_arguments(str(e)), e.points) from e.__cause__
