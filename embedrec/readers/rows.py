"""Rows of tables as events: batch by batch, what is wrong left out, ids coded as rows as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.data.ordering import sort_events
from embedrec.data.room import IN_MEMORY, Column, Room
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, reason
from embedrec.readers import arrow_columns, values
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.behind import Behind
from embedrec.readers.columns import listed
from embedrec.readers.files import Source
from embedrec.readers.formats import Batch, Format
from embedrec.readers.ids import Ids, start_kernels
from embedrec.reporting import Report

_MANY_BYTES = 64 << 20  # of files in which there may be so many ids that compiled kernels are worth their start


@dataclass(frozen=True)
class Plan:
    """Which column is what; "" for none. Sessions are the users where only those are named.

    order       numbers that order the rows of a session; without it the time does, then the order of rows
    whole_ids   sessions, users and items must be whole numbers
    """

    session: str
    item: str
    user: str = ""
    time: str = ""
    weight: str = ""
    name: str = ""
    kind: str = ""
    order: str = ""
    time_unit: values.TimeUnit = "auto"
    whole_ids: bool = False

    def columns(self) -> list[str]:
        """The columns to read, each once."""
        roles = (self.session, self.item, self.user, self.time, self.weight, self.name, self.kind, self.order)
        return list(dict.fromkeys(column for column in roles if column))


def read_rows(
    sources: Sequence[tuple[Source, Format]],
    plan: Plan,
    bad_rows: BadRows,
    report: Report,
    *,
    threads: int = 1,
    room: Room = IN_MEMORY,
) -> Events:
    """The rows of all sources as events, in their order where there is no time.

    threads  more than one code ids and sort while the next rows are read; the result does not depend on it
    room     where the columns of the events lie

    Raises DataError for what cannot be read, for bad rows (as `bad_rows` says), and when no row is left.
    """
    total, done = sum(source.unpacked for source, _ in sources), 0
    # ids that are texts because the format has no types are whole numbers if all of them look so
    typed = any(form.typed for _, form in sources)
    for source, form in sources:
        check_columns(plan.columns(), source, form.columns(source))
    report("progress", done=0, total=total, unit="B")
    many = total >= _MANY_BYTES
    with Behind(min(threads, 2) if threads > 1 else 0, room.depth) as behind:
        table = _Table(plan, typed, many, room, behind)
        for source, form in sources:
            for batch in form.batches(source, plan.columns(), bad_rows, room.share):
                if many:  # in this thread, which keeps others from Python meanwhile, but not from decoding batches
                    start_kernels(pa.types.is_integer(batch.columns[plan.session].type))
                    many = False
                with casting(source):
                    table.add(batch, bad_rows)
                report("progress", done=done + int(batch.read * source.unpacked), total=total, unit="B")
            done += source.unpacked
            report("progress", done=done, total=total, unit="B")
        if not table.size:
            given = ", ".join(str(source) for source, _ in sources[:3]) + (", …" if len(sources) > 3 else "")
            raise DataError(f"no row of {given} can be used; check the files and the filters")
        behind.finish()
    pa.default_memory_pool().release_unused()
    return table.events(threads)


def check_columns(wanted: Sequence[str], source: Source, columns: list[str]) -> None:
    """Raises DataError unless every wanted column stands once in a source of these columns."""
    for column in wanted:
        if columns.count(column) != 1:
            how = "twice" if column in columns else "not"
            raise DataError(f"the column {column!r} stands {how} in {source}; there are {listed(columns)}")


_CODED = ("session", "item", "user", "kind")
_NUMBERS = {"time": np.int64, "weight": np.float32, "order": np.float64}


class _Table:
    def __init__(self, plan: Plan, typed: bool, many: bool, room: Room, behind: Behind) -> None:
        self.plan = plan
        self.typed = typed
        self.room = room
        self.behind = behind
        self.times = values.Times(plan.time, plan.time_unit)
        self.size = 0
        self.names: dict[int, str] = {}
        self.names_size = 0  # characters of them
        self.ids = {role: Ids(typed=typed, many=many, role=role, room=room) for role in _CODED if getattr(plan, role)}
        self.columns = {role: Column(np.int32, room) for role in self.ids}
        self.columns |= {role: Column(dtype, room) for role, dtype in _NUMBERS.items() if getattr(plan, role)}

    def add(self, batch: Batch, bad_rows: BadRows) -> None:
        """Parse a batch, leave out its bad rows, and keep the rest."""
        parsed: dict[str, Any] = {}
        problems: list[tuple[str, np.ndarray, str]] = []
        for role in self.columns:
            name = getattr(self.plan, role)
            with named_in(batch.source):
                parsed[role], found = self._parse(role, batch.columns[name], name)
            problems += [(name, mask, problem) for mask, problem in found]
        keep = without_bad(batch, problems, bad_rows)
        rows = np.flatnonzero(keep)
        self.size += len(rows)
        whole = len(rows) == len(keep)
        taken = {
            role: column if whole else column.take(pa.array(rows)) if role in self.ids else column[rows]
            for role, column in parsed.items()
        }
        names = None
        if self.plan.name:
            with named_in(batch.source):
                names = arrow_columns.names(batch.columns[self.plan.name], self.plan.name).take(pa.array(rows))
        self.behind.add(self._keep, [(role, column, names) for role, column in taken.items()])

    def events(self, threads: int) -> Events:
        """Everything as events, sorted by session, time and original order; once."""
        self.times.check()
        columns: dict[str, np.ndarray] = {}
        vocabs: dict[str, Vocab] = {}
        for role in list(self.columns):
            columns[role] = self.columns.pop(role).array()
            if role in self.ids:
                ids, final = self.ids.pop(role).final()
                if final is not None:
                    columns[role] = self.room.recoded(columns[role], final)
                names = self._names(final, len(ids)) if role == "item" and self.plan.name else None
                vocabs[role] = Vocab.distinct(ids, names)
        key = next((role for role in ("order", "time") if role in columns), None)
        columns = sort_events(columns, len(vocabs["session"]), key, self.room, threads)
        columns.pop("order", None)
        return Events(
            **columns,  # type: ignore[arg-type]
            sessions=vocabs["session"],
            items=vocabs["item"],
            users=vocabs.get("user"),
            kinds=vocabs.get("kind"),
            room=self.room,
        )

    def _parse(self, role: str, column: Any, name: str) -> tuple[Any, values.Problems]:
        if role == "time":
            return self.times.parse(column)
        if role == "weight":
            return values.numbers(column, name)
        if role == "order":
            return values.positions(column, name)
        whole = self.plan.whole_ids and role != "kind"
        return values.ids(column, name, whole=whole, one_line=not self.typed)

    def _keep(self, role: str, column: Any, names: Any) -> None:
        if role in self.ids:
            column = self.ids[role].rows(column)
        elif role == "time":
            column = self.times.milliseconds(column)
        self.columns[role].append(column)
        if role == "item" and names is not None:
            self._keep_names(column, names)

    def _keep_names(self, rows: np.ndarray, column: Any) -> None:
        given = np.flatnonzero(pc.not_equal(column, "").to_numpy(zero_copy_only=False))
        items, at = np.unique(rows[given], return_index=True)
        for item, text in zip(items.tolist(), column.take(pa.array(given[at])).to_pylist(), strict=True):
            if self.names.setdefault(item, text) is text:
                self.names_size += len(text)
        self.room.hold_ids("name", len(self.names), self.names_size)

    def _names(self, final: np.ndarray | None, n: int) -> np.ndarray:
        names = np.full(n, "", dtype=object)
        for row in sorted(self.names, reverse=True):  # of two rows that became one, the first names it
            names[row if final is None else final[row]] = self.names[row]
        return names


@contextmanager
def named_in(source: Source) -> Iterator[None]:
    """An error of a column of a source names the source."""
    try:
        yield
    except DataError as e:
        raise DataError(f"{source}: {e}") from None


@contextmanager
def casting(source: Source) -> Iterator[None]:
    """A type that Arrow cannot cast to what is needed is one sentence."""
    try:
        yield
    except pa.ArrowException as e:
        raise DataError(f"{source} holds what cannot be read as events or features ({reason(e)}); check it") from e


def without_bad(batch: Batch, problems: list[tuple[str, np.ndarray, str]], bad_rows: BadRows) -> np.ndarray:
    """A mask (b,) of the good rows; the bad ones are handed over in order, each with its first problem."""
    count = len(batch.rows)
    first = np.full(count, len(problems), dtype=np.int32)  # (b,) which problem
    for number in reversed(range(len(problems))):
        first[problems[number][1]] = number
    for row in np.flatnonzero(first < len(problems)).tolist():
        name, _, problem = problems[first[row]]
        value = batch.columns[name][row].as_py()
        detail = "" if value in (None, "") else f", but is {str(value)[:40]!r}"
        bad_rows.add(batch.source, f"row {batch.rows[row]}", problem, detail)
    return first == len(problems)
