"""Event logs of small tables, for the tests of logs: random tables, their files, and what reading them gives."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from embedrec.data.event_log import EventLog
from embedrec.readers.table import Table
from embedrec.tabular.read_settings import ReadLog, ReadSettings


@dataclass(frozen=True)
class Log:
    """Rows in files: which columns there are, and (session, user, item, time, name) of every row of every file."""

    columns: tuple[str, ...]
    files: list[list[tuple[Any, ...]]]

    @property
    def reader(self) -> Table:
        return Table(name="name" if "name" in self.columns else "-")

    def write(self, folder: Path) -> list[Path]:
        """The files as CSV."""
        paths = []
        for number, rows in enumerate(self.files):
            lines = [",".join(self.columns)]
            for session, user, item, time, name in rows:
                texts = {"session": session, "user": user, "item": item, "pos": time, "name": name}
                texts["time"] = f"{1_600_000_000 + time:.4f}"
                lines.append(",".join(str(texts[column]) for column in self.columns))
            paths.append(folder / f"{number}.csv")
            paths[-1].write_text("\n".join([*lines, ""]))
        return paths


@st.composite
def logs(draw: st.DrawFn, *, timed: bool | None = None, unique: bool = True) -> Log:
    """A log cut into files: sessions go on, events come late and out of order, users share session numbers.

    timed   whether rows have a time; None draws it, or positions, or neither
    unique  no two rows agree in session, item and time, so that no event is a repetition
    """
    key = draw(st.sampled_from([["time"], ["pos"], []])) if timed is None else ["time"] * timed
    users = draw(st.booleans())
    columns = ["session", "item", *["user"] * users, *key, *["name"] * draw(st.booleans())]
    texts = draw(st.sampled_from([(1, 2, 3, 4), (1, 2, "2.0", "x"), ("1", "a", "b", "c")]))
    times = st.one_of(st.integers(0, 30), st.sampled_from([7.0001, 7.0007, 7.001]))
    row = st.tuples(
        st.sampled_from(texts),
        st.sampled_from(["A", "B", *([""] if draw(st.integers(0, 5)) == 0 else [])]),
        st.integers(1, 6),
        times,
        st.sampled_from(["", "p", "q"]),
    )
    rows = draw(st.lists(row, min_size=2, max_size=40))
    if unique:
        rows = list(
            {
                (str(s).removesuffix(".0"), i, t if key else n): r for n, r in enumerate(rows) for s, _, i, t, _ in [r]
            }.values()
        )
    cuts = sorted(draw(st.sets(st.integers(1, max(len(rows) - 1, 1)), max_size=3)))
    files = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    return Log(tuple(columns), [file for file in files if file])


def read_log(reader: Any, paths: list[Path], before: EventLog | None = None) -> EventLog:
    """The log of files, which may continue an earlier one."""
    log = ReadLog(None if before is None else before.state)
    return log.pop(reader.read(paths, ReadSettings(log=log)))


def read_each(log: Log, paths: list[Path]) -> list[EventLog]:
    """The log of every file, each read after the one before."""
    parts: list[EventLog] = []
    for path in paths:
        parts.append(read_log(log.reader, [path], parts[-1] if parts else None))
    return parts


def assert_equal_logs(log: EventLog, expected: EventLog) -> None:
    """Equal in every column and vocabulary; items may be numbered in another order."""
    events, other = log.events, expected.events
    for name in ("session", "user", "time", "weight", "kind"):
        np.testing.assert_array_equal(getattr(events, name), getattr(other, name), err_msg=name)
    for name in ("sessions", "users", "kinds"):
        vocab, wanted = getattr(events, name), getattr(other, name)
        assert (vocab is None) == (wanted is None), name
        if vocab is not None:
            assert vocab.ids.tolist() == wanted.ids.tolist(), name
            assert vocab.ids.dtype == wanted.ids.dtype, name
    assert events.items.ids.dtype == other.items.ids.dtype
    assert events.items.ids[events.item].tolist() == other.items.ids[other.item].tolist()
    assert _named(log) == _named(expected)
    for name in ("finer", "order", "unsplit", "places"):
        np.testing.assert_array_equal(getattr(log, name), getattr(expected, name), err_msg=name)
    assert json.dumps(asdict(log.state)) == json.dumps(asdict(expected.state))


def _named(log: EventLog) -> dict[Any, str] | None:
    items = log.events.items
    return None if items.names is None else dict(zip(items.ids.tolist(), items.names.tolist(), strict=True))
