"""Exports are read as they were written; damaged files are errors."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import embedrec.export.read_lists as read_lists_module
from embedrec.data import Vocab, result_lists
from embedrec.data.result_lists import ResultLists
from embedrec.errors import DataError, EmbedrecError, SettingsError
from embedrec.export.file_format import layout_of
from embedrec.export.read_lists import IdCodes, RankedLists, read_lists
from embedrec.export.write_lists import ExportSettings, export_lists
from tests.export.lists import as_lists, inputs_of, lists_of, some_lists

LISTS = some_lists(40, 5)

VOCAB = Vocab([*(f"i{row}" for row in range(36)), "tab\t\\t", "new\nline\r", "a b", "ç\\"])

NAMES = ["l.txt", "l.tsv", "l.jsonl", "l.redis", "l.parquet", "l.txt.gz", "l.tsv.zst", "l.jsonl.gz"]

NAMES += ["l.csv", "l.csv.zst"]


def write(path: Path, vocab: Vocab = VOCAB, shards: int | None = None, name: str = "") -> Path:
    layout = layout_of(name or path.name, shards=shards, whitespace="encode")
    export_lists(path, lists_of(LISTS, vocab), ExportSettings(5, layout=layout), inputs_of(vocab), {})
    return path


def as_dict(result: RankedLists, codes: IdCodes) -> dict[str, list[str]]:
    cuts = zip(result.offsets, result.offsets[1:], strict=False)
    lists = [[codes.ids[code] for code in result.items[a:b]] for a, b in cuts]
    return dict(zip([codes.ids[code] for code in result.seeds], lists, strict=True))


def expected(ids: list[str]) -> dict[str, list[str]]:
    lists = {ids[seed]: [ids[row] for row, _ in results] for seed, results in enumerate(as_lists(LISTS))}
    return {seed: results for seed, results in lists.items() if results}


@pytest.mark.parametrize("chunk", [1 << 24, 100])
@pytest.mark.parametrize("shards", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_exports_are_read_as_written(
    name: str, shards: int | None, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 7)
    monkeypatch.setattr(read_lists_module, "CHUNK", chunk)
    encoded = [i.replace("\t", "%09").replace("\n", "%0A").replace("\r", "%0D").replace(" ", "%20") for i in VOCAB.ids]
    codes = IdCodes()
    result = read_lists(write(tmp_path / name, shards=shards, name=name), codes)
    assert as_dict(result, codes) == expected(encoded if "txt" in name else VOCAB.ids.tolist())


@pytest.mark.parametrize(
    ("name", "head"),
    [
        *((name, head) for name in ("l.tsv", "l.csv", "l.csv.gz") for head in (None, True, False)),
        ("l.jsonl", None),
        ("l.parquet", None),
    ],
)
@pytest.mark.parametrize("named", ["both", "results", "none"])
def test_headers_and_names_are_skipped(name: str, head: bool | None, named: str, tmp_path: Path) -> None:
    labels = np.array([f'"{i},\t' for i in VOCAB.ids], dtype=object)
    vocab = VOCAB if named == "none" else Vocab(VOCAB.ids, labels)
    source = lists_of(LISTS, vocab)
    if named == "results":
        source = ResultLists(VOCAB, vocab, source.best, source.max_k)
    layout = layout_of(name, header=head, names=named != "none")
    export_lists(tmp_path / name, source, ExportSettings(5, layout=layout), inputs_of(vocab), {})
    codes = IdCodes()
    assert as_dict(read_lists(tmp_path / name, codes), codes) == expected(VOCAB.ids.tolist())


@pytest.mark.parametrize("shards", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_reading_counts_the_bytes_of_files(
    name: str, shards: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_lists_module, "CHUNK", 100)
    path = write(tmp_path / name, shards=shards, name=name)
    events: list[tuple[int, int, str]] = []
    read_lists(path, IdCodes(), report=lambda event, done, total, unit: events.append((done, total, unit)))
    size = sum(f.stat().st_size for f in path.glob("part-*")) if shards else path.stat().st_size
    assert {total for _, total, _ in events} == {size} and {unit for *_, unit in events} == {"B"}
    assert 0 < events[-1][0] <= size and all(done <= size for done, *_ in events)
    if "parquet" not in name:  # its reader seeks
        assert events == sorted(events) and events[-1][0] == size


def test_integer_ids_are_read_as_text(tmp_path: Path) -> None:
    for name in NAMES[:5]:
        codes = IdCodes()
        result = read_lists(write(tmp_path / name, Vocab(np.arange(40) - 3)), codes)
        ids = [str(row - 3) for row in range(40)]
        assert as_dict(result, codes) == expected(ids)


@pytest.mark.parametrize(
    "name", ["l.txt", "l.tsv", "l.jsonl", "l.redis", "l.parquet", "l.txt.gz", "l.tsv.zst", "l.csv"]
)
def test_damaged_files_raise_no_other_error(name: str, tmp_path: Path) -> None:
    """Truncated files and files with random bytes give lists or an error of ours."""
    data = write(tmp_path / name).read_bytes()
    rng = random.Random(0)
    (tmp_path / name).write_bytes(data[:-1])
    with pytest.raises(DataError):
        read_lists(tmp_path / name, IdCodes())
    for _ in range(60):
        position = rng.randrange(len(data))
        broken = data[:position] if rng.random() < 0.5 else data[:position] + rng.randbytes(9) + data[position + 9 :]
        (tmp_path / name).write_bytes(broken)
        try:
            read_lists(tmp_path / name, IdCodes())
        except EmbedrecError as e:
            assert "\n" not in str(e)


def test_files_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("1 1\na 1\n")
    (tmp_path / "twice.txt").write_text("a b\nb a\na c\n")
    (tmp_path / "empty").mkdir()
    folder = write(tmp_path / "shards", shards=2, name="l.tsv")
    (folder / "part-00001.tsv").write_bytes(b"i0\t1\ti1\t.5\n")
    for name, error, message in (
        ("v.vec", SettingsError, r"v\.vec contains vectors; compare exports of lists \(text, tsv"),
        ("twice.txt", DataError, "has two lists of 'a'; export it again"),
        ("none.txt", DataError, "no file .*none.txt; check the path"),
        ("shards", DataError, "part-00001.tsv is missing or damaged"),
        ("empty", EmbedrecError, "contains no export"),
    ):
        with pytest.raises(error, match=message):
            read_lists(tmp_path / name, IdCodes())


SOUND = b"*2\r\n$3\r\nDEL\r\n$9\r\nsimilar:x\r\n*3\r\n$5\r\nRPUSH\r\n$9\r\nsimilar:x\r\n$1\r\ny\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"*1\r\n$1\r\nA\r\n*1\r\n$-12\r\n",  # a negative length would read backwards
        b"*1\r\n$+1\r\nA\r\n",
        b"*1\r\n$ 1\r\nA\r\n",
        b"*1_0\r\n$1\r\nA\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*99999999999\r\n$1\r\nA\r\n",
        b"*1\r\n$" + b"9" * 5000 + b"\r\nA\r\n",
        b"*1\r\n*1\r\nA\r\n",
        b"*1\r\n$3\r\nDEL\r\n",
        b"*3\r\n$5\r\nRPUSH\r\n$9\r\nsimilar:z\r\n$1\r\ny\r\n",
        b"*1\r\n$5\r\nRPUSH\r\n",
    ],
)
def test_lengths_in_redis_files_are_checked(content: bytes, tmp_path: Path) -> None:
    """A length that is negative, beyond the end, or not a plain number is refused before it is used."""
    (tmp_path / "a.redis").write_bytes(content if content.startswith(b"*3") else SOUND + content)
    if b"DEL" in content:  # deletes nothing
        assert len(read_lists(tmp_path / "a.redis", IdCodes())) == 1
        return
    with pytest.raises(DataError, match=r"is truncated or not in the Redis protocol|is no export"):
        read_lists(tmp_path / "a.redis", IdCodes())


def test_a_redis_list_may_have_two_commands(tmp_path: Path) -> None:
    second = b"*3\r\n$5\r\nRPUSH\r\n$9\r\nsimilar:x\r\n$1\r\nz\r\n"
    (tmp_path / "a.redis").write_bytes(SOUND + second)
    codes = IdCodes()
    assert as_dict(read_lists(tmp_path / "a.redis", codes), codes) == {"x": ["y", "z"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"item": 1, "similar": ' + b"[" * 5000 + b"\n"),
        ("a.jsonl", b'{"item": 1, "similar": [{"id": ' + b"9" * 5000 + b"}]}\n"),
        ("a.jsonl", b"{}\n"),
        ("a.jsonl", b"\xff\n"),
        ("a.tsv", b"a\t1\t\xff\t.5\n"),
        ("a.txt", b"\xff \xfe\n"),
        ("a.redis", SOUND.replace(b"y", b"\xff")),
        ("a.txt.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\xff\xff"),
        ("a.txt.zst", b"\x28\xb5\x2f\xfd\xff\xff\xff"),
        ("a.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1"),
    ],
)
def test_files_that_are_not_exports_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name) as message:
        read_lists(tmp_path / name, IdCodes())
    assert "\n" not in str(message.value)


@pytest.mark.parametrize(
    "manifest",
    [
        '{"kind": "export", "format": 1, "files": {"part-00000.tsv": 1}, "layout": "tsv", "packing": ""}',
        '{"kind": "export", "format": 1, "files": {"part-00000.tsv": {}}, "layout": "tsv", "packing": ""}',
        '{"kind": "export", "format": 1, "files": {}}',
        '{"kind": "export", "format": 1, "files": {}, "layout": [], "packing": ""}',
        "[" * 5000,
        '{"kind": ' + "9" * 5000 + "}",
        "[]",
    ],
)
def test_a_damaged_manifest_of_shards_is_refused(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "part-00000.tsv").write_bytes(b"i0\t1\ti1\t.5\n")
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(EmbedrecError, match=r"manifest\.json|contains no export|unknown format"):
        read_lists(tmp_path, IdCodes())
