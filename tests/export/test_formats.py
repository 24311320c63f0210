"""Every format against a slow twin that joins Python's strings; files, shards, packing, threads."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec.export.result_lists as answers_module
from embedrec.data import Vocab
from embedrec.data.topk import TopK
from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.export.file_format import Layout, layout_of
from embedrec.export.files import MANIFEST, read_manifest
from embedrec.export.policies.settings import Policies
from embedrec.export.result_lists import ResultLists
from embedrec.export.write_lists import ExportSettings, export_lists, stream_lists
from tests.export.lists import answers_of, material_of, plain, some_lists

NAMES = ("l.txt", "l.tsv", "l.jsonl", "l.redis")


def exported(answers: ResultLists, layout: Layout, k: int = 5, **options: object) -> bytes:
    out = io.BytesIO()
    wanted = ExportSettings(k, layout=layout)
    done = stream_lists(out, answers, wanted, material_of(answers.vocab), **options)  # type: ignore[arg-type]
    assert done.lists == len(answers)
    return out.getvalue()


def slow(kind: str, answers: ResultLists, found: TopK) -> str:
    """The obvious twin."""
    ids, lines = [str(i) for i in answers.vocab.ids], []
    for seed, results in enumerate(plain(found)):
        if kind == "text":
            lines.append(" ".join([ids[seed], *(ids[row] for row, _ in results)]) + "\n")
        elif kind == "tsv":
            for rank, (row, score) in enumerate(results, 1):
                cells = [escaped(ids[seed]), str(rank), escaped(ids[row]), short(score)]
                lines.append("\t".join(cells) + "\n")
        elif kind == "jsonl":
            inner = ", ".join(f'{{"id": {quoted(answers, row)}, "score": {short(score)}}}' for row, score in results)
            lines.append(f'{{"item": {quoted(answers, seed)}, "similar": [{inner}]}}\n')
        else:
            key = "similar:" + ids[seed]
            commands = [["MULTI"], ["DEL", key]]
            commands += [["RPUSH", key, *(ids[row] for row, _ in results)]] if results else []
            for command in [*commands, ["EXEC"]]:
                words = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                lines.append(f"*{len(command)}\r\n{words}")
    return "".join(lines)


def escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def quoted(answers: ResultLists, row: int) -> str:
    return json.dumps(answers.vocab.id(row), ensure_ascii=False)


def short(score: float) -> str:
    return str(pa.array([score], pa.float32()).cast(pa.string())[0])


@pytest.mark.parametrize("kind", ["text", "tsv", "jsonl", "redis"])
@pytest.mark.parametrize("ids", ["texts", "numbers"])
def test_against_a_slow_twin(kind: str, ids: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = some_lists(50, 5)
    vocab = Vocab([f"ï{row * 7}:" + "x" * (row % 5) for row in range(50)] if ids == "texts" else np.arange(-9, 41) ** 7)
    answers = answers_of(found, vocab)
    assert exported(answers, Layout(kind)).decode() == slow(kind, answers, found)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=6, max_size=6, unique=True))
def test_any_ids(ids: list[str]) -> None:
    found = some_lists(6, 5, full=1)
    answers = answers_of(found, Vocab(ids))
    for kind in ("tsv", "jsonl", "redis"):
        assert exported(answers, Layout(kind)).decode() == slow(kind, answers, found)
    lines = exported(answers, Layout("jsonl")).decode().split("\n")[:-1]
    assert [json.loads(line)["item"] for line in lines] == ids


def test_the_very_bytes() -> None:
    found = TopK(
        np.array([[1, 2], [2, -1], [-1, -1]]), [[0.5, 1e-5], [3, -np.inf], [-np.inf] * 2], Vocab(["a", "b\t", "ç"])
    )
    answers = answers_of(found)
    assert exported(answers, Layout("tsv")) == b"a\t1\tb\\t\t0.5\na\t2\t\xc3\xa7\t0.00001\nb\\t\t1\t\xc3\xa7\t3\n"
    assert exported(answers, Layout("jsonl")).decode() == (
        '{"item": "a", "similar": [{"id": "b\\t", "score": 0.5}, {"id": "ç", "score": 0.00001}]}\n'
        '{"item": "b\\t", "similar": [{"id": "ç", "score": 3}]}\n'
        '{"item": "ç", "similar": []}\n'
    )
    assert (
        exported(answers, Layout("redis", prefix="s/"))[-82:]
        == (
            b"*3\r\n$5\r\nRPUSH\r\n$4\r\ns/b\t\r\n$2\r\n\xc3\xa7\r\n*1\r\n$4\r\nEXEC\r\n"
            b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$4\r\ns/\xc3\xa7\r\n*1\r\n$4\r\nEXEC\r\n"
        )[-82:]
    )


def test_scores_come_back() -> None:
    rng = np.random.default_rng(0)
    scores = -np.sort(-(rng.normal(size=(30, 5)) * 10.0 ** rng.integers(-30, 30, (30, 5))).astype(np.float32), axis=1)
    answers = answers_of(TopK(some_lists(30, 5, full=1).rows, scores, Vocab(np.arange(30))))
    lines = exported(answers, Layout("tsv")).decode().splitlines()
    assert np.array_equal(np.array([line.split("\t")[3] for line in lines], dtype=np.float32), scores.ravel())


def test_parquet(tmp_path: Path) -> None:
    found = some_lists(40, 4)
    export_lists(
        tmp_path / "l.parquet",
        answers_of(found),
        ExportSettings(4, layout=Layout("parquet")),
        material_of(found.vocab),
        {},
    )
    table = pq.ParquetFile(tmp_path / "l.parquet").read()
    assert table.column_names == ["item", "rank", "similar", "score"]
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (f"i{seed}", rank, f"i{row}", score)
        for seed, results in enumerate(plain(found))
        for rank, (row, score) in enumerate(results, 1)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_from_any_threads_and_shards(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "BLOCK", 7)
    found = some_lists(50, 5)
    answers, contents = answers_of(found), set()
    for threads, shards in ((1, None), (3, None), (1, 1), (2, 4), (2, 50)):
        target, layout = tmp_path / f"{threads}{shards}" / name, layout_of(name, shards=shards)
        wanted = ExportSettings(4, Policies(min_score=-0.5), layout=layout)
        export_lists(target, answers, wanted, material_of(found.vocab), {}, threads=threads)
        parts = [target] if shards is None else sorted(target.glob("part-*"))
        assert len(parts) == (shards or 1)
        contents.add(b"".join(part.read_bytes() for part in parts))
    assert len(contents) == 1


@pytest.mark.parametrize("name", [*NAMES, "l.txt.gz", "l.tsv.zst", "l.parquet"])
def test_shards_have_a_manifest(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "BLOCK", 7)
    found = some_lists(50, 5)
    folder, layout = tmp_path / "out", layout_of(name, shards=3)
    for _ in range(2):  # an earlier export is replaced
        about = {"of": "items"}
        export_lists(folder, answers_of(found), ExportSettings(5, layout=layout), material_of(found.vocab), about)
    manifest = read_manifest(folder)
    assert [file["lists"] for file in manifest["files"].values()] == [16, 17, 17]
    assert {file.name for file in folder.iterdir()} == {MANIFEST, *manifest["files"]}
    assert (manifest["lists"], manifest["results"], manifest["k"], manifest["of"]) == (
        50,
        int((found.rows >= 0).sum()),
        5,
        "items",
    )
    assert manifest["policies"] == {}
    assert not list(tmp_path.glob(".*"))
    (folder / "mine.txt").touch()
    with pytest.raises(ArtifactError, match="holds other files and no export; move it"):
        export_lists(folder, answers_of(found), ExportSettings(5, layout=layout), material_of(found.vocab), {})


def test_packing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "BLOCK", 7)
    answers = answers_of(some_lists(50, 5))
    plain_bytes = exported(answers, layout_of("l.tsv"))
    assert gzip.decompress(exported(answers, layout_of("l.tsv.gz"))) == plain_bytes
    packed = exported(answers, layout_of("x", "tsv.zst"))
    assert pa.CompressedInputStream(pa.py_buffer(packed), "zstd").read() == plain_bytes


def test_an_item_alone_and_nothing_at_all() -> None:
    nothing = TopK(np.empty((1, 0)), np.empty((1, 0)), Vocab(["alone"]))
    assert exported(answers_of(nothing), Layout("text")) == b"alone\n"
    assert exported(answers_of(nothing), Layout("tsv")) == b""
    assert exported(answers_of(nothing), Layout("jsonl")) == b'{"item": "alone", "similar": []}\n'
    empty = TopK(np.empty((0, 0)), np.empty((0, 0)), Vocab([]))
    for kind in ("text", "tsv", "jsonl", "redis"):
        assert exported(answers_of(empty), Layout(kind)) == b""


@pytest.mark.parametrize(
    ("name", "given", "kind", "packing"),
    [
        ("a.txt", None, "text", ""),
        ("a", None, "text", ""),
        ("a.b.tsv.gz", None, "tsv", "gz"),
        ("a.ndjson.zst", None, "jsonl", "zst"),
        ("a.gz", None, "text", "gz"),
        ("a.TSV", None, "tsv", ""),
        ("a.csv", "tsv", "tsv", ""),
        ("a.csv.gz", None, "csv", "gz"),
        ("a.vec", None, "word2vec", ""),
        ("a.txt", "jsonl.gz", "jsonl", "gz"),
        ("-", "redis", "redis", ""),
    ],
)
def test_layout_of(name: str, given: str | None, kind: str, packing: str) -> None:
    assert layout_of(name, given) == Layout(kind, packing)  # type: ignore[arg-type]


def test_layouts_that_are_none() -> None:
    for name, form, shards, says in (
        ("a", "jsnl", None, "unknown format 'jsnl'; did you mean 'jsonl'"),
        ("a.parquet.gz", None, None, "parquet files cannot be compressed; leave out .gz"),
        ("a.vec", None, 2, "word2vec is a single file of vectors; leave out --shards"),
        ("a.json", None, None, "a.json: .json is no export format; use one of .txt .tsv .csv .jsonl .ndjson .redis"),
        ("a.tsv.bz2", None, None, "a.tsv.bz2: .bz2 is no export format; use one of"),
        ("a", None, 0, "shards must be at least 1; it is 0"),
    ):
        with pytest.raises(SettingsError, match=says):
            layout_of(name, form, shards=shards)
    with pytest.raises(SettingsError, match="candidates must be at least k = 20; it is 5"):
        ExportSettings(candidates=5, policies=Policies(mutual=True))
    with pytest.raises(SettingsError, match="candidates need a policy that selects from them"):
        ExportSettings(candidates=50)


def test_ids_that_are_no_unicode(tmp_path: Path) -> None:
    answers = answers_of(some_lists(3, 2, full=1), Vocab(["a", "b\udc80", "c"]))
    for name in ("l.tsv", "l.redis", "l.jsonl", "l.parquet"):
        with pytest.raises(DataError, match="is not valid Unicode; repair it"):
            export_lists(
                tmp_path / name, answers, ExportSettings(2, layout=layout_of(name)), material_of(answers.vocab), {}
            )
    assert not list(tmp_path.iterdir())


def named(ids: object, *, some: bool = True) -> Vocab:
    vocab = Vocab(ids)  # type: ignore[arg-type]
    return Vocab(vocab.ids, np.array([f'"{i}", the\n{i}th' if some else "" for i in vocab.ids], dtype=object))


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("ids", [["a", 'b "c"', "d,e", "f\ng", "", "rank"], [1, -2, 30, 4, 5, 6]])
def test_csv_is_what_a_reader_of_csv_takes(ids: object, names: bool) -> None:
    found, vocab = some_lists(6, 5), named(ids)
    answers = answers_of(found, vocab)
    head, *rows = csv.reader(
        io.StringIO(exported(answers, Layout("csv", names=names)).decode(), newline=""), strict=True
    )
    assert head == ["item", "rank", "similar", "score", *(["item_name", "similar_name"] if names else [])]
    label = {str(vocab.id(row)): vocab.name(row) for row in range(6)}
    assert rows == [
        [str(vocab.id(seed)), str(rank), str(vocab.id(row)), short(score)]
        + ([label[str(vocab.id(seed))], label[str(vocab.id(row))]] if names else [])
        for seed, results in enumerate(plain(found))
        for rank, (row, score) in enumerate(results, 1)
    ]


def test_the_very_bytes_of_headers_and_names() -> None:
    vocab = Vocab(["a", "b", "c"], np.array(["A\t1", "", 'C "3"'], dtype=object))
    answers = answers_of(TopK(np.array([[1, 2], [2, -1], [-1, -1]]), [[0.5, 0.25], [3, -np.inf], [-np.inf] * 2], vocab))
    head = "item\trank\tsimilar\tscore"
    assert (
        exported(answers, Layout("tsv", header=True)).decode() == head + "\na\t1\tb\t0.5\na\t2\tc\t0.25\nb\t1\tc\t3\n"
    )
    assert exported(answers, Layout("tsv", names=True)).decode().splitlines() == [
        "a\t1\tb\t0.5\tA\\t1\t",
        'a\t2\tc\t0.25\tA\\t1\tC "3"',
        'b\t1\tc\t3\t\tC "3"',
    ]
    assert exported(answers, Layout("csv", header=False)).decode() == "a,1,b,0.5\na,2,c,0.25\nb,1,c,3\n"
    lines = exported(answers, Layout("jsonl", names=True)).decode().splitlines()
    assert lines[1] == '{"item": "b", "name": "", "similar": [{"id": "c", "name": "C \\"3\\"", "score": 3}]}'
    assert [json.loads(line)["name"] for line in lines] == ["A\t1", "", 'C "3"']
    histories = ResultLists(Vocab(["u", "v", "w"]), vocab, answers.best, 2, ("history", "item"))
    assert exported(histories, Layout("csv", names=True)).decode().splitlines()[:2] == [
        "history,rank,item,score,item_name",
        "u,1,b,0.5,",
    ]


def test_parquet_with_names(tmp_path: Path) -> None:
    found = some_lists(40, 4)
    vocab = named(found.vocab.ids)
    wanted = ExportSettings(4, layout=Layout("parquet", names=True))
    export_lists(tmp_path / "l.parquet", answers_of(found, vocab), wanted, material_of(vocab), {})
    rows = pq.ParquetFile(tmp_path / "l.parquet").read().to_pylist()
    label = dict(zip(vocab.ids.tolist(), (vocab.names if vocab.names is not None else vocab.ids).tolist(), strict=True))
    assert rows and all(row["item_name"] == label[row["item"]] for row in rows)
    assert all(row["similar_name"] == label[row["similar"]] for row in rows)


def test_every_shard_has_the_header(tmp_path: Path) -> None:
    found = some_lists(50, 5)
    layout = layout_of("l.csv.gz", shards=3)
    export_lists(tmp_path / "l", answers_of(found), ExportSettings(5, layout=layout), material_of(found.vocab), {})
    parts = [
        gzip.decompress(part.read_bytes()).decode().splitlines() for part in sorted((tmp_path / "l").glob("part-*"))
    ]
    assert {part[0] for part in parts} == {"item,rank,similar,score"} and len(parts) == 3
    assert sum(len(part) - 1 for part in parts) == int((found.rows >= 0).sum())


def test_headers_and_names_where_there_is_no_place(tmp_path: Path) -> None:
    for layout, says in (
        ({"kind": "text", "header": True}, "text has no header line; leave out --header, or use csv or tsv"),
        ({"kind": "parquet", "header": True}, "parquet has no header line"),
        (
            {"kind": "redis", "names": True},
            "redis cannot hold names; leave out --names, or use one of tsv, csv, js",
        ),
        ({"kind": "word2vec", "names": True}, "word2vec cannot hold names"),
    ):
        with pytest.raises(SettingsError, match=says):
            Layout(**layout)  # type: ignore[arg-type]
    assert not Layout("text", header=False).has_header and not Layout("parquet", header=False).has_header
    found = some_lists(3, 2)
    with pytest.raises(DataError, match="these items have no names; leave out --names"):
        wanted = ExportSettings(2, layout=Layout("csv", names=True))
        export_lists(tmp_path / "x.csv", answers_of(found), wanted, material_of(found.vocab), {})
    assert not list(tmp_path.iterdir())
