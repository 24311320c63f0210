"""Files at URLs: paths, and reading them from a server of the S3 protocol as from a disk."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.data.sessions import sessionize
from embedrec.errors import DataError
from embedrec.readers.table import Table
from embedrec.storage.remote import RemotePath, input_path
from embedrec.tabular.globs import expand_glob
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand
from tests.data.plain import plain_of
from tests.storage.s3 import s3_server

CLICKS = "session,item,time\n" + "".join(
    f"{s},i{i},{1_700_000_000 + s * 100 + i}\n" for s in range(9) for i in range(s % 4 + 1)
)


def test_paths() -> None:
    assert input_path("clicks/a.csv") == Path("clicks/a.csv") == input_path(Path("clicks/a.csv"))
    assert input_path("file:///data/my%20clicks.csv") == Path("/data/my clicks.csv")
    path = input_path("s3a://logs/2026/a.csv.gz?region=eu-west-1")
    assert path == RemotePath("s3a", "logs", "2026/a.csv.gz", "?region=eu-west-1")
    assert str(path) == "s3a://logs/2026/a.csv.gz?region=eu-west-1" and input_path(path) is path
    assert (path.name, path.suffix) == ("a.csv.gz", ".gz")
    assert str(path.with_name("b.csv")) == "s3a://logs/2026/b.csv?region=eu-west-1"
    assert str(path.parent) == "s3a://logs/2026?region=eu-west-1"
    assert str(input_path("gs://logs/part-?.csv")) == "gs://logs/part-?.csv"  # a pattern, no options
    assert str(input_path("hdfs://ann@server:8020/a")) == "hdfs://ann@server:8020/a"
    assert str(input_path("abfss://container@account.dfs.core.windows.net/a/")).endswith("windows.net/a")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("http://h/a.csv", "http:// is not a scheme of files that can be read; use one of s3a://, gs://, hdfs://, "),
        ("s3://key:secret@logs/a.csv", "a URL of s3:// has a password, which would be printed and stored; give cred"),
    ],
)
def test_urls_that_cannot_be_read(given: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        expand([given], (".csv",))
    assert str(error.value).startswith(message) and "key:secret" not in str(error.value)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bucket as a folder: tables of the same clicks in all formats, and hidden files."""
    root = tmp_path_factory.mktemp("bucket")
    for name in ("days/2026-01-01", "days/2026-01-02/late", ".hidden"):
        (root / name).mkdir(parents=True)
    lines = CLICKS.splitlines(keepends=True)
    (root / "days/2026-01-01/a.csv").write_text("".join(lines[:12]))
    (root / "days/2026-01-02/a.csv").write_text(lines[0] + "".join(lines[12:16]))
    (root / "days/2026-01-02/late/b.csv").write_text(lines[0] + "".join(lines[16:]))
    (root / "days/2026-01-02/._b.csv").write_text("x")
    (root / ".hidden/c.csv").write_text("x")
    (root / "all.csv.gz").write_bytes(gzip.compress(CLICKS.encode()))
    with zipfile.ZipFile(root / "all.zip", "w") as archive:
        archive.writestr("in/all.csv", CLICKS)
    for name, mode in (("all.tar", "w"), ("all.tar.gz", "w:gz")):
        with tarfile.open(root / name, mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo("all.csv")
            member.size = len(CLICKS)
            tar.addfile(member, io.BytesIO(CLICKS.encode()))
    rows = [line.strip().split(",") for line in lines[1:]]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("session", "item", "time"))}
    pq.write_table(pa.table({**columns, "time": [int(t) for t in columns["time"]]}), root / "all.parquet")
    return root


@pytest.fixture(scope="module")
def options(disk: Path) -> Iterator[str]:
    """The options of a URL of the bucket "logs", which has the files of the folder."""
    files = [path for path in disk.rglob("*") if path.is_file()]
    objects = {f"logs/{path.relative_to(disk).as_posix()}": path.read_bytes() for path in files}
    with s3_server(objects) as options, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield options


@pytest.mark.parametrize("pattern", ["days", "days/*/a.csv", "days/**/*.csv", "days/2026-01-02/**", "d*/*-01"])
def test_folders_and_patterns_find_the_files_of_a_disk(disk: Path, options: str, pattern: str) -> None:
    there = expand([f"s3a://logs/{pattern}{options}"], (".csv",))
    here = expand([disk / pattern], (".csv",))
    assert [s.path.place for s in there if isinstance(s.path, RemotePath)] == [
        Path(source.path).relative_to(disk).as_posix()  # type: ignore[arg-type]
        for source in here
    ]
    assert [(source.size, source.unpacked) for source in there] == [(s.size, s.unpacked) for s in here]
    if "*" in pattern:
        found = input_path(f"s3a://logs/{pattern}{options}")
        assert isinstance(found, RemotePath)
        assert sorted(path.place for path in found.glob()) == sorted(
            path.relative_to(disk).as_posix()
            for path in expand_glob(str(disk / pattern))
            if path != disk / "days/2026-01-02"
        )


@pytest.mark.parametrize("name", ["days", "all.csv.gz", "all.zip", "all.tar", "all.tar.gz", "all.parquet"])
def test_events_are_those_of_files_on_a_disk(disk: Path, options: str, name: str) -> None:
    there = sessionize(Table().read([f"s3a://logs/{name}{options}"], ReadSettings()))
    assert plain_of(there) == plain_of(sessionize(Table().read([disk / name], ReadSettings())))


def test_errors_are_one_sentence(options: str) -> None:
    for place, message in (
        ("secret/a.csv", "s3a://secret/a.csv? may not be read (When "),
        ("logs/all.csv", "there is no file or folder s3a://logs/all.csv?; did you mean 'all.csv.gz'?"),
        ("logs/none", "there is no file or folder s3a://logs/none?; check the path"),
        ("logs/days/*.txt", "no data file matches s3a://logs/days/*.txt?; looked for .csv"),
    ):
        with pytest.raises(DataError) as error:
            expand([f"s3a://{place}{options}"], (".csv",))
        assert str(error.value).replace(options, "?").startswith(message)
        assert "\n" not in str(error.value)


def test_executors_open_the_same_file(options: str) -> None:
    source = expand([f"s3a://logs/days/2026-01-01/a.csv{options}"], (".csv",))[0]
    again = pickle.loads(pickle.dumps(source))
    assert again == source and again.first_line(100) == b"session,item,time\n"
