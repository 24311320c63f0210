"""`embedrec export`: formats, shards, policies, sessions and recommendations, and resuming."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed

RAW = "a b c\nb a c\nc a b\nd a b\ne d\n"


def test_every_format_is_written(run: Run, counted: Path) -> None:
    using = "using model cooccurrence (models/cooccurrence)\n"
    assert succeed(run, "export", "l.tsv", "-n", 2).err == f"{using}wrote 5 lists to l.tsv\n"
    tsv = "a\t1\tb\t3\na\t2\tc\t2\nb\t1\ta\t3\nb\t2\tc\t2\nc\t1\ta\t2\nc\t2\tb\t2\nd\t1\ta\t1\nd\t2\tb\t1\ne\t1\td\t1\n"
    assert Path("l.tsv").read_text() == tsv
    assert succeed(run, "export", "-", "-n", 2, "--format", "tsv").out == tsv
    assert succeed(run, "export", "l.jsonl.gz", "-n", 1).err == f"{using}wrote 5 lines to l.jsonl.gz\n"
    lines = gzip.decompress(Path("l.jsonl.gz").read_bytes()).splitlines()
    assert lines[0] == b'{"item": "a", "similar": [{"id": "b", "score": 3}]}'
    redis = succeed(run, "export", "-", "-n", 1, "--format", "redis", "--prefix", "x:").out
    assert redis.startswith(
        "*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$3\r\nx:a\r\n*3\r\n$5\r\nRPUSH\r\n$3\r\nx:a\r\n$1\r\nb\r\n"
    )
    succeed(run, "export", "l.parquet", "-n", 2)
    succeed(run, "export", "l.txt", "-n", 2)
    assert succeed(run, "diff", "l.parquet", "l.txt", "--json", "--worst", 0).out == (
        '{"lists": [5, 5], "lists in both": 5, "lists lost": 0, "lists gained": 0, "results": [9, 9], '
        '"items listed": [4, 4], "items lost": 0, "items gained": 0, "lists unchanged": 5, "overlap@2": 1.0, '
        '"rank-biased overlap": 1.0, "worst": []}\n'
    )


def test_shards_have_a_manifest(run: Run, counted: Path) -> None:
    for _ in range(2):
        result = succeed(run, "export", "out/", "-n", 2, "--shards", 2)
        assert result.err.splitlines()[-1] == "wrote 5 lists to out/ (2 shards)"
    assert Path("out/part-00000.txt").read_text() + Path("out/part-00001.txt").read_text() == RAW
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert (manifest["of"], manifest["lists"], manifest["results"]) == ("items", 5, 9)
    assert manifest["sources"][0]["name"] == "cooccurrence"
    assert list(manifest["files"]["part-00000.txt"]) == ["lists", "results", "bytes", "sha256"]


def test_the_manifest_records_the_recall_of_an_index(run: Run, compass: Path) -> None:
    succeed(run, "export", compass / "out", "--shards", 2, "--format", "jsonl.zst", "--workspace", compass)
    (source,) = json.loads((compass / "out" / "manifest.json").read_text())["sources"]
    assert (source["kind"], source["spec"], source["facts"]["recall@20"]) == ("index", "Flat", 1.0)


def test_vectors_are_exported(run: Run, compass: Path) -> None:
    workspace = ("--workspace", compass)
    assert (
        succeed(run, "export", compass / "v.vec", *workspace).err.splitlines()[-1]
        == f"wrote 6 vectors to {compass / 'v.vec'}"
    )
    assert (compass / "v.vec").read_text().splitlines()[:2] == ["6 2", "north 0 1"]
    succeed(run, "export", compass / "v.bin", *workspace)
    assert (compass / "v.bin").read_bytes().startswith(b"6 2\nnorth ")


def test_policies_change_lists_and_are_summarised(run: Run, counted: Path) -> None:
    Path("artists.csv").write_text("item,artist\na,X\nb,X\nc,Y\nd,Y\n")
    result = succeed(
        run,
        "export",
        "l.txt",
        "-n",
        2,
        "--min-score",
        2,
        "--cap",
        "artist=1",
        "--attributes",
        "artists.csv",
        "--back-off",
    )
    assert result.err.splitlines() == [
        "using model cooccurrence (models/cooccurrence)",
        "policies: min-score 2, cap artist=1, back-off",
        "before: coverage 0.8000, Gini 0.3556, 1 lists with fewer than 2 results",
        "after: coverage 1.0000, Gini 0.2800, 0 lists with fewer than 2 results",
        "overlap@2 0.7000",
        "wrote 5 lines to l.txt",
    ]
    assert Path("l.txt").read_text() == "a b c\nb a c\nc a d\nd e a\ne d a\n"


def test_neighbours_of_sessions_are_exported(run: Run, counted: Path) -> None:
    succeed(run, "train", "sknn")
    result = succeed(run, "export", "l.tsv", "--of", "sessions", "-n", 1, "--model", "sknn")
    assert result.err.splitlines()[-1] == "wrote 4 lists to l.tsv"
    rows = [line.split("\t")[:3] for line in Path("l.tsv").read_text().splitlines()]
    assert rows == [["0", "1", "1"], ["1", "1", "0"], ["2", "1", "1"], ["3", "1", "2"]]


def test_recommendations_for_histories_are_exported(run: Run, counted: Path) -> None:
    Path("carts.csv").write_text("session,item\nx,a\nx,b\ny,e\nz,unknown\n")
    words = ("export", "-", "--of", "recommendations", "--histories", "carts.csv", "--format", "jsonl", "-n", 2)
    lines = [json.loads(line) for line in succeed(run, *words).out.splitlines()]
    assert [list(line) for line in lines] == [["history", "item"]] * 3
    assert [[result["id"] for result in line["item"]] for line in lines] == [["c", "d"], ["d"], []]
    printed = succeed(run, *words, "--back-off")
    assert [[r["id"] for r in json.loads(line)["item"]] for line in printed.out.splitlines()] == [
        ["c", "d"],
        ["d", "a"],
        ["a", "b"],
    ]
    assert printed.err.splitlines()[1:3] == [
        "1 of 4 events of the histories have items unknown to the model; 1 of 3 histories contain no known item",
        "policies: back-off",
    ]
    with_seen = [json.loads(line) for line in succeed(run, *words, "--seen").out.splitlines()]
    assert {result["id"] for result in with_seen[0]["item"]} == {"a", "c"}


def test_ids_of_histories_have_the_type_of_the_model(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One id that is not a number makes the whole column of the histories text."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("session,item\n1,1\n1,2\n2,1\n2,2\n3,2\n3,3\n")
    succeed(run, "prepare", "table", "log.csv")
    succeed(run, "train", "ar")
    plain, mixed = "session,item\nx,1\ny,2\n", "session,item\nx,1\ny,2\nz,2x\n"
    messages = []
    for rows in (plain, mixed, "session,item\nx,a\n"):
        Path("carts.csv").write_text(rows)
        messages.append(run("export", "-", "--of", "recommendations", "--histories", "carts.csv", "--format", "jsonl"))
    assert [json.loads(line)["item"][0]["id"] for line in messages[0].out.splitlines()] == [2, 1]
    assert messages[1].out.splitlines()[:2] == messages[0].out.splitlines()
    assert "1 of 3 events of the histories have items unknown to the model; 1 of 3" in messages[1].err
    assert (messages[2].code, messages[2].out) == (1, "")
    assert "carts.csv contains no item that model ar knows; check its column of items" in messages[2].err


def test_folders_are_refused_before_the_search(run: Run, compass: Path) -> None:
    (compass / "there").mkdir()
    result = run("export", compass / "there", "--workspace", compass)
    assert (
        result.code == 1 and "there is a folder, but lists go into one file; name a file, or add --shards" in result.err
    )
    result = run("export", f"{compass}/new/", "--workspace", compass)
    assert (
        result.code == 2
        and "is a folder, but lists are written to one file; name a file, or add --shards" in result.err
    )
    assert not (compass / "new").exists()


def test_a_killed_export_is_resumed(run: Run, compass: Path) -> None:
    """The process is killed when all lists are computed and none is written."""
    workspace = ["--workspace", str(compass)]
    target = compass / "l.txt"
    succeed(run, "export", target, *workspace)
    expected = target.read_bytes()
    target.write_bytes(b"the old one")
    script = (
        "import os, signal\n"
        "import embedrec.export.write_lists as export\n"
        "export.write_file = lambda *a, **b: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from embedrec.cli.main import main; main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, "export", str(target), *workspace], capture_output=True, check=False
    )
    assert process.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"the old one"
    assert (compass / ".l.txt.work").is_dir()
    result = succeed(run, "export", target, "-n", 2, "--resume", *workspace)
    assert "another source or other settings; it starts again" in result.err
    subprocess.run([sys.executable, "-c", script, "export", str(target), *workspace], capture_output=True, check=False)
    result = succeed(run, "export", target, "--resume", *workspace)
    assert result.err.splitlines()[1] == "resumed after 6 of 6 lists"
    assert target.read_bytes() == expected
    assert not list(compass.glob(".l.txt*"))


def test_invalid_options_are_refused(run: Run, counted: Path) -> None:
    for words, code, message in (
        (("-", "--shards", 2), 2, "stdout cannot be sharded or resumed; leave out --shards and --resume"),
        (
            ("x", "--of", "recommendations"),
            2,
            "--of recommendations and --histories FILE need each other; give both or neither",
        ),
        (("x", "--seen"), 2, "--seen needs --of recommendations; leave it out"),
        (("x", "--attributes", "log.csv"), 2, "--attributes needs --where or --cap; leave it out"),
        (("x", "--cap", "artist"), 2, "--cap must be ATTRIBUTE=N, such as artist=2, not 'artist'"),
        (
            ("x", "--cap", f"artist={'9' * 5000}"),
            2,
            f"--cap must be ATTRIBUTE=N, such as artist=2, not 'artist={'9' * 73}… (5,007 characters)'",
        ),
        (("x", "--of", "sessions", "--cap", "a=2"), 1, "--cap cannot be used with --of sessions; leave it out"),
        (
            ("x", "--candidates", 50),
            1,
            "candidates need a policy that selects from them; add a policy or leave them out",
        ),
        (
            ("x.vec", "--mutual"),
            2,
            "vectors are exported to a file, without policies, filters or --resume; leave these options out",
        ),
        (("x.vec",), 1, "model cooccurrence has no vectors; export its lists, or name another model"),
        (("x", "--cap", "a=2", "--attributes", "none.csv"), 1, "no file none.csv; check the path"),
        (("x", "--format", "tvs"), 1, "unknown format 'tvs'; did you mean 'tsv'?"),
        (
            ("x", "--cap", "artist=2"),
            1,
            "the items have no features; name a table with --attributes, or prepare the sessions with --item-features",
        ),
    ):
        result = run("export", *words)
        assert (result.code, result.out) == (code, "")
        assert result.err.splitlines()[-1].removeprefix("embedrec: ").removeprefix("Error: ") == message
    assert not Path("x").exists()
    assert not list(counted.glob(".x*"))


def test_headers_and_names_are_written_where_the_format_has_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text('session,item,title\n1,a,"The ""A"""\n1,b,"B, or not"\n2,a,x\n2,c,C\n')
    succeed(run, "prepare", "table", "log.csv", "--title", "title")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    succeed(run, "export", "similar.csv", "--names")
    assert Path("similar.csv").read_text().splitlines()[:3] == [
        "item,rank,similar,score,item_name,similar_name",
        'a,1,b,1,"The ""A""","B, or not"',
        'a,2,c,1,"The ""A""",C',
    ]
    assert (
        succeed(run, "export", "-", "--format", "tsv", "--header").out.splitlines()[0] == "item\trank\tsimilar\tscore"
    )
    assert succeed(run, "export", "-", "--format", "csv", "--no-header").out.splitlines()[0] == "a,1,b,1"
    succeed(run, "export", "plain.txt")
    figures = {row[0]: row[1] for row in succeed(run, "diff", "plain.txt", "similar.csv", "-n", 2).rows}
    assert figures["overlap@2"] == "1.0000"
    for words, message in (
        (("x.txt", "--header"), "text has no header line"),
        (("x.txt", "--names"), "text cannot contain names"),
        (("x.vec", "--names"), "word2vec cannot contain names"),
    ):
        result = run("export", *words)
        assert result.code == 1 and message in result.err and not Path(words[0]).exists()


