"""Tar archives: members are streamed in order, nothing is written, and hostile archives are errors."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.tabular.source_files import Source, expand
from tests.readers.reading import PACKED, packed

_LOOKED_FOR = f".csv, {PACKED}"


def pack(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    content_of_archive = io.BytesIO()
    with tarfile.open(fileobj=content_of_archive, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.type = len(content), kind
            entry.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(
        packed(content_of_archive.getvalue(), {".tgz": ".gz", ".tzst": ".zst"}.get(path.suffix, path.suffix))
    )
    return path


def sources(path: Path) -> list[Source]:
    return expand([path], (".csv",))


_MEMBERS = {
    "./logs/b.10.csv": b"a,b\n10\n",
    "logs/b.9.csv": b"\xef\xbb\xbfa,c\n9\n",
    "logs/z.csv.gz": gzip.compress(b"a,d\nz\n"),
    "logs/long.csv": b"x" * 200_000 + b"\n1\n",
    "logs/.hidden.csv": b"no",
    "readme.txt": b"no",
}


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tzst"])
def test_members_are_streamed(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"data{suffix}", _MEMBERS)
    result = sources(path)
    natural = ["b.9.csv", "b.10.csv", "long.csv", "z.csv"]
    assert [s.name for s in result] == (natural if suffix == ".tar" else ["b.10.csv", "b.9.csv", "z.csv", "long.csv"])
    assert str(result[0]) == f"{path}:logs/{result[0].name}"
    expected = {"b.10.csv": b"a,b\n", "b.9.csv": b"a,c\n", "z.csv": b"a,d\n", "long.csv": b"x" * 200_000 + b"\n"}
    assert {s.name: s.first_line(1 << 20) for s in result} == expected
    for order in (result, result[::-1], result):  # forward, and back from the beginning
        assert {s.name: s.read()[-3:] for s in order} == {
            "b.10.csv": b"10\n",
            "b.9.csv": b"\n9\n",
            "z.csv": b"\nz\n",
            "long.csv": b"\n1\n",
        }
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_members_are_read_in_parallel_and_in_another_process(tmp_path: Path) -> None:
    result = sources(pack(tmp_path / "d.tar.gz", _MEMBERS))
    with result[0].open() as a, result[1].open() as b:
        assert (b.read(), a.read()) == (b"\xef\xbb\xbfa,c\n9\n", b"a,b\n10\n")
    assert pickle.loads(pickle.dumps(result[0])).read() == b"a,b\n10\n"


def test_reading_in_order_never_seeks_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = sources(pack(tmp_path / "d.tar.gz", {f"{n}.csv": b"a\n" * 10_000 for n in (3, 1, 2)}))
    assert [source.first_line(100) for source in result] == [b"a\n"] * 3  # all of them first, as readers do
    streams: list[Any] = []
    real = gzip.GzipFile
    monkeypatch.setattr(gzip, "GzipFile", lambda **given: streams.append(real(**given)) or streams[-1])
    assert [source.read() for source in result] == [b"a\n" * 10_000] * 3
    assert len(streams) == 1


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil.csv", "a/../../evil.csv"])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_names_outside_the_archive_are_refused(tmp_path: Path, name: str, suffix: str) -> None:
    path = pack(tmp_path / f"d{suffix}", {"good.csv": b"1\n", name: b"2\n"})
    with pytest.raises(DataError) as error:
        sources(path)
    assert str(error.value) == f"{path} names the file {name!r} outside of itself; get the archive elsewhere"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_only_plain_files_are_read(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(DataError) as error:
        sources(pack(tmp_path / "d.tar", {"a.csv": b""}, kind))
    assert str(error.value) == f"{tmp_path}/d.tar contains no data files; looked for {_LOOKED_FOR}"


def test_empty_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d.tar.gz:a.csv is empty; remove it or get it again"):
        sources(pack(tmp_path / "d.tar.gz", {"a.csv": b""}))


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"])
def test_damaged_archives_are_refused(tmp_path: Path, suffix: str) -> None:
    content = pack(tmp_path / f"d{suffix}", {"a.csv": random.Random(0).randbytes(50_000)}).read_bytes()
    for damaged in (content[: len(content) // 2], content[:100], b"no archive" * 100, content[:600]):
        path = tmp_path / f"d{suffix}"
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"is cut off or damaged|cannot be read|contains no data"):
            [source.read() for source in sources(path)]
