from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.table import Table
from embedrec.tabular.arrow_columns import invalid_utf8, simplify
from embedrec.tabular.item_labels import read_labels
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import feature_values, rows

_TEXTS = [
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string())),
]


@pytest.mark.parametrize("kind", _TEXTS, ids=str)
def test_texts_of_every_type_are_read(tmp_path: Path, kind: Any) -> None:
    texts = pa.array(["é", "b", None, "é"], pa.string())
    given = _cast(texts, kind)
    assert simplify(given).to_pylist() == ["é", "b", None, "é"]
    assert simplify(given[1:]).to_pylist() == ["b", None, "é"]
    table = pa.table({"session": [1, 1], "item": given[:2], "item_name": ["x", "y"]})
    pq.write_table(table, tmp_path / "t.parquet")
    features = pa.table({"item": given[:2], "genre": _cast(pa.array(["b", "é"]), kind)})
    pq.write_table(features, tmp_path / "f.parquet")
    events = Table(item_features=str(tmp_path / "f.parquet")).read([tmp_path / "t.parquet"], ReadSettings())
    assert rows(events) == [(1, "é"), (1, "b")]
    assert feature_values(events.item_features) == {"é": {"genre": "b"}, "b": {"genre": "é"}}


def _cast(texts: Any, kind: Any) -> Any:
    if pa.types.is_dictionary(kind):
        return texts.dictionary_encode().cast(kind)
    return texts.cast(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string_view())),
        *(pa.list_view(pa.string()), pa.large_list_view(pa.string()), pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    ],
    ids=str,
)
def test_lists_of_every_type_are_simplified(kind: Any) -> None:
    given = pa.array([["a", "b"], [], None, ["c"]], kind)
    assert simplify(given).to_pylist() == [["a", "b"], [], None, ["c"]]
    assert simplify(given[1:]).to_pylist() == [[], None, ["c"]]
    assert simplify(given).type == pa.list_(pa.string())


def test_run_end_encoded_and_extension_arrays_are_simplified() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", "b"]))
    assert simplify(runs).to_pylist() == ["a", "a", "b"]
    json = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1"]))
    assert simplify(json).type == pa.string()


def test_invalid_utf8_is_found() -> None:
    valid = pa.array(["a", "é", None, ""])
    assert invalid_utf8(valid) is None
    invalid = pa.array([b"a", b"\xff", None, "é".encode(), b"\xc3", b"\xa9"]).view(pa.string())
    mask = invalid_utf8(invalid)
    assert mask is not None and mask.tolist() == [False, True, False, False, True, True]
    mask = invalid_utf8(invalid[3:])
    assert mask is not None and mask.tolist() == [False, True, True]
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 3, 6]), invalid)
    mask = invalid_utf8(lists)
    assert mask is not None and mask.tolist() == [False, True, False, True]


def test_parquet_rows_of_invalid_utf8_are_bad_rows(tmp_path: Path) -> None:
    item = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    pq.write_table(pa.table({"session": [1, 1, 1], "item": item}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t.parquet, row 2: the row is not UTF-8 text; convert it first"):
        Table().read([tmp_path], ReadSettings())
    bad_rows = BadRows("skip")
    assert rows(Table().read([tmp_path], ReadSettings(bad_rows))) == [(1, "a"), (1, "c")]
    assert bad_rows.counts == {"the row is not UTF-8 text": 1}


_NESTED = {
    "list": pa.array([[1], [2]]),
    "struct": pa.array([{"x": 1}, {"x": 2}]),
    "list of structs": pa.array([[{"x": 1}], []]),
    "list of lists": pa.array([[["a"]], []]),
    "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"12", b"34"], pa.binary(2)),
    "interval": pa.array([1, 2], pa.duration("s")),
    "time": pa.array([1, 2], pa.time32("s")),
}


@pytest.mark.parametrize("role", ["session", "item", "user", "time", "weight", "order", "name", "kind"])
@pytest.mark.parametrize("given", _NESTED.values(), ids=_NESTED)
def test_columns_of_unsupported_types_are_refused(tmp_path: Path, role: str, given: Any) -> None:
    columns = {"session": pa.array([1, 1]), "item": pa.array(["a", "b"]), "other": given}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    settings: dict[str, Any] = {role: "other"}
    try:
        Table(**settings).read([tmp_path], ReadSettings())
    except DataError as e:
        assert str(e).startswith(f"{tmp_path}/t.parquet") and "\n" not in str(e)
    else:
        assert not pa.types.is_nested(given.type)


@pytest.mark.parametrize("given", _NESTED.values(), ids=_NESTED)
def test_unsupported_feature_types_raise_no_other_error(tmp_path: Path, given: Any) -> None:
    pq.write_table(pa.table({"session": [1, 1], "item": ["a", "b"]}), tmp_path / "t.parquet")
    pq.write_table(pa.table({"item": ["a", "b"], "other": given}), tmp_path / "f.parquet")
    for reading in (
        lambda: Table(item_features=str(tmp_path / "f.parquet")).read([tmp_path / "t.parquet"], ReadSettings()),
        lambda: read_labels(tmp_path / "f.parquet", Table().read([tmp_path / "t.parquet"], ReadSettings()).items),
    ):
        try:
            reading()
        except DataError as e:
            assert "f.parquet" in str(e) and "\n" not in str(e)


def test_damaged_pages_raise_no_other_error(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"session": list(range(5000)), "item": [str(i * i) for i in range(5000)]}), path)
    content = path.read_bytes()
    for position in range(4, len(content) - 600, len(content) // 40):
        path.write_bytes(content[:position] + b"\xff" * 200 + content[position + 200 :])
        try:
            Table().read([path], ReadSettings())
        except DataError as e:
            assert str(path) in str(e) and "\n" not in str(e)
