"""Tables: every format gives the same events; columns, times and ids are detected reliably."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.table import Table
from embedrec.tabular import delimited, formats
from embedrec.tabular.read_settings import ReadSettings
from tests.data import strategies as draw
from tests.readers.reading import ARCHIVES

_SKIP = "; use --on-bad-row skip to leave such rows out"

# ids that survive every format: delimited text has no types and no spaces around values
letters = st.text(st.sampled_from('aZ,;|"ö日\u00a0#'), min_size=1, max_size=4).map(lambda t: f"x{t}y")
ids = st.one_of(st.just(letters), st.just(st.integers(-(2**63), 2**63 - 1)), st.just(st.integers(0, 3)))


@st.composite
def tables(draw_: st.DrawFn) -> list[dict[str, Any]]:
    row = st.fixed_dictionaries(
        {
            "session_id": draw_(ids),
            "item_id": draw_(ids),
            "time": st.integers(10**8, 10**11 - 1),
            "weight": st.floats(-10, 10, width=32),
            "item_name": st.sampled_from(["", "A", "B, b"]),
            "action": st.sampled_from(["click", "buy"]),
        }
    )
    return draw_(st.lists(row, min_size=1, max_size=20))


def as_csv(rows: list[dict], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_tsv(rows: list[dict]) -> bytes:
    columns = list(rows[0])
    lines = [columns, *([str(row[column]) for column in columns] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines).encode()


def as_jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


_WRITERS = {
    "csv": as_csv,
    "tsv": as_tsv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
    "csv.gz": lambda rows: gzip.compress(as_csv(rows, ";")),
    "jsonl.gz": lambda rows: gzip.compress(as_jsonl(rows)),
}


def read(folder: Path | str, content: bytes | str, suffix: str, mode: Any = "fail", **settings: Any) -> Events:
    path = Path(folder) / f"t.{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Table(**settings).read([path], ReadSettings(BadRows(mode)))


def as_rows(events: Events) -> list[tuple]:
    names = events.items.names if events.items.names is not None else np.full(len(events.items), "", object)
    columns = [events.sessions.ids[events.session], events.items.ids[events.item], names[events.item]]
    columns += [c for c in (events.time, events.weight) if c is not None]
    if events.kind is not None:
        columns.append(events.kinds.ids[events.kind])
    return list(zip(*(c.tolist() for c in columns), strict=True))


@pytest.mark.parametrize("suffix", _WRITERS)
@draw.given(tables(), examples=25)
def test_written_rows_are_read_back(suffix: str, rows: list[dict]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "MAX_ROWS", 3)  # several batches
        patch.setattr(formats, "MAX_LINES", 3)
        if "jsonl" in suffix:
            patch.setattr(formats, "BLOCK", 16)  # shorter than a line
        events = read(folder, _WRITERS[suffix](rows), suffix, kind="action")
    names: dict[Any, str] = {}
    for row in rows:
        names[row["item_id"]] = names.get(row["item_id"]) or row["item_name"]
    expected = Events.of(
        [row["session_id"] for row in rows],
        [row["item_id"] for row in rows],
        time=np.array([row["time"] * 1000 for row in rows]),
        weight=np.array([row["weight"] for row in rows]),
        kind=[row["action"] for row in rows],
        names=names,
    )
    assert as_rows(events) == as_rows(expected)
    assert events.sessions.ids.tolist() == expected.sessions.ids.tolist()
    assert events.items.ids.tolist() == expected.items.ids.tolist()


@draw.given(st.lists(st.tuples(draw.few, draw.few), min_size=1, max_size=20), st.integers(1, 4), examples=25)
def test_files_in_natural_order_are_one_table(rows: list[tuple[str, str]], parts: int) -> None:
    size = -(-len(rows) // parts)
    with TemporaryDirectory() as folder:
        for n, begin in enumerate(range(0, len(rows), size), 8):  # 8, 9, 10, 11
            lines = [f"{s},{i}\n" for s, i in rows[begin : begin + size]]
            (Path(folder) / f"part-{n}.csv").write_text("session,item\n" + "".join(lines))
        events = Table().read([folder], ReadSettings())
    assert as_rows(events) == as_rows(Events.of([r[0] for r in rows], [r[1] for r in rows]))


_T = 1_462_752_000  # 2016-05-09 00:00:00 UTC


@pytest.mark.parametrize(
    ("times", "unit", "expected"),
    [
        ([_T, _T + 1], "auto", [_T * 1000, _T * 1000 + 1000]),
        ([_T + 0.25], "auto", [_T * 1000 + 250]),
        ([_T * 1000 + 7], "auto", [_T * 1000 + 7]),
        ([5], "s", [5000]),
        ([5], "ms", [5]),
        ([0, -1], "s", [-1000, 0]),
        (["2016-05-09"], "auto", [_T * 1000]),
        (["2016-05-09 00:00:01.5"], "auto", [_T * 1000 + 1500]),
        (["2016-05-09T00:00:01.500123Z"], "auto", [_T * 1000 + 1500]),
        (["2016-05-09T02:00:00+02:00"], "iso", [_T * 1000]),
        (["1969-12-31T23:59:59.999Z"], "iso", [-1]),
        (["1969-12-31T23:59:59.9995Z"], "iso", [-1]),
        (["2016-05-09T00:00:02Z", "2016-05-09T00:00:01"], "auto", [_T * 1000 + 1000, _T * 1000 + 2000]),
    ],
)
def test_time_formats_are_detected(tmp_path: Path, times: list, unit: Any, expected: list[int]) -> None:
    rows = [{"session": 1, "item": n, "time": t} for n, t in enumerate(times)]
    for suffix in ("csv", "parquet", "jsonl"):
        assert read(tmp_path, _WRITERS[suffix](rows), suffix, time_unit=unit).time.tolist() == expected


@pytest.mark.parametrize(
    ("times", "unit", "valid", "problem"),
    [
        ([f"{_T}.0", f"{_T}.25", "2016-05-09"], "auto", 2, "time must be a number"),
        (["2016-05-09", "2016-05-09T00:00:00Z", str(_T)], "auto", 2, "time must be a date as 2024-05-31 23:59:00"),
        ([str(_T), "1e9", "1e18"], "s", 2, "time must be a time in numbers since 1970"),
        ([str(_T * 1000), "1e16"], "ms", 1, "time must be a time in numbers since 1970"),
        ([str(_T), "inf"], "auto", 1, "time must be a time in numbers since 1970"),
        ([str(_T), ""], "auto", 1, "time is missing"),
        (["2016-05-09", "2016-13-09", "9.5.2016"], "iso", 1, "time must be a date as 2024-05-31 23:59:00"),
    ],
)
def test_mixed_times_are_bad_rows(tmp_path: Path, times: list[str], unit: Any, valid: int, problem: str) -> None:
    content = "session,item,time\n" + "".join(f"1,{n},{t}\n" for n, t in enumerate(times))
    with pytest.raises(DataError, match=f"row {valid + 1}: {problem}"):
        read(tmp_path, content, "csv", time_unit=unit)
    (tmp_path / "t.csv").write_text(content)
    bad_rows = BadRows("skip")
    events = Table(time_unit=unit).read([tmp_path / "t.csv"], ReadSettings(bad_rows))
    assert len(events) == valid and set(bad_rows.counts) == {problem}


def test_files_of_seconds_and_of_milliseconds_are_not_mixed(tmp_path: Path) -> None:
    for n, time in enumerate((_T, _T * 1000)):
        (tmp_path / f"{n}.csv").write_text(f"session,item,time\n1,2,{time}\n")
    with pytest.raises(DataError, match="it is unclear whether these are seconds or milliseconds"):
        Table().read([tmp_path], ReadSettings())


def test_rows_are_sorted_by_the_order_column(tmp_path: Path) -> None:
    content = "session,item,pos,n\n1,a,2,1\n1,b,10,3\n1,c,-1.5,2\n"
    assert [row[1] for row in as_rows(read(tmp_path, content, "csv"))] == ["c", "a", "b"]
    assert [row[1] for row in as_rows(read(tmp_path, content, "csv", order="n"))] == ["a", "c", "b"]
    assert [row[1] for row in as_rows(read(tmp_path, content, "csv", order="-"))] == ["a", "b", "c"]
    timed = f"session,item,pos,time\n1,a,2,{_T}\n1,b,1,{_T + 1}\n"
    assert [row[1] for row in as_rows(read(tmp_path, timed, "csv"))] == ["a", "b"]
    assert [row[1] for row in as_rows(read(tmp_path, timed, "csv", order="pos"))] == ["b", "a"]
    with pytest.raises(DataError, match="row 1: item must be a number, but is 'a'"):
        read(tmp_path, content, "csv", order="item")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_typed_times_of_any_unit_and_zone_are_read(tmp_path: Path, unit: str, zone: str | None) -> None:
    stamps = pa.array([datetime(2016, 5, 9, tzinfo=UTC)], pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "UTC"))
    stamps = stamps.cast(pa.timestamp(unit, zone))
    pq.write_table(pa.table({"session": [1], "item": [2], "time": stamps}), tmp_path / "t.parquet")
    assert Table().read([tmp_path], ReadSettings()).time.tolist() == [_T * 1000]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([3, 1], pa.uint8()), [3, 1]),
        (pa.array([3.0, 1.0]), [3, 1]),
        (pa.array(["3", "1"]), ["3", "1"]),
        (pa.array(["b", "a"]).dictionary_encode(), ["b", "a"]),
        (pa.array(["b", "a"], pa.large_string()), ["b", "a"]),
    ],
)
def test_typed_ids_keep_their_type(tmp_path: Path, column: Any, expected: list) -> None:
    pq.write_table(pa.table({"session": [1, 1], "item": column}), tmp_path / "t.parquet")
    assert Table().read([tmp_path], ReadSettings()).items.ids.tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["3", "-1", "0"], [3, -1, 0]),
        (["3.0", "1.0"], [3, 1]),
        (["3", "3.0"], [3]),
        (["03", "1"], ["03", "1"]),
        (["3", "x"], ["3", "x"]),
        (["3.5", "1.0"], ["3.5", "1"]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        ([" 3 ", "4"], [3, 4]),
    ],
)
def test_untyped_ids_are_integers_if_all_are(tmp_path: Path, values: list[str], expected: list) -> None:
    content = "session,item\n" + "".join(f"1,{v}\n" for v in values)
    assert read(tmp_path, content, "csv").items.ids.tolist() == expected


def test_merged_ids_keep_the_first_name(tmp_path: Path) -> None:
    events = read(tmp_path, "session,item,item_name\n1,3,A\n1,3.0,B\n1,4,\n1,4.0,C\n", "csv")
    assert (events.items.ids.tolist(), events.items.names.tolist()) == ([3, 4], ["A", "C"])


def test_integers_and_texts_of_two_files_are_texts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"session": [1, 1], "item": [12, 7]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"session": [2, 2], "item": ["12", "x"]}), tmp_path / "b.parquet")
    events = Table().read([tmp_path], ReadSettings())
    assert events.items.ids.tolist() == ["12", "7", "x"]
    assert events.item.tolist() == [0, 1, 0, 2]
    assert events.sessions.ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("header", "settings", "expected"),
    [
        ("SessionId,ItemId,Time", {}, ("SessionId", "ItemId", "")),
        ("session_id,track_id_clean,date", {}, ("session_id", "track_id_clean", "")),
        ("session,item_id,ItemId", {}, ("session", "item_id", "")),
        ("pid,artist_uri,artist_name", {}, ("pid", "artist_uri", "artist_name")),
        ("user_id:token,item_id:token,rating:float", {}, ("user_id:token", "item_id:token", "")),
        ("user,session,item", {"session": "-"}, ("user", "item", "")),
        ("a,b,c", {"session": "a", "item": "b", "name": "c"}, ("a", "b", "c")),
        ("a:token,b:token,c", {"session": "a", "item": "b"}, ("a:token", "b:token", "")),
    ],
)
def test_columns_are_given_or_guessed(tmp_path: Path, header: str, settings: dict, expected: tuple) -> None:
    columns = header.split(",")
    given = dict(zip(columns, ["s", "i", "2016-05-09"], strict=True))
    events = read(tmp_path, f"{header}\n{','.join(given.values())}\n", "csv", weight="-", time="-", **settings)
    session, item, name = expected
    assert events.sessions.ids.tolist() == [given[session]]
    assert events.items.ids.tolist() == [given[item]]
    assert (events.items.names is not None) == bool(name)


def test_a_user_is_a_session_if_there_is_no_other(tmp_path: Path) -> None:
    events = read(tmp_path, "user,item\n5,1\n6,1\n5,2\n", "csv")
    assert events.sessions.ids.tolist() == events.users.ids.tolist() == [5, 6]
    assert events.session.tolist() == events.user.tolist() == [0, 0, 1]
    with_sessions = read(tmp_path, "user,session,item\n5,1,1\n5,2,1\n", "csv")
    assert (with_sessions.sessions.ids.tolist(), with_sessions.users.ids.tolist()) == ([1, 2], [5])


def test_a_given_format_overrides_the_suffix(tmp_path: Path) -> None:
    assert as_rows(read(tmp_path, "session\titem\n1\t2\n", "dat", format="tsv")) == [(1, 2, "")]


_BAD_ROWS = "\n".join(
    [
        "session,item,time,weight",
        "1,2,1462752000,1",
        "",
        "3",
        ",4,1462752000,1",
        "5,,1462752000,1",
        "6,7,,1",
        "6,7,noon,1",
        "6,7,nan,1",
        "6,7,1e300,1",
        "6,7,1462752000,",
        "6,7,1462752000,much",
        "6,7,1462752000,NaN",
        "6,7,1462752000,-inf",
        "6,7,1462752000,1e39",
        "8,9,1462752000,2,5",
        '10,"11\n12",1462752000,2',
        "13,14,1462752001,3",
    ]
)


def test_bad_rows_are_located(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(_BAD_ROWS)
    bad_rows = BadRows("skip")
    events = Table().read([path], ReadSettings(bad_rows))
    assert as_rows(events) == [(1, 2, "", 1462752000000, 1.0), (13, 14, "", 1462752001000, 3.0)]
    result = {
        problem: [location.rpartition(" ")[2] for location in locations]
        for problem, locations in bad_rows.examples.items()
    }
    assert result == {
        "the row must have a value for every column": ["2", "14"],
        "session is missing": ["3"],
        "item is missing": ["4"],
        "time is missing": ["5"],
        "time must be a number": ["6"],
        "time must be a time in numbers since 1970": ["7", "8"],
        "weight is missing": ["9"],
        "weight must be a number": ["10"],
        "weight must be a finite number": ["11", "12", "13"],
        "item contains a line break, possibly after an unclosed quote": ["15"],
    }
    assert bad_rows.total == 14


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3", "row 2: the row must have a value for every column, but has 1 where there are 4 columns"),
        ("3,4,5,6,7", "row 2: the row must have a value for every column, but has 5 where there are 4 columns"),
        (",4,1462752000,1", "row 2: session is missing"),
        ("6,7,noon,1", "row 2: time must be a number, but is 'noon'"),
        ("6,7,1462752000,nan", "row 2: weight must be a finite number, but is 'nan'"),
        ("6,,noon,nan", "row 2: item is missing"),
    ],
)
def test_the_first_bad_row_raises(tmp_path: Path, row: str, message: str) -> None:
    content = f"session,item,time,weight\n1,2,1462752000,1\n{row}\n,,,\n"
    with pytest.raises(DataError) as error:
        read(tmp_path, content, "csv")
    assert str(error.value) == f"{tmp_path}/t.csv, {message}{_SKIP}"


def test_bad_json_lines_are_located(tmp_path: Path) -> None:
    lines = [
        '{"sid": 1, "item": "a", "ts": "2016-05-09"}',
        '{"sid": 2',
        " \r",
        "[1]",
        '{"sid": 3, "item": ["a"], "ts": "2016-05-09"}',
        '{"sid": 4, "ts": "2016-05-09"}',
        '{"sid": 5, "item": 3.5, "ts": "2016-05-09"}',
        '{"sid": 6, "item": "b", "ts": "soon"}',
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    bad_rows = BadRows("skip")
    events = Table().read([path], ReadSettings(bad_rows))
    assert [row[:2] for row in as_rows(events)] == [(1, "a"), (5, "3.5")]
    assert {problem: locations[0].rpartition(" ")[2] for problem, locations in bad_rows.examples.items()} == {
        "the line is not valid JSON (Input data was truncated)": "2",
        "the line must be a JSON object": "3",
        "item must be a text or a number": "4",
        "item is missing": "5",
        "ts must be a date as 2024-05-31 23:59:00": "7",
    }


def test_bad_rows_of_typed_columns_are_counted(tmp_path: Path) -> None:
    columns = {
        "session": pa.array([1.0, 2.5, None, 4.0, 5.0, 1e300, float("inf")]),
        "item": pa.array(["a", "b", "c", "", "e", "f", "g"]),
        "weight": pa.array([1.0, 1.0, 1.0, 1.0, float("nan"), 1.0, 1.0]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    bad_rows = BadRows("skip")
    assert as_rows(Table().read([tmp_path], ReadSettings(bad_rows))) == [(1, "a", "", 1.0)]
    assert bad_rows.counts == {
        "session must be a whole number or a text": 3,
        "session is missing": 1,
        "item is missing": 1,
        "weight must be a finite number": 1,
    }


_TIMES = "it is unclear whether these are seconds or milliseconds since 1970; use --time-unit s or ms"
_NO_ROW = "no row of {f} can be used; check the files and the filters"
_ENDINGS = ".csv, .tsv, .inter, .parquet, .pq, .jsonl, .ndjson, "


def _one(**row: Any) -> bytes:
    return as_parquet([{"session": 1, "item": 1, **row}])


_REFUSED: dict[str, tuple[str, str | bytes, dict[str, str], str]] = {
    "no item": ("csv", "a,b\n1,2\n", {}, "{f} has no column of items; name one of a, b with --item"),
    "no session": (
        "csv",
        "a,item\n1,2\n",
        {},
        "{f} has no column of sessions or users; name one of a, item with --session or --user",
    ),
    "unknown": (
        "csv",
        "session,b\n1,2\n",
        {"item": "c"},
        "{f} has no column 'c' for the item; its columns are session, b",
    ),
    "near miss": (
        "csv",
        "session,track\n1,2\n",
        {"item": "trak"},
        "{f} has no column 'trak' for the item; did you mean 'track'?",
    ),
    "twice": (
        "csv",
        "session,session,item\n1,2,3\n",
        {},
        "the column 'session' occurs twice in {f}; its columns are session, session, item",
    ),
    "header": ("csv", "session,item\n", {}, _NO_ROW),
    "cut-off header": ("csv", "session,item", {}, _NO_ROW),
    "empty": ("csv", "", {}, "{f} is empty; remove it or get it again"),
    "not UTF-8": (
        "csv",
        b"session,item\n1,\xff\n",
        {},
        "{f}, row 1: the row is not UTF-8 text; convert it first; use --on-bad-row skip to leave such rows out",
    ),
    "header not UTF-8": ("csv", b"session,\xff\n1,2\n", {}, "{f} is not UTF-8 text; convert it first"),
    "small times": (
        "csv",
        "session,item,time\n1,2,5\n1,3,9\n",
        {},
        "the times in 'time' go from 5 to 9, and " + _TIMES,
    ),
    "both units": (
        "csv",
        "session,item,time\n1,2,1462752000\n1,3,1462752000000\n",
        {},
        "the times in 'time' go from 1462752000 to 1462752000000, and " + _TIMES,
    ),
    "microseconds": (
        "csv",
        "session,item,time\n1,2,1462752000000000\n",
        {},
        "the times in 'time' go from 1.462752e+15 to 1.462752e+15, as microseconds since 1970 do; "
        "divide them by 1,000 and use --time-unit ms",
    ),
    "nanoseconds": (
        "jsonl",
        '{"session": 1, "item": 2, "time": 1462752000000000000}\n',
        {},
        "the times in 'time' go from 1.462752e+18 to 1.462752e+18, as nanoseconds since 1970 do; "
        "divide them by 1,000,000 and use --time-unit ms",
    ),
    "cut-off gz": (
        "csv.gz",
        gzip.compress(b"session,item\n" + bytes(range(48, 58)) * 999)[:-9],
        {},
        "{f} is cut off or damaged (Compressed file ended before the end-of-stream marker was reached); get it again",
    ),
    "no Parquet": (
        "parquet",
        b"PAR1",
        {},
        "{f} cannot be read as Parquet (Parquet file size is 4 bytes, smaller than the minimum file footer "
        "(8 bytes)); get it again",
    ),
    "ids of a type": (
        "parquet",
        _one(session=True),
        {},
        "{f}: the column 'session' has the type bool, but ids must be whole numbers or texts",
    ),
    "lists": (
        "parquet",
        _one(item=[1]),
        {},
        "{f}: the column 'item' has the type list<element: int64>, but ids must be whole numbers or texts",
    ),
    "weights of a type": (
        "parquet",
        _one(weight=True),
        {},
        "{f}: the column 'weight' has the type bool, but must contain numbers",
    ),
    "dates for numbers": (
        "parquet",
        _one(time=datetime(2020, 1, 1)),
        {"time_unit": "s"},
        "{f}: the column 'time' contains dates where numbers are expected; set its type with --time-unit",
    ),
    "no objects": ("jsonl", "1\n2\n", {}, "{f} contains no JSON objects, one per line; check the file"),
    "suffix": (
        "xyz",
        "session,item\n1,2\n",
        {},
        "{f} is not a data file of this layout; names must end with " + _ENDINGS + ARCHIVES,
    ),
}


@pytest.mark.parametrize(("suffix", "content", "settings", "message"), _REFUSED.values(), ids=_REFUSED)
def test_invalid_files_are_refused(tmp_path: Path, suffix: str, content: Any, settings: dict, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, content, suffix, **settings)
    assert str(error.value) == message.replace("{f}", f"{tmp_path}/t.{suffix}")


def test_every_file_needs_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("session,item\n1,2\n")
    (tmp_path / "b.csv").write_text("session,track\n1,2\n")
    with pytest.raises(DataError) as error:
        Table().read([tmp_path], ReadSettings())
    assert str(error.value) == f"the column 'item' is not in {tmp_path}/b.csv; its columns are session, track"


def test_uneven_rows_over_several_blocks_keep_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 64)
    lines = [f"{n},{n}" if n % 7 else f"{n}" for n in range(1, 200)]
    lines[99] = ",100"
    (tmp_path / "t.csv").write_text("session,item\n" + "\n".join(lines))
    bad_rows = BadRows("skip")
    reports: list[dict] = []
    events = Table().read(
        [tmp_path], ReadSettings(bad_rows, report=lambda event, **n: reports.append({"event": event, **n}))
    )
    assert reports.pop(0) == {"event": "columns", "session": "session", "item": "item", "time": "none"}
    assert events.items.ids.tolist() == [n for n in range(1, 200) if n % 7 and n != 100]
    assert bad_rows.examples["session is missing"] == [f"{tmp_path}/t.csv, row 100"]
    assert bad_rows.examples["the row must have a value for every column"][0] == f"{tmp_path}/t.csv, row 7"
    progress = [r["done"] for r in reports]
    assert (
        progress == sorted(progress) and progress[0] == 0 and progress[-1] == reports[-1]["total"] and len(progress) > 5
    )
