"""Feature tables: every format gives the same features of items and users."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.data.feature_conditions import Condition
from embedrec.data.feature_parquet import load_features, save_features
from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.table import Table
from embedrec.tabular import formats
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import ARCHIVES, SKIP, feature_values, refusal, write

_ROWS: list[dict[str, Any]] = [
    {"item_id": "b", "price": 2.5, "brand": "X", "tags": ["new", "red"], "stock": 3},
    {"item_id": "never", "price": 9.0, "brand": "Z", "tags": ["blue"], "stock": 9},
    {"item_id": "a", "price": None, "brand": None, "tags": [], "stock": 1},
]
_WANT = {
    "b": {"price": 2.5, "brand": "X", "tags": ["new", "red"], "stock": 3},
    "never": {"price": 9.0, "brand": "Z", "tags": ["blue"], "stock": 9},
    "a": {"stock": 1},
}


def as_text(rows: list[dict[str, Any]], delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow("|".join(v) if isinstance(v, list) else v for v in row.values())
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


_WRITERS = {
    "csv": lambda rows: as_text(rows, ","),
    "tsv": lambda rows: as_text(rows, "\t"),
    "jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "parquet": as_parquet,
}


def read(folder: Path, files: dict[str, str | bytes], ids: tuple[Any, ...] = ("b", "a", "c"), **settings: Any) -> Any:
    """Events of these items, with the feature tables that `settings` name among the files."""
    events = "who,item_id\n" + "".join(f"u,{i}\n" for i in ids)
    write(folder, {"events/e.csv": events, **files})
    given = {key: str(folder / value) if key.endswith("features") else value for key, value in settings.items()}
    return Table(session="who", **given).read([folder / "events"], ReadSettings())


@pytest.mark.parametrize("suffix", _WRITERS)
def test_every_format_gives_the_same_features(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_ROWS", 1)  # several batches
    monkeypatch.setattr(formats, "MAX_LINES", 1)
    events = read(tmp_path, {f"f.{suffix}": _WRITERS[suffix](_ROWS)}, item_features=f"f.{suffix}")
    assert feature_values(events.item_features) == _WANT
    assert events.item_features.about() == {"numeric": ["price", "stock"], "categorical": ["brand"], "lists": ["tags"]}
    assert events.user_features is None


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    events = read(tmp_path, {"f.csv": ",item_id,x\n0,a,5\n1,b,6\n"}, item_features="f.csv")
    assert feature_values(events.item_features) == {"a": {"x": 5}, "b": {"x": 6}}


def test_features_of_users_are_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"u.csv": "who,age\nu,30\nnobody,1\n"}
    events = read(tmp_path, files, user="who", user_features="u.csv")
    assert (
        feature_values(events.user_features) == {"u": {"age": 30}, "nobody": {"age": 1}}
        and events.item_features is None
    )


@pytest.mark.parametrize(("ids", "table"), [((1, 2), "id,x\n1,5\n2.0,6\nz,7\n"), (("1", "z"), "id,x\n1,5\nz,6\n")])
def test_ids_of_different_types_are_matched(tmp_path: Path, ids: tuple[Any, ...], table: str) -> None:
    events = read(tmp_path, {"f.csv": table}, ids, item_features="f.csv")
    assert feature_values(events.item_features) == {ids[0]: {"x": 5}, ids[1]: {"x": 6}}
    events = read(tmp_path, {"f.jsonl": '{"id": 1, "x": 5}\n'}, ids, item_features="f.jsonl")
    assert feature_values(events.item_features) == {ids[0]: {"x": 5}}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([True, False]), [1, 0]),
        (pa.array([3, None], pa.int8()), [3, None]),
        (pa.array(["1", "2.5"]), [1, 2.5]),
        (pa.array(["1", "x"]), ["1", "x"]),
        (pa.array(["1e400", "2"]), ["1e400", "2"]),
        (pa.array(["", " "]), None),
        (pa.array([None, None]), None),
        (pa.array(["p|q", "q"]), [["p", "q"], ["q"]]),
        (pa.array(["p", "q"]).dictionary_encode(), ["p", "q"]),
        (pa.array(["p", "q"], pa.large_string()), ["p", "q"]),
        (pa.array([[1, 2], None]), [["1", "2"], None]),
        (pa.array([[" p", "", None], []], pa.list_(pa.string())), [["p"], None]),
        (pa.array([["p", "q"], ["r", "s"]], pa.list_(pa.string(), 2)), [["p", "q"], ["r", "s"]]),
        (pa.array([date(1970, 1, 2), None]), [1, None]),
        (pa.array([86_400_000, 0], pa.timestamp("ms")), [1, 0]),
    ],
)
def test_types_of_parquet_columns_are_recognised(tmp_path: Path, column: Any, expected: list[Any] | None) -> None:
    pq.write_table(pa.table({"item": ["a", "b"], "x": column}), tmp_path / "f.parquet")
    values_of_items = feature_values(read(tmp_path, {}, item_features="f.parquet").item_features)
    assert [values_of_items["a"].get("x"), values_of_items["b"].get("x")] == (expected or [None, None])


IDS = [2053013552326770905, 2053013552326770906, 7]


def as_table(suffix: str, column: str, values: list[Any]) -> bytes:
    rows = [{"item": item, column: value} for item, value in zip("abc", values, strict=False)]
    return _WRITERS[suffix](rows)


@pytest.mark.parametrize("suffix", _WRITERS)
@pytest.mark.parametrize(
    ("column", "given", "expected"),
    [
        ("category_id", IDS, [str(i) for i in IDS]),
        ("whole", IDS, [str(i) for i in IDS]),  # a float would make the first two one
        ("whole", [2**53 - 1, 5, 7], [2**53 - 1, 5, 7]),
        ("whole", [2**53, 5, 7], [str(2**53), "5", "7"]),
        ("price", [0.1, 16777217, 1e39], [0.1, 16777217, 1e39]),
        ("store_id", [1, 2, 3], ["1", "2", "3"]),
        ("storeId", [1, 2, 3], ["1", "2", "3"]),
        ("ZIP", [1, 2, 3], ["1", "2", "3"]),
        ("humid", [1, 2, 3], [1, 2, 3]),
        ("released", ["2020-01-31", "1970-01-02", "2021-06-30"], [18292, 1, 18808]),
        ("released", ["2020-01-31T12:00:00", "1970-01-02 00:00:00", ""], [18292.5, 1, None]),
    ],
)
def test_numbers_ids_codes_and_dates_are_recognised(
    tmp_path: Path, suffix: str, column: str, given: list[Any], expected: list[Any]
) -> None:
    events = read(tmp_path, {f"f.{suffix}": as_table(suffix, column, given)}, item_features=f"f.{suffix}")
    values_of_items = feature_values(events.item_features)
    assert [values_of_items[item].get(column) for item in "abc"] == expected
    assert events.item_features.dates == (frozenset({"released"}) if column == "released" else frozenset())


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("missing", ["NA", "NULL", "None", "\\N", "", "nan"])
def test_missing_values_are_not_texts(tmp_path: Path, suffix: str, missing: str) -> None:
    content = as_table(suffix, "year", ["1999", missing, "2001"])
    values_of_items = feature_values(
        read(tmp_path, {f"f.{suffix}": content}, item_features=f"f.{suffix}").item_features
    )
    assert [values_of_items[item].get("year") for item in "abc"] == [1999, None, 2001]
    content = as_table(suffix, "genre", ["rock", missing, "pop"])
    values_of_items = feature_values(
        read(tmp_path, {f"g.{suffix}": content}, item_features=f"g.{suffix}").item_features
    )
    assert [values_of_items[item].get("genre") for item in "abc"] == ["rock", None, "pop"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_leading_zeros_are_kept(tmp_path: Path, suffix: str) -> None:
    content = as_table(suffix, "shelf", ["007", "07", "7"])
    values_of_items = feature_values(
        read(tmp_path, {f"f.{suffix}": content}, item_features=f"f.{suffix}").item_features
    )
    assert [values_of_items[item]["shelf"] for item in "abc"] == ["007", "07", "7"]


def test_ids_in_a_column_of_floats_are_texts(tmp_path: Path) -> None:
    """pandas writes whole numbers with missing ones among them as floats."""
    pq.write_table(pa.table({"item": ["a", "b"], "brand_id": [7.0, None], "x_id": [0.5, 1.0]}), tmp_path / "f.parquet")
    values_of_items = feature_values(read(tmp_path, {}, item_features="f.parquet").item_features)
    assert values_of_items == {"a": {"brand_id": "7", "x_id": 0.5}, "b": {"x_id": 1.0}}


def test_floats_of_32_bits_are_kept(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item": ["a"], "x": pa.array([0.1], pa.float32())}), tmp_path / "f.parquet")
    features = read(tmp_path, {}, item_features="f.parquet").item_features
    assert Condition.of("x=0.1").matches(features).tolist() == [True]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({"x": "text"}, {"x": "1"}),
        ({"x": "number"}, {"x": 1}),
        ({"y_id": "number"}, {"y_id": 7}),
        ({"z": "list"}, {"z": ["2020-01-02"]}),
        ({"z": "text"}, {"z": "2020-01-02"}),
        ({"z": "date"}, {"z": 18263}),
    ],
)
def test_types_of_features_may_be_given(tmp_path: Path, types: dict[str, str], expected: dict[str, Any]) -> None:
    files: dict[str, str | bytes] = {"f.csv": "item_id,x,y_id,z\na,1,7,2020-01-02\n"}
    values_of_items = feature_values(read(tmp_path, files, item_features="f.csv", feature_types=types).item_features)
    assert {name: values_of_items["a"][name] for name in expected} == expected


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"xx": "text"}, "no feature is called 'xx'; did you mean 'x'?"),
        ({"other": "text"}, "no feature is called 'other'; the features are x, y"),
        ({"y": "number"}, "{f}, row 1: y must be a number, but is 'red'" + SKIP),
        ({"y": "date"}, "the column 'y' must contain dates as 2024-05-31, but does not"),
    ],
)
def test_types_that_do_not_match_the_values_are_refused(tmp_path: Path, types: dict[str, str], message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, {"f.csv": "item_id,x,y\na,1,red\n"}, item_features="f.csv", feature_types=types)
    assert str(error.value) == message.replace("{f}", f"{tmp_path}/f.csv")


def test_types_apply_to_item_and_user_features(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"f.csv": "item_id,x\na,1\n", "u.csv": "who,age\nu,30\n"}
    settings = {"user": "who", "item_features": "f.csv", "user_features": "u.csv"}
    events = read(tmp_path, files, **settings, feature_types={"x": "text", "age": "text"})
    assert (feature_values(events.item_features)["a"], feature_values(events.user_features)["u"]) == (
        {"x": "1"},
        {"age": "30"},
    )
    with pytest.raises(DataError, match="no feature is called 'x'; there are none"):
        read(tmp_path, {}, feature_types={"x": "text"})


def test_features_of_items_without_events_are_kept(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"f.csv": "item_id,title,x\nz,Zed,3\na,Ay,1\ny,,4\n"}
    events = read(tmp_path, files, ("a", "b"), item_features="f.csv")
    assert events.items.ids.tolist() == ["a", "b"]
    assert feature_values(events.item_features) == {"z": {"x": 3}, "a": {"x": 1}, "y": {"x": 4}}
    assert events.item_features.vocab.names.tolist() == ["Zed", "Ay", ""]
    save_features(events.item_features, tmp_path / "saved.parquet")
    loaded = load_features(tmp_path / "saved.parquet")
    assert feature_values(loaded) == feature_values(events.item_features)
    assert loaded.vocab.names.tolist() == ["Zed", "Ay", ""]


def test_ids_of_another_type_are_counted(tmp_path: Path) -> None:
    write(tmp_path, {"e.csv": "session,item\n1,1\n1,2\n", "f.csv": "item,x\n3,5\nz,6\nw,7\n1,8\n"})
    bad_rows = BadRows()
    events = Table(item_features=str(tmp_path / "f.csv")).read([tmp_path / "e.csv"], ReadSettings(bad_rows))
    assert feature_values(events.item_features) == {3: {"x": 5}, 1: {"x": 8}}
    first = f"{tmp_path}/f.csv, row 2"
    assert bad_rows.lines() == [
        f"2 rows left out: item must be a whole number, as the ids of the events are (first: {first})"
    ]


def test_names_are_taken_from_the_feature_table(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"f.csv": "item_id,title,x\na,Ay,1\n"}
    events = read(tmp_path, files, ("a", "b"), item_features="f.csv")
    assert events.items.names.tolist() == ["Ay", ""] and events.item_features.about()["numeric"] == ["x"]
    write(tmp_path, {"named.csv": "session,item_id,item_name\n1,a,Mine\n"})
    named = Table(item_features=str(tmp_path / "f.csv")).read([tmp_path / "named.csv"], ReadSettings())
    assert named.items.names.tolist() == ["Mine"]


_PLAIN = (".csv", ".tsv", ".inter", ".parquet", ".pq", ".jsonl", ".ndjson")
_ENDINGS = ", ".join((*_PLAIN, ARCHIVES))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "f.csv",
            "a,b\n1,2\n",
            "{f} has no column of item ids; call it 'item_id' as in the events (its columns are a, b)",
        ),
        ("f.csv", "item_id,x,x\na,1,2\n", "the column 'x' occurs twice in {f}; its columns are item_id, x, x"),
        ("f.csv", "item_id,x\na,1\na,2\n", "{f}, row 2: item_id occurs twice, but is 'a'" + SKIP),
        ("f.csv", "item_id,x\n,1\n", "{f}, row 1: item_id is missing" + SKIP),
        (
            "f.csv",
            "item_id,x\na\n",
            "{f}, row 1: the row must have a value for every column, but has 1 where there are 2 columns" + SKIP,
        ),
        ("f.csv", "item_id,id\na,1\n", "{f} has a column of features called 'id'; give it another name"),
        ("f.csv", "item_id,x:a,x:b\na,1,2\n", "{f} has two features called 'x'; rename one"),
        ("f.txt", "item_id,x\na,1\n", "{f} is not a data file of this layout; names must end with " + _ENDINGS),
        (
            "f.jsonl",
            '{"item_id": "a", "x": {"y": 1}}\n',
            "{f}, row 1: x must be a text or a number" + SKIP,
        ),
        ("f.csv", "", "{f} is empty; remove it or get it again"),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, {name: content}, item_features=name)
    assert str(error.value) == message.replace("{f}", f"{tmp_path}/{name}")


def test_unsupported_parquet_columns_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item": ["a"], "x": [float("inf")]}), tmp_path / "f.parquet")
    with pytest.raises(DataError) as error:
        read(tmp_path, {}, item_features="f.parquet")
    assert str(error.value) == f"{tmp_path}/f.parquet, row 1: x must be a finite number, but is 'inf'{SKIP}"
    pq.write_table(pa.table({"item": ["a"], "x": [b"1"]}), tmp_path / "f.parquet")
    with pytest.raises(DataError) as error:
        read(tmp_path, {}, item_features="f.parquet")
    assert str(error.value) == (
        f"the column 'x' of {tmp_path}/f.parquet has the type binary, but a feature is a number, a text or a list"
    )


def test_features_of_users_need_users(tmp_path: Path) -> None:
    write(tmp_path, {"e.csv": "session,item\n1,2\n", "u.csv": "user,age\n1,2\n"})
    message = f"features of users were given ({tmp_path}/u.csv), but the events name no user; name it with --user"
    assert refusal(Table(user_features=str(tmp_path / "u.csv")), [tmp_path / "e.csv"]) == message


def test_equal_looking_ids_are_different_items(tmp_path: Path) -> None:
    write(tmp_path, {"e.csv": "session,item\n1,0\n1,2\n"})
    pq.write_table(pa.table({"item": [0.5, None, 0.0, 2.0], "x": [1, 2, 3, 4]}), tmp_path / "f.parquet")
    bad_rows = BadRows("skip")
    events = Table(item_features=str(tmp_path / "f.parquet")).read([tmp_path / "e.csv"], ReadSettings(bad_rows))
    assert feature_values(events.item_features) == {0: {"x": 3}, 2: {"x": 4}}
    assert bad_rows.counts == {"item must be a whole number or a text": 1, "item is missing": 1}


def test_bad_rows_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, {"e.csv": "session,item\n1,a\n1,b\n", "f.csv": "item,x\na,1\na,2\n,3\nb,4\n"})
    bad_rows = BadRows("skip")
    events = Table(item_features=str(tmp_path / "f.csv")).read([tmp_path / "e.csv"], ReadSettings(bad_rows))
    assert feature_values(events.item_features) == {"a": {"x": 1}, "b": {"x": 4}}
    assert bad_rows.counts == {"item occurs twice": 1, "item is missing": 1}
