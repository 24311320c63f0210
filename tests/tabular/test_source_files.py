"""The files to read, their order, and the errors for unreadable files."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from embedrec.errors import DataError
from embedrec.readers.mpd import Mpd
from embedrec.readers.table import Table
from embedrec.readers.wsknn import Wsknn
from embedrec.storage.memory_budget import MemoryBudget
from embedrec.tabular import source_files as files
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand, natural
from tests.readers.reading import ARCHIVES, PACKED

_SUFFIXES = (".json",)
_LOOKED_FOR = f".json, {ARCHIVES}"


def names(paths: list[Path | str]) -> list[str]:
    return [source.name for source in expand(paths, _SUFFIXES)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Slices whose natural order is not alphabetical, and files that are not data."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    for name in ("s.0-9.json", "s.10-19.json", "s.9.json", "sub/s.1.json", "readme.txt", ".hidden.json"):
        (tmp_path / "data" / name).write_text("{}")
    return tmp_path / "data"


def test_folders_patterns_and_files_have_the_same_order(folder: Path) -> None:
    expected = ["s.0-9.json", "s.9.json", "s.10-19.json", "s.1.json"]
    assert names([folder]) == expected
    assert names([str(folder / "**" / "*.json")]) == expected
    assert names([str(folder / "*")]) == expected
    files = [p for p in folder.rglob("*.json") if p.name[0] != "."]
    random.Random(0).shuffle(files)
    assert names(files) == expected


def test_natural_order_reads_digits_as_numbers() -> None:
    assert sorted(["a10", "a9", "a", "b1", "a9.5", "10", "9"], key=natural) == [
        "9",
        "10",
        "a",
        "a9",
        "a9.5",
        "a10",
        "b1",
    ]


def test_a_file_named_like_a_pattern_is_read(tmp_path: Path) -> None:
    (tmp_path / "a[1].json").write_text("{}")
    (tmp_path / "a1.json").write_text("{}")
    assert names([tmp_path / "a[1].json"]) == ["a[1].json"]


def test_packed_sources_are_streamed(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b"one"))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("x/s.10.json", "three")
        archive.writestr("x/s.9.json", b"\xef\xbb\xbftwo")
        archive.writestr("x/c.json.gz", gzip.compress(b"zero"))
        archive.writestr("__MACOSX/x/._s.9.json", "no data")
        archive.writestr("stats.txt", "no data")
    sources = expand([tmp_path], _SUFFIXES)
    assert [s.read() for s in sources] == [b"one", b"zero", b"two", b"three"]
    assert [s.name for s in sources] == ["a.json", "c.json", "s.9.json", "s.10.json"]
    assert str(sources[2]) == f"{tmp_path}/b.zip:x/s.9.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json.gz", "b.zip"]


def write_encrypted_zip(path: Path) -> None:
    """Write a zip archive whose member is marked as encrypted in both headers."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", "{}")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def write_zip(path: Path, **members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)


_REFUSED = {
    "missing file": (
        lambda d: (d / "abc.json").write_text("{}"),
        "abd.json",
        "there is no file or folder {d}/abd.json; did you mean 'abc.json'?",
    ),
    "missing folder": (
        lambda d: None,
        "no/where",
        "there is no file or folder {d}/no/where; check the path",
    ),
    "empty file": (
        lambda d: (d / "a.json").write_text(""),
        "a.json",
        "{d}/a.json is empty; remove it or get it again",
    ),
    "file of blanks": (
        lambda d: (d / "a.json").write_text(" \n\n"),
        "a.json",
        "{d}/a.json is empty; remove it or get it again",
    ),
    "other suffix": (
        lambda d: (d / "a.txt").write_text("{}"),
        "a.txt",
        "{d}/a.txt is not a data file of this layout; names must end with " + _LOOKED_FOR,
    ),
    "folder without data": (
        lambda d: (d / "a.txt").write_text("{}"),
        ".",
        "the folder {d} contains no data files; looked for " + _LOOKED_FOR,
    ),
    "glob without data": (
        lambda d: (d / "a.txt").write_text("{}"),
        "*.txt",
        "no data file matches {d}/*.txt; looked for " + _LOOKED_FOR,
    ),
    "cut-off gz": (
        lambda d: (d / "a.json.gz").write_bytes(gzip.compress(os.urandom(500))[:-200]),
        "a.json.gz",
        "{d}/a.json.gz is cut off or damaged (Compressed file ended before the end-of-stream marker was "
        "reached); get it again",
    ),
    "no gz": (
        lambda d: (d / "a.json.gz").write_text("{}{}{}"),
        "a.json.gz",
        "{d}/a.json.gz is cut off or damaged (Not a gzipped file (b'{{}}')); get it again",
    ),
    "no zip": (
        lambda d: (d / "a.zip").write_text("{}"),
        "a.zip",
        "{d}/a.zip is cut off or damaged (File is not a zip file); get it again",
    ),
    "zip without data": (
        lambda d: write_zip(d / "a.zip", a_txt="{}"),
        "a.zip",
        "{d}/a.zip contains no data files; looked for .json, " + PACKED,
    ),
    "zip with an empty member": (
        lambda d: write_zip(d / "a.zip", a_json=""),
        "a.zip",
        "{d}/a.zip:a.json is empty; remove it or get it again",
    ),
    "encrypted zip": (
        lambda d: write_encrypted_zip(d / "a.zip"),
        "a.zip",
        "{d}/a.zip:a.json is encrypted; unpack the archive with its password first",
    ),
}


