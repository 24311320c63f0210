"""Options of searches: filters of items, and search settings of an index."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from tests.cli.conftest import VECTORS, Run, succeed

LOG = "session,item\n" + "".join(f"{s},{i}\n" for s, items in enumerate(["abc", "abc", "abd", "de"]) for i in items)
FEATURES = "item,year,genre\na,1999,rock\nb,2001,pop\nc,2002,rock|live\nd,2003,pop\n"


@pytest.fixture
def counted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: sessions with features, their counts, and vectors in a flat index."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    Path("items.csv").write_text(FEATURES)
    succeed(run, "prepare", "table", "log.csv", "--item-features", "items.csv")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    succeed(run, "train", "svd", "--set", "dim=3", "--set", "min_count=1")
    succeed(run, "build-index", "--type", "flat")
    return tmp_path


def neighbours_in(out: str) -> list[str]:
    return [line.split("\t")[2] for line in out.splitlines()]


def test_similar_returns_allowed_items_only(run: Run, counted: Path) -> None:
    printed = succeed(run, "similar", "a", "--where", "year>=2001", "--model", "cooccurrence")
    assert printed.out == "a\t1\tb\t3.0000\t\na\t2\tc\t2.0000\t\na\t3\td\t1.0000\t\n"
    assert printed.err == "using model cooccurrence (models/cooccurrence)\n3 of 5 items are allowed\n"
    assert neighbours_in(succeed(run, "similar", "a", "--where", "genre=rock", "--model", "cooccurrence").out) == ["c"]
    assert neighbours_in(succeed(run, "similar", "a", "--where", "genre!=live", "--where", "year!=2001").out) == [
        "d",
        "e",
    ]
    for source in (("--index", "svd-flat"), ("--model", "svd")):
        unfiltered = neighbours_in(succeed(run, "similar", "a", *source).out)
        result = neighbours_in(succeed(run, "similar", "a", "--where", "genre=pop|live", *source).out)
        assert result == [item for item in unfiltered if item in "bcd"]


def test_only_and_exclude_read_lists_of_ids(run: Run, counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("few.txt").write_bytes(b"\xef\xbb\xbfc\r\n\r\nx\r\na\r\n")
    result = succeed(run, "similar", "a", "--only", "few.txt", "--model", "cooccurrence")
    assert neighbours_in(result.out) == ["c"]
    assert result.err.splitlines()[1:] == [
        "2 of 5 items are allowed",
        "1 of the 3 ids in few.txt are not among the items",
    ]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b\nd")))
    result = succeed(run, "similar", "a", "--exclude", "-", "--model", "cooccurrence")
    assert neighbours_in(result.out) == ["c"] and result.err.splitlines()[1:] == ["3 of 5 items are allowed"]


def test_recommend_returns_allowed_items_only(run: Run, counted: Path) -> None:
    succeed(run, "train", "ar")
    for model in ("ar", "svd", "cooccurrence"):
        unfiltered = [row[1] for row in succeed(run, "recommend", "a", "--model", model).rows]
        result = succeed(run, "recommend", "a", "--model", model, "--where", "genre=pop")
        assert [row[1] for row in result.rows] == [item for item in unfiltered if item in "bd"]
        assert result.err == f"using model {model} (models/{model})\n2 of 5 items are allowed\n"


def test_export_writes_allowed_items_only(run: Run, counted: Path) -> None:
    words = ("--model", "cooccurrence", "-n", 3)
    Path("gone.txt").write_text("a\n")
    result = succeed(run, "export", "some.txt", *words, "--where", "year>=2000", "--exclude", "gone.txt")
    assert Path("some.txt").read_text() == "a b c d\nb c d\nc b\nd b\ne d\n"
    assert result.err.splitlines()[1:] == ["3 of 5 items are allowed", "wrote 5 lines to some.txt"]
    succeed(run, "export", "some.txt", *words, "--exclude", "gone.txt", "--back-off")
    assert Path("some.txt").read_text() == "a b c d\nb c d e\nc b d e\nd b e c\ne d b c\n"
    Path("next.csv").write_text("session,item\n1,a\n2,d\n")
    query = ("--of", "recommendations", "--histories", "next.csv", "--model", "cooccurrence", "-n", 2)
    assert succeed(run, "export", "-", *query, "--where", "genre=pop").out == "1 b d\n2 b\n"
    neighbours = succeed(run, "export", "-", "-n", 2, "--index", "svd-flat", "--only", "gone.txt").out
    assert neighbours == "a\nb a\nc a\nd a\ne a\n"


def test_another_filter_exports_other_lists(run: Run, counted: Path) -> None:
    Path("gone.txt").write_text("a\n")
    plain = ("export", "x.jsonl", "-n", 3, "--shards", 2)
    succeed(run, *plain, "--exclude", "gone.txt")
    first = json.loads(Path("x.jsonl/manifest.json").read_text())
    Path("gone.txt").write_text("b\n")
    succeed(run, *plain, "--exclude", "gone.txt")
    assert json.loads(Path("x.jsonl/manifest.json").read_text()) != first


def test_attributes_are_read_from_a_table(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported vectors have no sessions with features."""
    monkeypatch.chdir(tmp_path)
    Path("compass.txt").write_text(VECTORS)
    Path("winds.csv").write_text("item,cold\nnorth,yes\nnorth-east,yes\nsouth,no\n")
    succeed(run, "vectors", "import", "compass.txt")
    succeed(run, "build-index", "--type", "flat")
    query = ("similar", "east", "--where", "cold=yes")
    assert neighbours_in(succeed(run, *query, "--attributes", "winds.csv").out) == ["north-east", "north"]
    assert run(*query).err.splitlines()[-1] == (
        "embedrec: the items have no features; name a table with --attributes, or prepare the sessions with "
        "--item-features"
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--where", "yeer>2"), 1, "no feature of items is called 'yeer'; did you mean 'year'?"),
        (("--where", "year>3000"), 1, "the filter allows none of the 5 items; relax its conditions"),
        (("--only", "none.txt"), 1, "no file none.txt; check the path"),
        (("--only", "bytes"), 1, "bytes is not UTF-8 ("),
        (
            ("--only", "-", "--exclude", "-"),
            2,
            "--only and --exclude cannot both read stdin; name a file for one of them",
        ),
        (("--attributes", "items.csv"), 2, "--attributes needs --where"),
    ],
)
def test_invalid_filters_are_refused(words: tuple[str, ...], code: int, message: str, run: Run, counted: Path) -> None:
    Path("bytes").write_bytes(b"\xff\xfe")
    for command in (("similar", "a"), ("recommend", "a", "--model", "svd"), ("export", "x.txt")):
        result = run(*command, *words)
        assert result.code == code and result.out == "" and message in result.err.splitlines()[-1]
    assert not Path("x.txt").exists()


