"""Rows of tables as events: columns by role, bad rows, order, and several sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from embedrec.data import Events
from embedrec.errors import DataError
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.formats import Batch
from embedrec.tabular.read_rows import Plan, casting, check_columns, naming_source, read_rows, report_bad_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand
from tests.readers.reading import rows

PLAN = Plan("s", "i")


def read(folder: Path, *texts: str, plan: Plan = PLAN, **settings: Any) -> Events:
    """The events of CSV files 0.csv, 1.csv, …"""
    for number, text in enumerate(texts):
        (folder / f"{number}.csv").write_text(text)
    sources = expand([folder], (".csv",))
    return read_rows([(source, Delimited()) for source in sources], plan, ReadSettings(**settings))


def test_a_plan_lists_its_columns_once() -> None:
    assert Plan("s", "i", user="s", time="t", name="i").columns() == ["s", "i", "t"]


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_of_several_files_are_merged(tmp_path: Path, workers: int) -> None:
    """Sessions and items are numbered by first appearance; the rows of a session keep the order of the files."""
    events = read(tmp_path, "s,i\nb,x\na,y\n", "i,s\nz,b\nx,a\n", workers=workers)
    assert rows(events) == [("b", "x"), ("b", "z"), ("a", "y"), ("a", "x")]
    assert events.items.ids.tolist() == ["x", "y", "z"] and events.sessions.ids.tolist() == ["b", "a"]
    assert (events.time, events.weight, events.users, events.kinds) == (None, None, None, None)


def test_columns_of_all_roles_are_read(tmp_path: Path) -> None:
    plan = Plan("s", "i", user="u", time="t", weight="w", name="n", kind="k", time_unit="s")
    text = "s,i,u,t,w,n,k\n1,5,a,20,0.5,Five,click\n1,6,a,10,2,,buy\n2,5,b,30,1,Other,click\n"
    events = read(tmp_path, text, plan=plan)
    assert rows(events, "user", "time", "weight", "kind") == [
        (1, 6, "a", 10_000, 2.0, "buy"),
        (1, 5, "a", 20_000, 0.5, "click"),
        (2, 5, "b", 30_000, 1.0, "click"),
    ]
    assert events.items.names.tolist() == ["Five", ""]  # the first name is used


def test_an_order_column_comes_before_the_time(tmp_path: Path) -> None:
    plan = Plan("s", "i", time="t", order="o", time_unit="s")
    events = read(tmp_path, "s,i,t,o\n1,a,1,3\n1,b,2,1.5\n1,c,3,-1\n", plan=plan)
    assert [item for _, item in rows(events)] == ["c", "b", "a"]


def test_bad_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    bad_rows = BadRows("skip")
    plan = Plan("s", "i", weight="w")
    events = read(tmp_path, "s,i,w\n1,a,1\n1,,1\n1,b,x\n,c,1\n1,d,2\n", plan=plan, bad_rows=bad_rows)
    assert rows(events, "weight") == [(1, "a", 1.0), (1, "d", 2.0)]
    assert bad_rows.counts == {"i is missing": 1, "w must be a number": 1, "s is missing": 1}
    assert bad_rows.examples["w must be a number"] == [f"{tmp_path}/0.csv, row 3"]


def test_the_first_bad_row_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, "s,i,w\n1,a,1\n1,b,x\n", plan=Plan("s", "i", weight="w"))
    assert str(error.value) == (
        f"{tmp_path}/0.csv, row 2: w must be a number, but is 'x'; use --on-bad-row skip to leave such rows out"
    )


def test_a_guessed_column_of_users_may_have_blanks(tmp_path: Path) -> None:
    text = "s,i,u\n1,a,x\n1,b,\n"
    bad_rows = BadRows()
    events = read(tmp_path, text, plan=Plan("s", "i", user="u", guessed_user=True), bad_rows=bad_rows)
    assert events.users is None and len(events.session) == 2
    assert bad_rows.notes == [
        "the column 'u' is blank in 1 of 2 rows, so no users are read; name it with --user to read them, and leave "
        "such rows out"
    ]
    with pytest.raises(DataError, match="row 2: u is missing; --user - reads all rows without users; use"):
        read(tmp_path, text, plan=Plan("s", "i", user="u"))


def test_sessions_of_several_users_are_split(tmp_path: Path) -> None:
    bad_rows = BadRows()
    text = "s,i,u\n1,a,x\n1,b,y\n2,c,x\n"
    events = read(tmp_path, text, plan=Plan("s", "i", user="u"), bad_rows=bad_rows)
    assert len(events.sessions) == 3 and len(set(events.session[:2].tolist())) == 2
    assert bad_rows.notes[0].startswith("1 of 2 sessions, such as 1, have events of several users")
    without = read(tmp_path, text, plan=Plan("s", "i", user="u", keep_users=False))
    assert len(without.sessions) == 3 and without.users is None


def test_progress_is_reported_in_bytes(tmp_path: Path) -> None:
    events: list[tuple[int, int]] = []
    read(tmp_path, "s,i\n1,a\n", "s,i\n1,b\n", report=lambda _, done, total, unit: events.append((done, total)))
    assert events[0] == (0, 16) and events[-1] == (16, 16) and events == sorted(events)


def test_files_without_valid_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, "s,i\n", "s,i\n,a\n", bad_rows=BadRows("skip"))
    files = f"{tmp_path}/0.csv, {tmp_path}/1.csv"
    left_out = f"1 row left out: s is missing (first: {tmp_path}/1.csv, row 1)"
    assert str(error.value) == f"no row of {files} can be used ({left_out}); check the files and the filters"


def test_every_source_needs_the_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^the column 's' is not in .*/1\.csv; its columns are x, i$"):
        read(tmp_path, "s,i\n1,a\n", "x,i\n1,a\n")
    check_columns(["a"], "f.csv", ["b", "a"])


def test_the_first_problem_of_a_row_is_reported() -> None:
    columns = {"s": pa.array(["a", None, "c", None]), "w": pa.array([1.0, 2.0, -3.0, 4.0])}
    batch = Batch("f.csv", columns, np.array([10, 11, 12, 13]), 1.0)  # type: ignore[arg-type]
    missing, negative = np.array([False, True, False, True]), np.array([False, True, True, False])
    problems = [("s", missing, "s is missing"), ("w", negative, "w is negative")]
    bad_rows = BadRows("skip")
    assert report_bad_rows(batch, problems, bad_rows).tolist() == [True, False, False, False]
    assert bad_rows.counts == {"s is missing": 2, "w is negative": 1}
    with pytest.raises(DataError, match=r"^f\.csv, row 11: s is missing; name it; use --on-bad-row skip"):
        report_bad_rows(batch, problems, BadRows(), {"s is missing": "; name it"})
    with pytest.raises(DataError, match=r"^f\.csv, row 12: w is negative, but is '-3\.0'; use"):
        report_bad_rows(
            batch, problems[1:] and [("w", np.array([False, False, True, False]), "w is negative")], BadRows()
        )
    assert report_bad_rows(batch, [], BadRows()).all()


def test_errors_name_the_source() -> None:
    with pytest.raises(DataError, match=r"^f\.csv: the column is odd$"), naming_source("f.csv"):
        raise DataError("the column is odd")
    message = r"^f\.csv contains values that cannot be read as events or features \(odd type\); check it$"
    with pytest.raises(DataError, match=message), casting("f.csv"):
        raise pa.ArrowNotImplementedError("odd type")
