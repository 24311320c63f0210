"""Table rows to events, batch by batch: parse, report bad rows, code ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.config import build
from embedrec.data.event_log import EventLog, ReadState, arrange
from embedrec.data.events import Events
from embedrec.data.sort_events import Columns
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, reason
from embedrec.storage.memory_budget import Column, MemoryBudget, chunks
from embedrec.tabular import arrow_columns, parse_values
from embedrec.tabular.background import BackgroundPipeline
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.code_ids import Ids, IdType, start_kernels
from embedrec.tabular.formats import Batch, Format, RowSource
from embedrec.tabular.guess_columns import format_columns
from embedrec.tabular.parse_times import Times, TimeUnit
from embedrec.tabular.read_settings import NoRowsError, ReadSettings

_MANY_BYTES = 64 << 20  # size of files that may have enough ids for compiled kernels to be worth their start


@dataclass(frozen=True, kw_only=True)
class ValueFormats:
    """How the values of a table are read.

    time_unit  numbers are seconds or milliseconds since 1970, texts ISO 8601, UTC if no zone is given
    time_format  strptime format of times ("%d.%m.%Y %H:%M"), in place of a unit; "" for none
    id_type    "text" keeps ids unchanged, "number" requires whole numbers; "auto": ids are int64 if a column holds only
               whole numbers, else texts. The id of a value depends on that value alone: 5 and 5.0 are "5", 05 and 5.5
               stay as they are
    missing    texts that mean a missing value, in all columns; NA, NULL, \\N, None always do in times and numbers
    """

    time_unit: TimeUnit = "auto"
    time_format: str = ""
    id_type: IdType = "auto"
    missing: tuple[str, ...] = ()

    @property
    def value_formats(self) -> dict[str, Any]:
        """These settings by name, for another table."""
        return {field.name: getattr(self, field.name) for field in fields(ValueFormats)}


@dataclass(frozen=True)
class Plan(ValueFormats):
    """The columns of each role; "" for none. The users are the sessions if there is no column of sessions.

    order       numbers that order the rows of a session, in place of time and of the order of rows
    whole_ids   sessions, users and items must be whole numbers
    guessed_user  the column of users is a guess: if a row has no user, no users are read, and the row is good
    keep_users  whether to read users; else they only distinguish sessions whose numbers restart for each user
    """

    session: str
    item: str
    user: str = ""
    time: str = ""
    weight: str = ""
    name: str = ""
    kind: str = ""
    order: str = ""
    whole_ids: bool = False
    guessed_user: bool = False
    keep_users: bool = True

    def columns(self) -> list[str]:
        """The columns to read, each once."""
        roles = (self.session, self.item, self.user, self.time, self.weight, self.name, self.kind, self.order)
        return list(dict.fromkeys(column for column in roles if column))


def read_rows(
    sources: Sequence[tuple[RowSource, Format]],
    plan: Plan,
    settings: ReadSettings,
) -> Events:
    """The rows of all sources as events, in their order if there is no time.

    With more than one worker, threads code ids and sort while the next rows are read. If `settings.log` continues
    earlier events, the columns of these are read.

    Raises DataError for unreadable sources, for bad rows (unless they are skipped), and if no row is left.
    """
    bad_rows, memory, report = settings.bad_rows, settings.memory, settings.report
    before = ReadState() if settings.log is None else settings.log.before
    if before.plan:
        plan = build(Plan, before.plan, source="the manifest")
    total, done = sum(source.unpacked for source, _ in sources), 0
    for source, form in sources:
        check_columns(plan.columns(), source, form.columns(source))
    report("progress", done=0, total=total, unit="B")
    many = total >= _MANY_BYTES
    with BackgroundPipeline(min(settings.workers, 2) if settings.workers > 1 else 0, memory.depth) as pipeline:
        table = _Table(plan, many, memory, pipeline, before)
        for source, form in sources:
            for batch in form.batches(source, plan.columns(), bad_rows, memory.share):
                if many:  # in this thread: it holds the GIL, while others decode batches
                    start_kernels(pa.types.is_integer(batch.columns[plan.session].type))
                    many = False
                with casting(source):
                    table.add(batch, bad_rows, typed=form.typed)
                report("progress", done=done + int(batch.read * source.unpacked), total=total, unit="B")
            done += source.unpacked
            report("progress", done=done, total=total, unit="B")
        if not table.size:
            given = ", ".join(str(source) for source, _ in sources[:3]) + (", …" if len(sources) > 3 else "")
            left_out = "".join(f" ({line})" for line in bad_rows.lines()[:1])
            raise NoRowsError(f"no row of {given} can be used{left_out}; check the files and the filters")
        pipeline.finish()
    pa.default_memory_pool().release_unused()
    log = table.log(settings.workers, bad_rows.notes)
    if settings.log is not None:
        settings.log.log = log
    return log.as_read()


def _missing(column: str) -> str:
    return f"{column} is missing"


def check_columns(wanted: Sequence[str], source: object, columns: list[str]) -> None:
    """Raises DataError unless every wanted column occurs once among the columns of a source."""
    counts = Counter(columns)
    for column in wanted:
        if counts[column] != 1:
            problem = "occurs twice" if counts[column] else "is not"
            raise DataError(f"the column {column!r} {problem} in {source}; its columns are {format_columns(columns)}")


_CODED = ("session", "item", "user", "kind")
_NUMBERS = {"time": np.int64, "weight": np.float32, "order": np.float64}


class _Table:
    def __init__(
        self, plan: Plan, many: bool, memory: MemoryBudget, pipeline: BackgroundPipeline, before: ReadState
    ) -> None:
        self.plan = plan
        self.memory = memory
        self.pipeline = pipeline
        self.blank_before = before.blank_users
        self.times = Times(plan.time, plan.time_unit, plan.time_format, before.times)
        self.finer: Column | None = None  # (E,) int32 nanoseconds after each time, if any
        self.timed = 0  # number of kept times
        self.size = 0
        self.anonymous = 0  # good rows without a user
        # whether users differ from sessions
        self.owned = bool(plan.user) and plan.user != plan.session
        self.names: dict[int, str] = {}
        self.names_size = 0  # characters of them
        self.ids = {
            role: Ids(many=many, kind="auto" if role == "kind" else plan.id_type, role=role, memory=memory)
            for role in _CODED
            if getattr(plan, role)
        }
        self.columns = {role: Column(np.int32, memory) for role in self.ids}
        self.columns |= {role: Column(dtype, memory) for role, dtype in _NUMBERS.items() if getattr(plan, role)}

    def add(self, batch: Batch, bad_rows: BadRows, *, typed: bool) -> None:
        """Parse a batch and add its good rows; `typed` as in its format."""
        parsed: dict[str, Any] = {}
        blank = np.zeros(len(batch.rows), dtype=bool)  # rows without a user
        problems: list[tuple[str, np.ndarray, str]] = []
        for role in self.columns:
            name = getattr(self.plan, role)
            with naming_source(batch.source):
                parsed[role], invalid = self._parse(role, batch, name, typed)
            if role == "user" and self.owned and self.plan.guessed_user:
                blank = np.any([mask for mask, problem in invalid if problem == _missing(name)], axis=0)
                invalid = [(mask, problem) for mask, problem in invalid if problem != _missing(name)]
            problems += [(name, mask, problem) for mask, problem in invalid]
        advice = {_missing(self.plan.user): "; --user - reads all rows without users"} if self.owned else {}
        keep = report_bad_rows(batch, problems, bad_rows, advice)
        rows = np.flatnonzero(keep)
        self.anonymous += int((blank & keep).sum())
        if self.anonymous:
            parsed.pop("user")
        self.size += len(rows)
        whole = len(rows) == len(keep)
        taken = {
            role: column if whole else column.take(pa.array(rows)) if role in self.ids else column[rows]
            for role, column in parsed.items()
        }
        names = None
        if self.plan.name:
            with naming_source(batch.source):
                names = arrow_columns.display_names(batch.columns[self.plan.name], self.plan.name).take(pa.array(rows))
            if self.plan.missing:
                names = pc.fill_null(parse_values.without_missing(names, self.plan.missing), "")
        texts = {role for role in taken if typed and parse_values.is_text(batch.columns[getattr(self.plan, role)].type)}
        self.pipeline.add(self._keep, [(role, column, names, role in texts) for role, column in taken.items()])

    def log(self, threads: int, notes: list[str]) -> EventLog:
        """All rows as a log of events; call it once. Appends messages to `notes`."""
        self.times.check()
        blank = self.anonymous > 0 or self.blank_before
        if blank:
            self.columns.pop("user")
            self.ids.pop("user")
            if self.anonymous and self.plan.keep_users:
                notes.append(
                    f"the column {self.plan.user!r} is blank in {self.anonymous:,} of {self.size:,} rows, so no "
                    "users are read; name it with --user to read them, and leave such rows out"
                )
        columns: Columns = {}
        vocabs: dict[str, Vocab] = {}
        for role in list(self.columns):
            columns[role] = self.columns.pop(role).array()
            if role in self.ids:
                ids, final = self.ids.pop(role).final()
                if final is not None:
                    columns[role] = self.memory.reindex(columns[role], final)
                names = self._names(final, len(ids)) if role == "item" and self.plan.name else None
                vocabs[role] = Vocab.from_unique(ids, names)
        if self.finer is not None:
            columns["finer"] = self.finer.array()
        state = ReadState(
            plan=asdict(self.plan),
            times=self.times.state(),
            even=self.times.even,
            parted=self.owned,
            blank_users=blank,
            keep_users=self.plan.keep_users,
            first_names=bool(self.plan.name),
        )
        return arrange(columns, vocabs, state, self.memory, threads=threads, notes=notes)

    def _parse(self, role: str, batch: Batch, name: str, typed: bool) -> tuple[Any, parse_values.Problems]:
        column = batch.columns[name]
        if self.plan.missing and parse_values.is_text(column.type):
            column = parse_values.without_missing(column, self.plan.missing)
        if role == "time":
            return self.times.parse(column)
        if role == "weight":
            return parse_values.numbers(column, name)
        if role == "order":
            return parse_values.positions(column, name)
        whole = self.plan.whole_ids and role != "kind"
        kind: IdType = "auto" if role == "kind" else self.plan.id_type
        return parse_values.ids(column, name, kind=kind, whole=whole, one_line=not typed, written=batch.written)

    def _keep(self, role: str, column: Any, names: Any, texts: bool) -> None:
        if role in self.ids:
            column = self.ids[role].rows(column, texts=texts)
        elif role == "time":
            column, finer = self.times.milliseconds(column)
            self._keep_finer(len(column), finer)
        self.columns[role].append(column)
        if role == "item" and names is not None:
            self._keep_names(column, names)

    def _keep_finer(self, count: int, finer: np.ndarray | None) -> None:
        if finer is not None and self.finer is None:
            self.finer = Column(np.int32, self.memory)
            for chunk in chunks(self.timed):
                self.finer.append(np.full(chunk.stop - chunk.start, self.times.even, dtype=np.int32))
        if self.finer is not None:
            self.finer.append(np.full(count, self.times.even, dtype=np.int32) if finer is None else finer)
        self.timed += count

    def _keep_names(self, rows: np.ndarray, column: Any) -> None:
        given = np.flatnonzero(pc.not_equal(column, "").to_numpy(zero_copy_only=False))
        items, at = np.unique(rows[given], return_index=True)
        for item, text in zip(items.tolist(), column.take(pa.array(given[at])).to_pylist(), strict=True):
            if self.names.setdefault(item, text) is text:
                self.names_size += len(text)
        self.memory.hold_ids("name", len(self.names), self.names_size)

    def _names(self, final: np.ndarray | None, n: int) -> np.ndarray:
        names = np.full(n, "", dtype=object)
        for row in sorted(self.names, reverse=True):  # the first of two merged rows gives the name
            names[row if final is None else final[row]] = self.names[row]
        return names


@contextmanager
def naming_source(source: object) -> Iterator[None]:
    """Add the name of the source to a DataError about a column."""
    try:
        yield
    except DataError as e:
        raise DataError(f"{source}: {e}") from None


@contextmanager
def casting(source: object) -> Iterator[None]:
    """Turn an Arrow error of an unsupported type into a DataError."""
    try:
        yield
    except pa.ArrowException as e:
        raise DataError(
            f"{source} contains values that cannot be read as events or features ({reason(e)}); check it"
        ) from e


def report_bad_rows(
    batch: Batch,
    problems: list[tuple[str, np.ndarray, str]],
    bad_rows: BadRows,
    advice: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Mask (b,) of the good rows. The bad ones are added to `bad_rows` in order, each with its first problem.

    advice  problem → an additional remedy
    """
    count = len(batch.rows)
    first = np.full(count, len(problems), dtype=np.int32)  # (b,) which problem
    for number in reversed(range(len(problems))):
        first[problems[number][1]] = number
    for row in np.flatnonzero(first < len(problems)).tolist():
        name, _, problem = problems[first[row]]
        given = batch.columns[name][row]
        # a timestamp may be outside the range of Python
        value = given.value if pa.types.is_timestamp(given.type) else given.as_py()
        detail = "" if value in (None, "") else f", but is {str(value)[:40]!r}"
        detail += (advice or {}).get(problem, "")
        bad_rows.add(batch.source, f"row {batch.rows[row]}", problem, detail)
    return first == len(problems)
