"""Batches of tables: every row once and in order, and bounded in bytes for rows of any length."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.table import Table
from embedrec.tabular import formats
from embedrec.tabular.formats import Batch, Format, JsonLines, Parquet
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand
from tests.data import strategies as draw
from tests.readers.reading import rows

MOST = 1 << 16  # bytes per batch
LONG = 2000  # characters


def batches(form: Format, path: Path, columns: list[str], share: float = 1.0) -> list[Batch]:
    (source,) = expand([path], (path.suffix,))
    return list(form.batches(source, columns, BadRows(), share))


def values_of(result: list[Batch], column: str) -> list[Any]:
    return [value for batch in result for value in batch.columns[column].to_pylist()]


def text_bytes(result: list[Batch], column: str) -> list[int]:
    return [batch.columns[column].nbytes for batch in result]


long_texts = {
    "alternating": ["a" * LONG, "b" * LONG, "c"] * 400,
    "short ones first": ["c"] * 900 + ["a" * LONG, "b" * LONG] * 150,
    "all of them": [f"{i:04}" + "x" * LONG for i in range(600)],
}


@pytest.mark.parametrize("given", long_texts.values(), ids=long_texts)
@pytest.mark.parametrize("dictionary", [True, False], ids=["dictionary", "plain"])
@pytest.mark.parametrize("stored", [True, False], ids=["categories", "texts"])
def test_batches_of_parquet_are_bounded_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], dictionary: bool, stored: bool
) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", MOST)
    column = pa.array(given)
    table = pa.table({"n": np.arange(len(given)), "text": column.dictionary_encode() if stored else column})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=dictionary, row_group_size=700)
    result = batches(Parquet(), tmp_path / "t.parquet", ["n", "text"])
    assert values_of(result, "text") == given
    assert values_of(result, "n") == list(range(len(given)))
    assert [n for batch in result for n in batch.rows] == list(range(1, len(given) + 1))
    assert max(text_bytes(result, "text")) <= 2 * MOST  # the last row may be a long one


def test_batches_of_growing_rows_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", MOST)
    given = ["x" * (1 + i // 4) for i in range(9000)]
    pq.write_table(pa.table({"text": given}), tmp_path / "t.parquet", use_dictionary=False)
    result = batches(Parquet(), tmp_path / "t.parquet", ["text"])
    assert values_of(result, "text") == given
    assert max(text_bytes(result, "text")) <= 2 * MOST


def test_batches_of_short_rows_have_the_maximum_number_of_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": np.arange(1_000_000)}), tmp_path / "t.parquet")
    sizes = [len(batch.rows) for batch in batches(Parquet(), tmp_path / "t.parquet", ["n"])]
    assert max(sizes) == formats.MAX_ROWS
    assert len(sizes) < 8


@draw.given(
    st.lists(st.one_of(st.none(), st.just("x" * 50), draw.few, draw.texts), max_size=40),
    st.integers(1, 12),
    st.integers(1, 200),
    st.booleans(),
)
def test_every_row_is_read_once_and_in_order(
    tmp_path: Path, given: list[str | None], rows: int, size: int, stored: bool
) -> None:
    column = pa.array(given, pa.string())
    table = pa.table({"text": column.dictionary_encode() if stored else column, "n": pa.array(range(len(given)))})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "MAX_ROWS", rows)
        patch.setattr(formats, "MAX_BYTES", size)
        result = batches(Parquet(), tmp_path / "t.parquet", ["n", "text"])
    assert values_of(result, "text") == given
    assert values_of(result, "n") == list(range(len(given)))
    assert all(len(batch.rows) <= rows for batch in result)


def test_batches_of_json_lines_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", MOST)
    given = ["a" * LONG, "b"] * 500
    (tmp_path / "t.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in given))
    result = batches(JsonLines(), tmp_path / "t.jsonl", ["text"])
    assert values_of(result, "text") == given
    assert max(text_bytes(result, "text")) <= 2 * MOST


def test_a_json_line_that_is_too_long_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_LINE", 2 << 20)
    monkeypatch.setattr(formats, "BLOCK", 1 << 18)
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "%s"}\n' % ("x" * (3 << 20)))
    with pytest.raises(DataError) as error:
        JsonLines().columns(*expand([path], (".jsonl",)))
    assert str(error.value) == (
        f"{path} has a line of more than 2M, the limit; check that it contains one JSON object per line"
    )
    path.write_text('{"text": "a"}\n{"text": "%s"}\n' % ("x" * (3 << 19)))
    assert values_of(batches(JsonLines(), path, ["text"]), "text") == ["a", "x" * (3 << 19)]
    with pytest.raises(DataError, match="more than 1M, the limit under this memory budget; increase it;"):
        batches(JsonLines(), path, ["text"], share=0.5)


def test_exhausted_memory_is_not_reported_as_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "t.parquet")

    def fail(*_: Any) -> None:
        raise pa.ArrowMemoryError("malloc of size 1 failed")

    monkeypatch.setattr(formats, "sized_batches", fail)
    with pytest.raises(DataError) as error:
        batches(Parquet(), tmp_path / "t.parquet", ["n"])
    assert str(error.value) == (
        f"memory ran out while {tmp_path / 't.parquet'} was read; free some, use --memory or --threads 1, or split the "
        "file"
    )


ROWS = [{"session": 1, "item": "a"}, {"session": 1, "item": "b"}, {"session": 2, "item": "a"}]


@pytest.mark.parametrize("name", ["e.json", "e.jsonl", "e.json.gz", "E.JSON"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("prefix", ["", "\n\n ", "\ufeff"])
def test_an_array_of_objects_equals_json_lines(tmp_path: Path, name: str, indent: int | None, prefix: str) -> None:
    content = (prefix + json.dumps(ROWS, indent=indent)).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    events = Table().read([tmp_path / name], ReadSettings())
    assert rows(events) == [(1, "a"), (1, "b"), (2, "a")]


def test_rows_of_an_array_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text('[{"session": 1, "item": "a"},\n5, {"session": 1}, {"session": 1, "item": "b"}]')
    bad_rows = BadRows("skip")
    assert rows(Table().read([tmp_path / "e.json"], ReadSettings(bad_rows))) == [(1, "a"), (1, "b")]
    assert bad_rows.examples == {
        "the line must be a JSON object": [f"{tmp_path}/e.json, row 2"],
        "item is missing": [f"{tmp_path}/e.json, row 3"],
    }


def test_other_json_is_refused(tmp_path: Path) -> None:
    for content in ("[1, 2]", "[[1, 2]]\n[[3]]", '[{"session": 1, "item": "a"}', "[]"):
        (tmp_path / "e.json").write_text(content)
        with pytest.raises(DataError, match="contains no JSON objects, one per line; check the file"):
            Table().read([tmp_path / "e.json"], ReadSettings())


def test_json_beside_tables_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("session,item\n1,a\n")
    (tmp_path / "schema.json").write_text('{"columns": 2}')
    assert rows(Table().read([tmp_path], ReadSettings())) == [(1, "a")]
