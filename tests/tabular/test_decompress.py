"""Compressed files as streams of their content."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from embedrec.errors import DataError
from embedrec.readers.table import Table
from embedrec.tabular.decompress import SUFFIXES, open_unpacked, packing, without_packing
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand
from tests.readers.reading import packed

_CSV = b"session,item\n1,a\n1,b\n"


@pytest.mark.parametrize("packing", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("capitals", [False, True])
def test_every_compression_is_read(tmp_path: Path, packing: str, capitals: bool) -> None:
    name = f"events.csv{packing}"
    path = tmp_path / (name.upper() if capitals else name)
    path.write_bytes(packed(_CSV, packing) + (packed(b"2,c\n", packing) if packing != "" else b"2,c\n"))
    assert len(Table().read([path], ReadSettings()).session) == 3
    assert len(Table().read([tmp_path], ReadSettings()).session) == 3
    (source,) = expand([path], (".csv",))
    assert (source.suffix, source.name.lower(), source.plain) == (".csv", "events.csv", packing == "")


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz", ".zst"])
def test_damaged_compressed_files_are_refused(tmp_path: Path, packing: str) -> None:
    content = packed(_CSV + random.Random(0).randbytes(5000), packing)
    path = tmp_path / f"events.csv{packing}"
    for damaged in (content[:-9], content[: len(content) // 2], b"x" + content, content[:8], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"^{path} (is cut off or damaged|cannot be read) \(.+\)"):
            expand([path], (".csv",))[0].read()


@pytest.mark.parametrize(
    ("name", "suffix", "plain"),
    [
        ("a.csv", "", "a.csv"),
        ("a.csv.gz", ".gz", "a.csv"),
        ("a.CSV.GZ", ".gz", "a.CSV"),
        ("a.bz2", ".bz2", "a"),
        ("a.tar.zst", ".zst", "a.tar"),
        (".xz", ".xz", ""),
        ("gz", "", "gz"),
    ],
)
def test_suffixes_of_compression_are_recognised(name: str, suffix: str, plain: str) -> None:
    assert (packing(name), without_packing(name)) == (suffix, plain)


CONTENT = bytes(range(256)) * 3000


@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
@pytest.mark.parametrize("from_path", [True, False])
def test_streams_can_seek(suffix: str, from_path: bool, tmp_path: Path) -> None:
    """A seek forward skips; a seek backwards reads again from the beginning."""
    path = tmp_path / "f"
    path.write_bytes(packed(CONTENT, suffix))
    with open_unpacked(path if from_path else path.open("rb"), suffix, "f") as stream:
        assert stream.seekable() and stream.read(10) == CONTENT[:10]
        assert stream.seek(500_000) == 500_000 and stream.read(10) == CONTENT[500_000:500_010]
        assert stream.seek(-20, io.SEEK_CUR) == 499_990 and stream.read(5) == CONTENT[499_990:499_995]
        assert stream.seek(3) == 3 and stream.tell() == 3
        assert stream.read() == CONTENT[3:] and stream.read() == b""
        assert stream.seek(10_000_000) == len(CONTENT)
    assert stream.closed


def test_the_stored_stream_is_closed(tmp_path: Path) -> None:
    stored = io.BytesIO(packed(CONTENT, ".zst"))
    with open_unpacked(stored, ".zst", "f") as stream:
        assert stream.read() == CONTENT and not stored.closed
    assert stored.closed


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_messages_name_the_damaged_source(suffix: str) -> None:
    content = packed(random.Random(0).randbytes(5000), suffix)
    with pytest.raises(DataError, match=r"^f\.bin is cut off or damaged \(.+\); get it again$"):
        open_unpacked(io.BytesIO(content[: len(content) // 2]), suffix, "f.bin").read()