def test_filters_are_refused_with_other_options(run: Run, counted: Path) -> None:
    for words, code, message in (
        (
            ("x.txt", "--where", "year>1", "--mutual"),
            1,
            "mutual needs the lists of all items, but a filter excludes some",
        ),
        (
            ("x.txt", "--where", "year>1", "--of", "sessions"),
            2,
            "--where, --only and --exclude filter items, not sessions; leave",
        ),
        (("x.vec", "--where", "year>1"), 2, "vectors are exported to a file"),
    ):
        result = run("export", *words)
        assert result.code == code and message in result.err.splitlines()[-1], result.err


def test_search_settings_change_one_search(run: Run, vectors_700: Embeddings) -> None:
    plain = ("--type", "fastscan", "--name", "few", "--nprobe", 1, "--rerank", 1)
    succeed(run, "build-index", *plain)
    assert load_index(artifacts.read(Path("indexes/few"))).settings == SearchSettings(nprobe=1, rerank=1)
    item = vectors_700.vocab.id(3)
    exact = succeed(run, "similar", item, "--model", "v").out
    assert succeed(run, "similar", item, "--index", "few").out != exact
    assert succeed(run, "similar", item, "--index", "few", "--nprobe", 17, "--rerank", 40).out == exact
    succeed(run, "export", "few.txt", "--index", "few", "-n", 10)
    succeed(run, "export", "all.txt", "--index", "few", "-n", 10, "--nprobe", 17, "--rerank", 60)
    succeed(run, "export", "exact.txt", "--model", "v", "-n", 10)
    assert Path("all.txt").read_bytes() == Path("exact.txt").read_bytes() != Path("few.txt").read_bytes()
    for command in (("similar", item), ("export", "x.txt")):
        result = run(*command, "--index", "few", "--ef-search", 9)
        message = "ef_search is a setting of HNSW indexes, but this index is IVF17,PQ4x4fsr; leave it out"
        assert (result.code, result.err.splitlines()[-1]) == (1, f"embedrec: {message}")
        result = run(*command, "--model", "v", "--rerank", 9)
        message = "rerank is a setting of indexes of compressed vectors, but v is a model; leave it out"
        assert (result.code, result.err.splitlines()[-1]) == (1, f"embedrec: {message}")
