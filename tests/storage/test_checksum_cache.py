"""What is remembered of files must never hide that they changed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from embedrec.errors import ArtifactError
from embedrec.index.build import build_index
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts, checksum_cache
from tests.conftest import some_embeddings


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All files are large, and remembered at once."""
    monkeypatch.setattr(checksum_cache, "LARGE", 100)
    monkeypatch.setattr(checksum_cache, "SETTLED_NANOSECONDS", -1)
    yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_index(build_index(some_embeddings(100), "flat"), tmp_path / "x", {})
    return tmp_path / "x"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose checksums are computed."""
    names: list[str] = []
    read = artifacts.sha256
    monkeypatch.setattr(artifacts, "sha256", lambda path: names.append(path.name) or read(path))  # type: ignore[func-returns-value]
    return names


def opened(folder: Path) -> list[list[str]]:
    return load_index(artifacts.read(folder, "index")).neighbours(np.arange(9), 3).ids()


def test_files_are_read_once(folder: Path, hashed: list[str]) -> None:
    first = opened(folder)
    assert sorted(hashed) == ["index.faiss", "vectors.npy", "vocab.parquet"]
    hashed.clear()
    assert opened(folder) == first
    assert hashed == []
    index = load_index(artifacts.read(folder, "index"))
    assert "ids" not in vars(index.vocab) and len(index.vocab) == 100  # they are still in their file
    assert index.vocab.rows(["i5", "none"]).tolist() == [5, -1]
    assert index.vocab.counts is not None and index.vocab.counts[0] == 100
    assert index.vocab.names is None and index.vocab.name(3) == "" and index.vocab.id(7) == "i7"
    assert index.vocab.take(np.array([1, 2])).ids.tolist() == ["i1", "i2"]


def test_verify_reads_everything(folder: Path, hashed: list[str]) -> None:
    opened(folder)
    hashed.clear()
    artifacts.read(folder).check()
    assert sorted(hashed) == ["index.faiss", "vectors.npy", "vocab.parquet"]


@pytest.mark.parametrize("name", ["index.faiss", "vectors.npy", "vocab.parquet"])
@pytest.mark.parametrize("how", ["in place", "replaced", "with its old times"])
def test_changed_files_are_read_again(name: str, how: str, folder: Path) -> None:
    opened(folder)
    path = folder / name
    before, data = path.stat(), bytearray(path.read_bytes())
    time.sleep(0.02)  # times of files go by ticks
    data[len(data) // 2] ^= 1
    if how == "replaced":
        (folder / "other").write_bytes(data)
        (folder / "other").replace(path)
    else:
        path.write_bytes(data)
    if how == "with its old times":  # the time of the inode cannot be set
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ArtifactError, match=f"{name} is damaged"):
        opened(folder)


def test_files_written_just_now_are_not_cached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum_cache, "SETTLED_NANOSECONDS", 10**15)
    opened(folder)
    assert not (folder / checksum_cache.FILE).exists()


def test_another_manifest_or_a_copy_invalidates_the_cache(folder: Path, hashed: list[str], tmp_path: Path) -> None:
    opened(folder)
    hashed.clear()
    opened(Path(shutil.copytree(folder, tmp_path / "copy")))
    assert len(hashed) == 3
    save_index(build_index(some_embeddings(100, seed=1), "flat"), folder, {})  # in the old one's place
    hashed.clear()
    opened(folder)
    assert len(hashed) == 3


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", "null", '{"digest": 1}', "DIGEST:5", "DIGEST:{}", 'DIGEST:{"sha256": 5}']
)
def test_malformed_caches_are_ignored(content: str, folder: Path, hashed: list[str]) -> None:
    digest = json.dumps(artifacts.read(folder).digest)
    body = f'{{"digest": {digest}, "checks": {content[7:]}}}' if content.startswith("DIGEST:") else content
    (folder / checksum_cache.FILE).write_text(body)
    opened(folder)
    assert len(hashed) == 3


def test_a_folder_that_cannot_be_written_is_read_each_time(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checksum_cache, "no_link", refuse)
    opened(folder)
    opened(folder)
    assert len(hashed) == 6


def test_the_cache_is_in_the_folder_of_the_artifact(folder: Path) -> None:
    opened(folder)
    assert (folder / checksum_cache.FILE).exists()
    artifacts.read(folder).check()  # no file too many
    artifacts.check_place(folder)
    save_index(build_index(some_embeddings(50), "flat"), folder, {})
    assert not (folder / checksum_cache.FILE).exists()
