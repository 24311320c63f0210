"""Exported bytes against slow references, in every text format."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab, result_lists
from embedrec.data.result_lists import ResultLists
from embedrec.data.topk import TopK
from embedrec.export.file_format import Layout, layout_of
from embedrec.export.write_lists import ExportSettings, stream_lists
from tests.export.lists import as_lists, inputs_of, lists_of, some_lists, vocab_with_names


def exported(answers: ResultLists, layout: Layout, k: int = 5, **options: object) -> bytes:
    out = io.BytesIO()
    settings = ExportSettings(k, layout=layout)
    done = stream_lists(out, answers, settings, inputs_of(answers.vocab), **options)  # type: ignore[arg-type]
    assert done.lists == len(answers)
    return out.getvalue()


def slow(kind: str, answers: ResultLists, result: TopK) -> str:
    """Slow reference of the bytes."""
    ids, lines = [str(i) for i in answers.vocab.ids], []
    for seed, results in enumerate(as_lists(result)):
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
def test_bytes_equal_a_slow_reference(kind: str, ids: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = some_lists(50, 5)
    vocab = Vocab([f"ï{row * 7}:" + "x" * (row % 5) for row in range(50)] if ids == "texts" else np.arange(-9, 41) ** 7)
    answers = lists_of(result, vocab)
    assert exported(answers, Layout(kind)).decode() == slow(kind, answers, result)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=6, max_size=6, unique=True))
def test_bytes_of_any_ids_equal_a_slow_reference(ids: list[str]) -> None:
    result = some_lists(6, 5, full=1)
    answers = lists_of(result, Vocab(ids))
    for kind in ("tsv", "jsonl", "redis"):
        assert exported(answers, Layout(kind)).decode() == slow(kind, answers, result)
    lines = exported(answers, Layout("jsonl")).decode().split("\n")[:-1]
    assert [json.loads(line)["item"] for line in lines] == ids


def test_bytes_by_hand() -> None:
    result = TopK(
        np.array([[1, 2], [2, -1], [-1, -1]]), [[0.5, 1e-5], [3, -np.inf], [-np.inf] * 2], Vocab(["a", "b\t", "ç"])
    )
    answers = lists_of(result)
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


def test_scores_are_read_back_exactly() -> None:
    rng = np.random.default_rng(0)
    scores = -np.sort(-(rng.normal(size=(30, 5)) * 10.0 ** rng.integers(-30, 30, (30, 5))).astype(np.float32), axis=1)
    answers = lists_of(TopK(some_lists(30, 5, full=1).rows, scores, Vocab(np.arange(30))))
    lines = exported(answers, Layout("tsv")).decode().splitlines()
    assert np.array_equal(np.array([line.split("\t")[3] for line in lines], dtype=np.float32), scores.ravel())


def test_files_are_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 7)
    answers = lists_of(some_lists(50, 5))
    plain_bytes = exported(answers, layout_of("l.tsv"))
    assert gzip.decompress(exported(answers, layout_of("l.tsv.gz"))) == plain_bytes
    packed = exported(answers, layout_of("x", "tsv.zst"))
    assert pa.CompressedInputStream(pa.py_buffer(packed), "zstd").read() == plain_bytes


def test_one_item_and_no_items_are_exported() -> None:
    nothing = TopK(np.empty((1, 0)), np.empty((1, 0)), Vocab(["alone"]))
    assert exported(lists_of(nothing), Layout("text")) == b"alone\n"
    assert exported(lists_of(nothing), Layout("tsv")) == b""
    assert exported(lists_of(nothing), Layout("jsonl")) == b'{"item": "alone", "similar": []}\n'
    empty = TopK(np.empty((0, 0)), np.empty((0, 0)), Vocab([]))
    for kind in ("text", "tsv", "jsonl", "redis"):
        assert exported(lists_of(empty), Layout(kind)) == b""


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("ids", [["a", 'b "c"', "d,e", "f\ng", "", "rank"], [1, -2, 30, 4, 5, 6]])
def test_csv_is_read_by_a_csv_reader(ids: object, names: bool) -> None:
    result, vocab = some_lists(6, 5), vocab_with_names(ids)
    answers = lists_of(result, vocab)
    head, *rows = csv.reader(
        io.StringIO(exported(answers, Layout("csv", names=names)).decode(), newline=""), strict=True
    )
    assert head == ["item", "rank", "similar", "score", *(["item_name", "similar_name"] if names else [])]
    label = {str(vocab.id(row)): vocab.name(row) for row in range(6)}
    assert rows == [
        [str(vocab.id(seed)), str(rank), str(vocab.id(row)), short(score)]
        + ([label[str(vocab.id(seed))], label[str(vocab.id(row))]] if names else [])
        for seed, results in enumerate(as_lists(result))
        for rank, (row, score) in enumerate(results, 1)
    ]


def test_bytes_of_headers_and_names_by_hand() -> None:
    vocab = Vocab(["a", "b", "c"], np.array(["A\t1", "", 'C "3"'], dtype=object))
    answers = lists_of(TopK(np.array([[1, 2], [2, -1], [-1, -1]]), [[0.5, 0.25], [3, -np.inf], [-np.inf] * 2], vocab))
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