@pytest.mark.parametrize(("make", "given", "message"), _REFUSED.values(), ids=_REFUSED)
def test_invalid_files_are_refused(tmp_path: Path, make, given: str, message: str) -> None:
    make(tmp_path)
    with pytest.raises(DataError) as error:
        for source in expand([tmp_path / given], _SUFFIXES):
            source.read()
    assert str(error.value) == message.format(d=tmp_path)


def test_a_damaged_zip_member_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", a_json="0123456789")
    content = (tmp_path / "a.zip").read_bytes().replace(b"012345", b"012x45")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError) as error:
        expand([tmp_path], _SUFFIXES)[0].read()
    assert str(error.value) == (
        f"{tmp_path}/a.zip:a.json is cut off or damaged (Bad CRC-32 for file 'a.json'); get it again"
    )


_CSV = b"session,item\n1,a\n1,b\n"


def test_visible_members_below_a_dot_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("./x.csv", _CSV)
        archive.writestr("./.hidden.csv", _CSV)
        archive.writestr("./__MACOSX/._x.csv", _CSV)
    assert [str(source) for source in expand([tmp_path / "x.zip"], (".csv",))] == [f"{tmp_path}/x.zip:./x.csv"]
    assert len(Table().read([tmp_path / "x.zip"], ReadSettings()).session) == 2


def _zip(name: str, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        archive.writestr(name, _CSV)
    return bytearray(content.getvalue())


def _tar(headers: dict[str, str], name: str = "x.csv") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in (tarfile.TarInfo(name), tarfile.TarInfo("y.csv")):
            entry.size, entry.pax_headers = len(_CSV), headers if entry.name == name else {}
            archive.addfile(entry, io.BytesIO(_CSV))
    return content.getvalue()


def _invalid_archives() -> dict[str, bytes]:
    lzma_, accents, nameless = _zip("x.csv", zipfile.ZIP_LZMA), _zip("éé.csv"), _zip("x.csv")
    lzma_[56:60] = b"\x7f\0\xff\x13"
    position = accents.rfind("éé.csv".encode())
    accents[position : position + 2] = b"\xff\xff"
    nameless[nameless.rfind(b"PK\x01\x02") + 46] = 0
    return {
        "lzma.zip": bytes(lzma_),
        "accents.zip": bytes(accents),
        "nameless.zip": bytes(nameless),
        "sparse.tar": _tar({"GNU.sparse.map": "abc"}),
        "sparse10.tar": _tar({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"}),
        "size.tar": _tar({"size": "-5"}),
        "text.tar": _tar({"size": "many"}),
    }


@pytest.mark.parametrize("name", _invalid_archives())
def test_invalid_archives_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(_invalid_archives()[name])
    with pytest.raises(DataError) as error:
        [source.read() for source in expand([tmp_path / name], (".csv",))]
    assert str(error.value).startswith(f"{tmp_path}/{name}")


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_files_with_names_of_5000_digits_are_read(tmp_path: Path, suffix: str) -> None:
    name = "1" * 5000 + ".csv"
    (tmp_path / f"d.{suffix}").write_bytes(_tar({}, name) if suffix == "tar" else _zip(name))
    assert expand([tmp_path / f"d.{suffix}"], (".csv",))[-1].read() == _CSV


def test_a_file_given_twice_is_refused(folder: Path) -> None:
    with pytest.raises(DataError) as error:
        expand([folder, folder / "sub" / "s.1.json"], _SUFFIXES)
    assert str(error.value) == f"{folder}/sub/s.1.json is given twice; give every file once"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "a.json is not readable; check its permissions"),
        (OSError(5, "Input/output error"), "a.json cannot be read (Input/output error)"),
    ],
)
def test_operating_system_errors_name_the_file(error: OSError, message: str) -> None:
    with pytest.raises(DataError) as raised, files.reading("a.json"):
        raise error
    assert str(raised.value) == message


# ---------------------------------------------------------------------------------------------- processes


def test_documents_beyond_the_size_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WHOLE", 1 << 20)
    path, plain = tmp_path / "bomb.json.gz", tmp_path / "plain.json"
    with gzip.open(path, "wb") as file:
        file.write(b"[" * (1 << 24))
    plain.write_bytes(b"[" * (1 << 21))
    (source,), (plain_source,) = expand([path], _SUFFIXES), expand([plain], _SUFFIXES)
    for limit, hint in ((None, "; unpack it"), (1 << 20, " under this memory budget; increase it")):
        with pytest.raises(DataError) as error:
            source.read(limit)
        assert str(error.value) == (
            f"{path} contains more than 1M unpacked, the limit for one document{hint}, or split it"
        )
    assert len(source.read(1 << 24)) == 1 << 24
    assert len(plain_source.read()) == 1 << 21
    with pytest.raises(DataError, match="contains more than 1M"):
        plain_source.read(1 << 20)


def test_readers_of_whole_documents_respect_the_memory_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write(b"[" * (1 << 20))
    memory = MemoryBudget(256 << 20, tmp_path / "memory")
    for reader in (Mpd(), Wsknn()):
        with pytest.raises(DataError, match=r"bomb.json.gz contains more than [0-9]+M unpacked, .* under this memory"):
            reader.read([path], ReadSettings(memory=memory))
