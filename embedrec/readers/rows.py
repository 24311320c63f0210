"""Rows of tables as events: batch by batch, what is wrong left out, ids coded as rows as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.readers import values
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.files import Source
from embedrec.readers.formats import Batch, Delimited, Format
from embedrec.reporting import Report


@dataclass(frozen=True)
class Plan:
    """Which column is what; "" for none. Sessions are the users where only those are named.

    whole_ids   sessions, users and items must be whole numbers
    min_weight  rows of smaller weight are left out, and are not bad
    """

    session: str
    item: str
    user: str = ""
    time: str = ""
    weight: str = ""
    name: str = ""
    kind: str = ""
    time_unit: values.TimeUnit = "auto"
    whole_ids: bool = False
    min_weight: float = -np.inf

    def columns(self) -> list[str]:
        """The columns to read, each once."""
        roles = (self.session, self.item, self.user, self.time, self.weight, self.name, self.kind)
        return list(dict.fromkeys(column for column in roles if column))


def read_rows(sources: Sequence[tuple[Source, Format]], plan: Plan, bad_rows: BadRows, report: Report) -> Events:
    """The rows of all sources as events, in their order where there is no time.

    Raises DataError for what cannot be read, for bad rows (as `bad_rows` says), and when no row is left.
    """
    total, done = sum(source.unpacked for source, _ in sources), 0
    # ids that are texts because the format has no types are whole numbers if all of them look so
    table = _Table(plan, typed=not all(isinstance(form, Delimited) for _, form in sources))
    for source, form in sources:
        _check_columns(plan, source, form.columns(source))
    report("progress", done=0, total=total, unit="B")
    for source, form in sources:
        for batch in form.batches(source, plan.columns(), bad_rows):
            table.add(batch, bad_rows)
            report("progress", done=done + int(batch.read * source.unpacked), total=total, unit="B")
        done += source.unpacked
        report("progress", done=done, total=total, unit="B")
    if not table.size:
        given = ", ".join(str(source) for source, _ in sources[:3]) + (", …" if len(sources) > 3 else "")
        raise DataError(f"no row of {given} can be used; check the files and the filters")
    return table.events()


def listed(columns: Sequence[str]) -> str:
    """The columns of a file in a message."""
    return ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")


def _check_columns(plan: Plan, source: Source, columns: list[str]) -> None:
    for column in plan.columns():
        if columns.count(column) != 1:
            how = "twice" if column in columns else "not"
            raise DataError(f"the column {column!r} stands {how} in {source}; there are {listed(columns)}")


class Ids:
    """A vocabulary that grows: ids are numbered by first appearance."""

    def __init__(self, *, typed: bool) -> None:
        self.typed = typed
        self.row_of: dict[Any, int] = {}

    def rows(self, column: Any) -> np.ndarray:
        """Ids (b,) of int64 or string → rows (b,) int32."""
        encoded = column.dictionary_encode()
        row_of = self.row_of
        distinct = [row_of.setdefault(i, len(row_of)) for i in encoded.dictionary.to_pylist()]
        return np.array(distinct, dtype=np.int32)[encoded.indices.to_numpy()]

    def final(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct ids, int64 or object array of str, and for every row its final row."""
        keys = list(self.row_of)
        if all(isinstance(key, int) for key in keys):
            return np.array(keys, dtype=np.int64), np.arange(len(keys), dtype=np.int32)
        texts = pa.array([str(key) for key in keys], pa.large_string())
        ids = texts if self.typed else whole_or_text(texts)
        encoded = ids.dictionary_encode()  # 12 and "12", or "12" and "12.0", are one
        distinct = encoded.dictionary.to_numpy(zero_copy_only=False)
        return distinct, encoded.indices.to_numpy()


def whole_or_text(texts: Any) -> Any:
    """Texts as int64 where all are whole numbers ("12"; "12.0" too, as float columns are written), else as they are."""
    whole = pc.replace_substring_regex(texts, r"\.0+$", "")
    if pc.all(pc.match_substring_regex(whole, values.WHOLE)).as_py():
        try:
            return pc.cast(whole, pa.int64())
        except pa.ArrowInvalid:  # beyond 64 bits
            return texts
    return texts


@dataclass
class _Column:
    """One column of the events, a list of arrays; `ids` for coded columns."""

    parts: list[np.ndarray] = field(default_factory=list)
    ids: Ids | None = None

    def joined(self) -> np.ndarray:
        whole = np.concatenate(self.parts)
        self.parts = [whole]
        return whole


