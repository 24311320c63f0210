"""Layouts by file names and options."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.export.file_format import Layout, layout_of
from embedrec.export.write_lists import ExportSettings, export_lists
from tests.export.lists import inputs_of, lists_of, some_lists


@pytest.mark.parametrize(
    ("name", "given", "kind", "packing"),
    [
        ("a.txt", None, "text", ""),
        ("a", None, "text", ""),
        ("a.b.tsv.gz", None, "tsv", "gz"),
        ("a.ndjson.zst", None, "jsonl", "zst"),
        ("a.gz", None, "text", "gz"),
        ("a.TSV", None, "tsv", ""),
        ("a.csv", "tsv", "tsv", ""),
        ("a.csv.gz", None, "csv", "gz"),
        ("a.vec", None, "word2vec", ""),
        ("a.txt", "jsonl.gz", "jsonl", "gz"),
        ("-", "redis", "redis", ""),
    ],
)
def test_layouts_are_found_by_name_and_option(name: str, given: str | None, kind: str, packing: str) -> None:
    assert layout_of(name, given) == Layout(kind, packing)  # type: ignore[arg-type]


def test_invalid_layouts_are_refused() -> None:
    for name, form, shards, message in (
        ("a", "jsnl", None, "unknown format 'jsnl'; did you mean 'jsonl'"),
        ("a.parquet.gz", None, None, "parquet files cannot be compressed; leave out .gz"),
        ("a.vec", None, 2, "word2vec is a single file of vectors; leave out --shards"),
        ("a.json", None, None, "a.json: .json is no export format; use one of .txt .tsv .csv .jsonl .ndjson .redis"),
        ("a.tsv.bz2", None, None, "a.tsv.bz2: .bz2 is no export format; use one of"),
        ("a", None, 0, "shards must be at least 1; it is 0"),
    ):
        with pytest.raises(SettingsError, match=message):
            layout_of(name, form, shards=shards)


def test_formats_without_headers_or_names_refuse_them(tmp_path: Path) -> None:
    for layout, message in (
        ({"kind": "text", "header": True}, "text has no header line; leave out --header, or use csv or tsv"),
        ({"kind": "parquet", "header": True}, "parquet has no header line"),
        (
            {"kind": "redis", "names": True},
            "redis cannot contain names; leave out --names, or use one of tsv, csv, js",
        ),
        ({"kind": "word2vec", "names": True}, "word2vec cannot contain names"),
    ):
        with pytest.raises(SettingsError, match=message):
            Layout(**layout)  # type: ignore[arg-type]
    assert not Layout("text", header=False).has_header and not Layout("parquet", header=False).has_header
    result = some_lists(3, 2)
    with pytest.raises(DataError, match="these items have no names; leave out --names"):
        settings = ExportSettings(2, layout=Layout("csv", names=True))
        export_lists(tmp_path / "x.csv", lists_of(result), settings, inputs_of(result.vocab), {})
    assert not list(tmp_path.iterdir())
