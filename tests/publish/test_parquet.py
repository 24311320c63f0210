"""A folder of Parquet files: its rows, its replacement, and folders that are not overwritten."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from embedrec.errors import ArtifactError
from embedrec.publish.generations import Published
from embedrec.publish.parquet import measure_folder, publish_folder
from embedrec.vectors.file_formats import load_vectors
from tests.publish.content import content, lists, scored_lists


def rows(folder: Path) -> list[tuple[Any, int, Any, float]]:
    table = pq.read_table(folder / "neighbours.parquet")
    assert table.column_names == ["item", "rank", "other", "score"]
    return list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


@pytest.mark.parametrize("ids", [None, list(range(-3, 4997))])
def test_files_contain_neighbours_and_vectors(tmp_path: Path, ids: Any) -> None:
    publication = content(5000, 3, ids=ids)
    published = publish_folder(publication, tmp_path / "out")
    assert rows(tmp_path / "out") == [
        (item, rank, other, score)
        for item, pairs in scored_lists(publication).items()
        for rank, (other, score) in enumerate(pairs, 1)
    ]
    read = load_vectors(tmp_path / "out" / "vectors.parquet")
    assert publication.vectors is not None
    assert (
        read.vectors == publication.vectors.vectors
    ).all() and read.vocab.ids.tolist() == publication.vocab.ids.tolist()
    assert published.written["neighbours"] == sum(map(len, lists(publication).values()))
    planned = measure_folder(publication)
    assert {**planned, "bytes": 0} == {**published.written, "bytes": 0}
    assert planned["bytes"] == pytest.approx(published.written["bytes"], rel=0.5)


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    publish_folder(content(), folder)
    files = {f.name: (f.stat().st_mtime_ns, f.stat().st_ino) for f in folder.iterdir()}
    assert publish_folder(content(), folder) == Published(1)
    assert {f.name: (f.stat().st_mtime_ns, f.stat().st_ino) for f in folder.iterdir()} == files
    assert publish_folder(content(seed=1, parts="neighbours"), folder).generation == 2
    assert sorted(f.name for f in folder.iterdir()) == ["manifest.json", "neighbours.parquet"]
    (folder / "neighbours.parquet").write_bytes(b"damaged")
    assert publish_folder(content(seed=1, parts="neighbours"), folder).written["neighbours"]
    assert json.loads((folder / "manifest.json").read_text())["about"]["generation"] == 3


def test_other_folders_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ArtifactError, match="contains other files"):
        publish_folder(content(), tmp_path / "mine")
    assert [f.name for f in tmp_path.iterdir()] == ["mine"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    publish_folder(content(), tmp_path / "out")

    def stop(*args: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_folder(content(seed=1), tmp_path / "out", report=stop)
    assert [f.name for f in tmp_path.iterdir()] == ["out"]
    assert publish_folder(content(), tmp_path / "out") == Published(1)


def test_readers_see_complete_lists_during_switches(tmp_path: Path) -> None:
    folder, finished, reads, wrong = tmp_path / "out", threading.Event(), [0], []
    contents = [content(seed=seed, parts="neighbours") for seed in range(2)]
    publish_folder(contents[0], folder)
    right = [sum(map(len, lists(c).values())) for c in contents]

    def reader() -> None:
        while not finished.is_set():
            try:
                with (folder / "neighbours.parquet").open("rb") as file:
                    if pq.ParquetFile(file).read().num_rows not in right:
                        wrong.append("rows")
            except OSError as e:
                wrong.append(str(e))
            reads[0] += 1

    thread = threading.Thread(target=reader)
    thread.start()
    for turn in range(1, 200):
        publish_folder(contents[turn % 2], folder)
        if turn >= 20 and reads[0] >= 50:
            break
    finished.set()
    thread.join()
    assert reads[0] >= 5 and not wrong