class _Table:
    def __init__(self, plan: Plan, *, typed: bool) -> None:
        self.plan = plan
        self.typed = typed
        self.times = values.Times(plan.time, plan.time_unit)
        self.size = 0
        self.names: dict[int, str] = {}
        self.columns: dict[str, _Column] = {}
        for role in ("session", "item", "user", "kind"):
            if getattr(plan, role):
                self.columns[role] = _Column(ids=Ids(typed=typed))
        for role in ("time", "weight"):
            if getattr(plan, role):
                self.columns[role] = _Column()

    def add(self, batch: Batch, bad_rows: BadRows) -> None:
        """Parse a batch, leave out its bad rows, and keep the rest."""
        parsed: dict[str, Any] = {}
        problems: list[tuple[str, np.ndarray, str]] = []
        for role in self.columns:
            name = getattr(self.plan, role)
            try:
                parsed[role], found = self._parse(role, batch.columns[name], name)
            except DataError as e:
                raise DataError(f"{batch.source}: {e}") from None
            problems += [(name, mask, problem) for mask, problem in found]
        keep = _without_bad(batch, problems, bad_rows)
        if self.plan.weight:
            keep &= parsed["weight"] >= self.plan.min_weight
        rows = np.flatnonzero(keep)
        for role, column in self.columns.items():
            if column.ids is not None:
                column.parts.append(column.ids.rows(parsed[role].take(pa.array(rows))))
            else:
                column.parts.append(parsed[role][rows])
        self.size += len(rows)
        if self.plan.name:
            self._keep_names(batch.columns[self.plan.name].take(pa.array(rows)))

    def events(self) -> Events:
        """Everything as events, sorted by session, time and original order."""
        columns: dict[str, np.ndarray] = {}
        vocabs: dict[str, Vocab] = {}
        for role, column in self.columns.items():
            columns[role] = column.joined()
            if column.ids is not None:
                ids, final = column.ids.final()
                columns[role] = final[columns[role]].astype(np.int32, copy=False)
                names = self._names(final, len(ids)) if role == "item" and self.plan.name else None
                vocabs[role] = Vocab(ids, names)
        if "time" in columns:
            columns["time"] = self.times.milliseconds(columns["time"])
        order = _order(columns["session"], columns.get("time"))
        return Events(
            session=columns["session"][order],
            item=columns["item"][order],
            sessions=vocabs["session"],
            items=vocabs["item"],
            user=columns["user"][order] if "user" in columns else None,
            users=vocabs.get("user"),
            time=columns["time"][order] if "time" in columns else None,
            weight=columns["weight"][order] if "weight" in columns else None,
            kind=columns["kind"][order] if "kind" in columns else None,
            kinds=vocabs.get("kind"),
        )

    def _parse(self, role: str, column: Any, name: str) -> tuple[Any, values.Problems]:
        if role == "time":
            return self.times.parse(column)
        if role == "weight":
            return values.numbers(column, name)
        whole = self.plan.whole_ids and role != "kind"
        return values.ids(column, name, whole=whole, one_line=not self.typed)

    def _keep_names(self, column: Any) -> None:
        rows = self.columns["item"].parts[-1]
        texts = pc.fill_null(pc.cast(column, pa.string()), "")
        given = np.flatnonzero(pc.not_equal(texts, "").to_numpy(zero_copy_only=False))
        items, at = np.unique(rows[given], return_index=True)
        for item, text in zip(items.tolist(), texts.take(pa.array(given[at])).to_pylist(), strict=True):
            self.names.setdefault(item, text)

    def _names(self, final: np.ndarray, n: int) -> np.ndarray:
        names = np.full(n, "", dtype=object)
        for row in sorted(self.names, reverse=True):  # of two rows that became one, the first names it
            names[final[row]] = self.names[row]
        return names


def _order(session: np.ndarray, time: np.ndarray | None) -> np.ndarray | slice:
    """What sorts events by session and time and keeps their order otherwise; logs are often sorted already."""
    steps = np.diff(session)
    if (steps >= 0).all() and (time is None or (np.diff(time)[steps == 0] >= 0).all()):
        return slice(None)
    return np.lexsort([session] if time is None else [time, session])


def _without_bad(batch: Batch, problems: list[tuple[str, np.ndarray, str]], bad_rows: BadRows) -> np.ndarray:
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
