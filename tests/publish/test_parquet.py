"""A folder of Parquet files: rows, the swap, and what is left alone."""

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
from tests.publish.content import content, lists, scored


def rows(folder: Path) -> list[tuple[Any, int, Any, float]]:
    table = pq.read_table(folder / "neighbours.parquet")
    assert table.column_names == ["item", "rank", "other", "score"]
    return list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


@pytest.mark.parametrize("ids", [None, list(range(-3, 4997))])
def test_rows(tmp_path: Path, ids: Any) -> None:
    some = content(5000, 3, ids=ids)
    done = publish_folder(some, tmp_path / "out")
    assert rows(tmp_path / "out") == [
        (item, rank, other, score)
        for item, pairs in scored(some).items()
        for rank, (other, score) in enumerate(pairs, 1)
    ]
    read = load_vectors(tmp_path / "out" / "vectors.parquet")
    assert some.vectors is not None
    assert (read.vectors == some.vectors.vectors).all() and read.vocab.ids.tolist() == some.vocab.ids.tolist()
    assert done.written["neighbours"] == sum(map(len, lists(some).values()))
    planned = measure_folder(some)
    assert {**planned, "bytes": 0} == {**done.written, "bytes": 0}
    assert planned["bytes"] == pytest.approx(done.written["bytes"], rel=0.5)


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    place = tmp_path / "out"
    publish_folder(content(), place)
    before = {f.name: (f.stat().st_mtime_ns, f.stat().st_ino) for f in place.iterdir()}
    assert publish_folder(content(), place) == Published(1)
    assert {f.name: (f.stat().st_mtime_ns, f.stat().st_ino) for f in place.iterdir()} == before
    assert publish_folder(content(seed=1, parts="neighbours"), place).generation == 2
    assert sorted(f.name for f in place.iterdir()) == ["manifest.json", "neighbours.parquet"]
    (place / "neighbours.parquet").write_bytes(b"damaged")
    assert publish_folder(content(seed=1, parts="neighbours"), place).written["neighbours"]
    assert json.loads((place / "manifest.json").read_text())["about"]["generation"] == 3


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
    place, over, seen, wrong = tmp_path / "out", threading.Event(), [0], []
    contents = [content(seed=seed, parts="neighbours") for seed in range(2)]
    publish_folder(contents[0], place)
    right = [sum(map(len, lists(c).values())) for c in contents]

    def reader() -> None:
        while not over.is_set():
            try:
                with (place / "neighbours.parquet").open("rb") as file:
                    if pq.ParquetFile(file).read().num_rows not in right:
                        wrong.append("rows")
            except OSError as e:
                wrong.append(str(e))
            seen[0] += 1

    thread = threading.Thread(target=reader)
    thread.start()
    for turn in range(1, 200):
        publish_folder(contents[turn % 2], place)
        if turn >= 20 and seen[0] >= 50:
            break
    over.set()
    thread.join()
    assert seen[0] >= 5 and not wrong
