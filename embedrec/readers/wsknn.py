"""Sessions in the layouts of the package `wsknn`: JSON maps of sessions, and flat tables of weighted events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.errors import DataError, SettingsError, decoded_or_none, decoding, reason
from embedrec.readers.table import Table
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.computed_columns import Columns, ComputedColumn, ComputedFormat
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.feature_tables import add_side_tables
from embedrec.tabular.formats import Batch, Format, JsonLines, column_of
from embedrec.tabular.guess_columns import SUFFIXES, format_of, guess
from embedrec.tabular.read_rows import Plan, ValueFormats, read_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand

_SESSION, _ITEM, _TIME, _KIND, _WEIGHT = _COLUMNS = ("session", "item", "time", "kind", "weight")
_KINDS = (
    "action",
    "event",
    "eventtype",
    "kind",
    "type",
    "behavior",
)  # columns of kinds, as `normalize_name` writes them
_ACTION_WEIGHT = "weight of the kind"
_BLOCK = 1 << 20  # bytes of a first line
_TIMES = 12  # maximum memory of a decoded map, in multiples of its size


@dataclass(frozen=True)
class Wsknn(ValueFormats):
    """Maps `{session: [items, times, kinds, weights]}` in .json or .jsonl, or a table of events; also .gz.

    session, item, time, weight, kind  columns of a table; None guesses
    actions    "view=1,cart=2,purchase=5": kinds of events to read, and their weights; others are dropped. "" reads
               all
    item_features  table of features of items, see `feature_tables`; "" for none

    A file is one map, or has a map of some sessions per line. The lists of a session are items and times, then
    optionally kinds (texts) and weights (numbers).
    """

    session: str | None = None
    item: str | None = None
    time: str | None = None
    weight: str | None = None
    kind: str | None = None
    actions: str = ""
    item_features: str = ""
    feature_types: dict[str, Kind] = field(default_factory=dict)

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The events of all files.

        Raises SettingsError for `actions` without weights or with a kind of no event; DataError for unreadable files,
        files that hold neither maps nor tables, missing columns, and bad rows (unless they are skipped).
        """
        actions = _actions(self.actions)
        most = settings.memory.whole(_TIMES)
        forms = [(source, _form(source, settings.bad_rows, most)) for source in expand(paths, (".json", *SUFFIXES))]
        first, form = forms[0]
        plan = _plan(self, first, form)
        if actions:
            if not plan.kind:
                raise DataError(
                    f"{first} names no kinds of events; name their column with --kind, or leave out --actions"
                )
            plan = replace(plan, weight=_ACTION_WEIGHT)
            forms = [(source, _weight_by_kind(form, plan.kind, actions)) for source, form in forms]
        events = read_rows(forms, plan, settings)
        kinds = [] if events.kinds is None else [str(kind) for kind in events.kinds.ids.tolist()]
        goes_on = settings.log is not None and settings.log.before.plan  # later files may lack a kind
        unused = None if goes_on else next((kind for kind in actions if kind not in kinds), None)
        if unused is not None:
            raise SettingsError(f"no event is of the kind {unused!r}; check --actions")
        return add_side_tables(events, plan, self.item_features, "", settings.bad_rows, self.feature_types)


def _plan(settings: Wsknn, source: Source, form: Format) -> Plan:
    columns = form.columns(source)
    if isinstance(form, _Maps):
        kind, weight = (name if name in columns else "" for name in (_KIND, _WEIGHT))
        return Plan(_SESSION, _ITEM, time=_TIME, kind=kind, weight=weight, **settings.value_formats)
    given = (settings.session, settings.item, None, settings.time, settings.weight)
    table = Table(*given, name="-", kind=settings.kind, keep_users=False, **settings.value_formats)
    plan = table.plan(source, columns)
    if settings.kind is None:
        plan = replace(plan, kind=guess(_KINDS, columns))
    return plan


def _actions(given: str) -> dict[str, float]:
    actions = {}
    for pair in filter(None, (part.strip() for part in given.split(","))):
        kind, equals, weight = pair.rpartition("=")
        try:
            actions[kind.strip()] = float(weight)
        except ValueError:
            equals = ""
        if not equals or not kind.strip() or not np.isfinite(actions[kind.strip()]):
            raise SettingsError(f"actions must be given as view=1,cart=2, but one is {pair!r}")
    return actions