def test_lists_of_counts_are_exported(run: Run, counted: Path) -> None:
    result = succeed(run, "export", "similar.txt", "-n", 2)
    assert Path("similar.txt").read_bytes() == b"a b c\nb a c\nc a b\nd a b\ne d\n"
    assert result.err == "using model cooccurrence (models/cooccurrence)\nwrote 5 lines to similar.txt\n"
    succeed(run, "train", "cooccurrence", "--set", "measure=raw", "--set", "threshold=2", "--name", "often")
    assert succeed(run, "export", "-", "-n", 9, "--model", "often").out == "a b c\nb a c\nc a b\nd\ne\n"


def test_lists_of_vectors_are_exported(run: Run, compass: Path) -> None:
    succeed(run, "export", compass / "out.txt", "-n", 2, "--workspace", compass)
    assert (compass / "out.txt").read_bytes() == (
        b"north north-east east\n"
        b"north-east north east\n"
        b"east south-east north-east\n"
        b"south-east east south\n"
        b"south south-east east\n"
        b"west north south\n"
    )


def test_each_policy_changes_lists(run: Run, counted: Path) -> None:
    out = succeed(run, "export", "-", "-n", 2, "--min-evidence", 2, "--model", "cooccurrence").out
    assert out == "a b c\nb a c\nc a b\nd\ne\n"
    assert succeed(run, "export", "-", "-n", 2, "--discount", 1).out == "a b c\nb a c\nc a b\nd e a\ne d\n"
    assert succeed(run, "export", "-", "-n", 1, "--mutual", "--candidates", 1).out == "a b\nb a\nc\nd\ne\n"
    assert succeed(run, "export", "-", "-n", 2, "--csls", 1, "--mmr", 0.2).out.count("\n") == 5
