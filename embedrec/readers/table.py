"""Tables of events: CSV, TSV, Parquet and JSON lines with configurable columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.feature_tables import add_side_tables
from embedrec.tabular.guess_columns import FormatName, format_of, table_suffixes
from embedrec.tabular.item_lists import list_column_of
from embedrec.tabular.read_rows import Plan, read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand
from embedrec.tabular.table_columns import TableColumns


@dataclass(frozen=True)
class Table(TableColumns):
    """Rows of session (or user), item and, optionally, time, weight, name and kind; see `TableColumns`.

    format     "auto" uses the suffix; CSV detects its delimiter in the header, TSV has no quotes
    columns    comma separated names of the columns of delimited text without a header
    item_features, user_features  tables of features of items and users, see `feature_tables`; "" for none. Items and
                     users without events are kept, too
    feature_types    name of a feature → "number", "text", "list" or "date"; the others are guessed, see
                     `feature_columns`
    """

    format: FormatName = "auto"
    columns: str = ""
    item_features: str = ""
    user_features: str = ""
    feature_types: dict[str, Kind] = field(default_factory=dict)

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The rows of all files as events; the same columns are read in every file. Reports "columns" with the guesses.

        Raises DataError for unreadable files, missing columns, times with an ambiguous unit, and bad rows (unless they
        are skipped): a missing id, an invalid time or weight.
        """
        files = self.sources(paths)
        names = tuple(name.strip() for name in self.columns.split(",")) if self.columns else ()
        sources = [(source, format_of(source, self.format, names)) for source in files]
        first, form = sources[0]
        plan = self.plan(first, form.columns(first))
        before = list_column_of(plan.item, form.columns(first)) if self.item is None else ""
        if before:
            raise DataError(
                f"{first} contains the items before each item ({before}), so a row is not an event; "
                f"read it as recbole, or name the column of items if each row is one"
            )
        if None in (self.session, self.item, self.time):
            settings.report("columns", session=plan.session, item=plan.item, time=plan.time or "none")
        return self.add_features(read_rows(sources, plan, settings), plan, paths, settings)

    def sources(self, paths: Sequence[str | Path]) -> list[Source]:
        """The files of events. Raises DataError as `expand`."""
        return expand(paths, table_suffixes(paths), any_file=self.format != "auto")

    def events_only(self) -> Self:
        """The same reader without features."""
        return replace(self, item_features="", user_features="", feature_types={})

    def has_features(self, paths: Sequence[str | Path]) -> bool:
        """Whether `add_features` adds any."""
        return bool(self.item_features or self.user_features or self.feature_types)

    def add_features(self, events: Events, plan: Plan, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The events with the features of the side tables. Raises DataError as `add_side_tables`."""
        return add_side_tables(
            events, plan, self.item_features, self.user_features, settings.bad_rows, self.feature_types
        )