def _weight_by_kind(form: Format, kind: str, actions: dict[str, float]) -> ComputedFormat:
    """The events of these kinds, with their weights."""
    kinds = pa.array(list(actions))
    weights = pa.array(list(actions.values()), pa.float64())

    def place(columns: Columns) -> Any:
        return pc.index_in(pc.cast(columns[kind], pa.string()), value_set=kinds, skip_nulls=True)

    def weight(columns: Columns) -> Any:
        return weights.take(place(columns))

    def wanted(columns: Columns) -> Any:
        return pc.or_(pc.is_valid(place(columns)), pc.is_null(columns[kind]))  # a missing kind is a bad row

    return ComputedFormat(form, {_ACTION_WEIGHT: ComputedColumn((kind,), weight)}, keep=ComputedColumn((kind,), wanted))


def _form(source: Source, bad_rows: BadRows, most: int | None) -> Format:
    """The format of a file: a map if the values of the first object are lists, else a table.

    most  maximum bytes of a map, see `Source.read`
    """
    if source.suffix not in (".json", ".jsonl", ".ndjson"):
        return format_of(source)
    line = source.first_line(_BLOCK)
    first = decoded_or_none(lambda: msgspec.json.decode(line))  # the first line of a whole map may be "{"
    flat = isinstance(first, dict) and first and not any(isinstance(value, list) for value in first.values())
    return JsonLines() if flat else _parse_maps(source, bad_rows, most)


@dataclass(frozen=True)
class _Maps:
    """Events of maps of sessions, in memory. JSON keys have no types, so ids have none.

    arrays  name of a column → Arrow array (E,)
    """

    arrays: dict[str, Any]
    typed: ClassVar[bool] = False

    def columns(self, source: Source) -> list[str]:
        return list(self.arrays)

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        count = len(self.arrays[_SESSION])
        yield Batch(source, {name: self.arrays[name] for name in columns}, range(1, count + 1), 1.0)


def _parse_maps(source: Source, bad_rows: BadRows, most: int | None) -> _Maps:
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for session, lists in _sessions(source, most):
        problem = _problem(lists)
        if problem:
            bad_rows.add(source, f"session {session[:40]!r}", problem)
            continue
        size = len(lists[0])
        kinds = next((given for given in lists[2:] if _is_kinds(given)), [None] * size)
        weights = next((given for given in lists[2:] if not _is_kinds(given)), [None] * size)
        for name, values in zip(_COLUMNS, ([session] * size, lists[0], lists[1], kinds, weights), strict=True):
            columns[name] += values
    known = [name for name in _COLUMNS if name not in (_KIND, _WEIGHT) or any(v is not None for v in columns[name])]
    return _Maps({name: column_of(columns[name]) for name in known})


def _sessions(source: Source, most: int | None) -> Iterator[tuple[str, Any]]:
    content = source.read(most)
    try:
        maps = [msgspec.json.decode(content)]
    except Exception as whole:  # see `decoding`
        why = reason(whole)
        with decoding(lambda _: DataError(f"{source} is neither JSON nor JSON lines ({why}); check the file")):
            maps = [msgspec.json.decode(line) for line in content.split(b"\n") if line.strip()]
    for sessions in maps:
        if not isinstance(sessions, dict):
            raise DataError(
                f"{source} must contain objects that map sessions to lists of items and times; check the file"
            )
        yield from sessions.items()


def _problem(lists: Any) -> str:
    if not isinstance(lists, list) or not 2 <= len(lists) <= 4 or not all(isinstance(given, list) for given in lists):
        return "a session must be two to four lists: items, times, kinds, weights"
    if len({len(given) for given in lists}) > 1:
        return "the lists of a session must be of one length"
    if any(isinstance(value, list | dict | bool) for given in lists for value in given):
        return "items, times, kinds and weights must be texts or numbers"
    more = [_is_kinds(given) for given in lists[2:]]
    return (
        ""
        if len(set(more)) == len(more) or not lists[0]
        else "after items and times, a session may contain kinds (texts) and weights (numbers)"
    )


def _is_kinds(given: list[Any]) -> bool:
    return any(isinstance(value, str) for value in given)
