"""Files of an export: Parquet, shards with a manifest, headers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from embedrec.data import result_lists
from embedrec.errors import ArtifactError
from embedrec.export.file_format import Layout, layout_of
from embedrec.export.files import MANIFEST, read_manifest
from embedrec.export.write_lists import ExportSettings, export_lists
from tests.export.lists import TEXT_FILES, as_lists, inputs_of, lists_of, some_lists, vocab_with_names


def test_parquet_contains_all_lists(tmp_path: Path) -> None:
    result = some_lists(40, 4)
    export_lists(
        tmp_path / "l.parquet",
        lists_of(result),
        ExportSettings(4, layout=Layout("parquet")),
        inputs_of(result.vocab),
        {},
    )
    table = pq.ParquetFile(tmp_path / "l.parquet").read()
    assert table.column_names == ["item", "rank", "similar", "score"]
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (f"i{seed}", rank, f"i{row}", score)
        for seed, results in enumerate(as_lists(result))
        for rank, (row, score) in enumerate(results, 1)
    ]


@pytest.mark.parametrize("name", [*TEXT_FILES, "l.txt.gz", "l.tsv.zst", "l.parquet"])
def test_shards_have_a_manifest(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 7)
    result = some_lists(50, 5)
    folder, layout = tmp_path / "out", layout_of(name, shards=3)
    for _ in range(2):  # an earlier export is replaced
        about = {"of": "items"}
        export_lists(folder, lists_of(result), ExportSettings(5, layout=layout), inputs_of(result.vocab), about)
    manifest = read_manifest(folder)
    assert [file["lists"] for file in manifest["files"].values()] == [16, 17, 17]
    assert {file.name for file in folder.iterdir()} == {MANIFEST, *manifest["files"]}
    assert (manifest["lists"], manifest["results"], manifest["k"], manifest["of"]) == (
        50,
        int((result.rows >= 0).sum()),
        5,
        "items",
    )
    assert manifest["policies"] == {}
    assert not list(tmp_path.glob(".*"))
    (folder / "mine.txt").touch()
    with pytest.raises(ArtifactError, match="contains other files and no export; move it"):
        export_lists(folder, lists_of(result), ExportSettings(5, layout=layout), inputs_of(result.vocab), {})


def test_parquet_with_names(tmp_path: Path) -> None:
    result = some_lists(40, 4)
    vocab = vocab_with_names(result.vocab.ids)
    settings = ExportSettings(4, layout=Layout("parquet", names=True))
    export_lists(tmp_path / "l.parquet", lists_of(result, vocab), settings, inputs_of(vocab), {})
    rows = pq.ParquetFile(tmp_path / "l.parquet").read().to_pylist()
    label = dict(zip(vocab.ids.tolist(), (vocab.names if vocab.names is not None else vocab.ids).tolist(), strict=True))
    assert rows and all(row["item_name"] == label[row["item"]] for row in rows)
    assert all(row["similar_name"] == label[row["similar"]] for row in rows)


def test_every_shard_has_the_header(tmp_path: Path) -> None:
    result = some_lists(50, 5)
    layout = layout_of("l.csv.gz", shards=3)
    export_lists(tmp_path / "l", lists_of(result), ExportSettings(5, layout=layout), inputs_of(result.vocab), {})
    parts = [
        gzip.decompress(part.read_bytes()).decode().splitlines() for part in sorted((tmp_path / "l").glob("part-*"))
    ]
    assert {part[0] for part in parts} == {"item,rank,similar,score"} and len(parts) == 3
    assert sum(len(part) - 1 for part in parts) == int((result.rows >= 0).sum())
