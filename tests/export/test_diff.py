"""Exports are read back as they were written, and compared as a slow twin does."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec.export.read_lists as reading_module
import embedrec.export.result_lists as answers_module
from embedrec.data import Vocab
from embedrec.errors import DataError, EmbedrecError, SettingsError
from embedrec.export.diff import compare_exports
from embedrec.export.file_format import layout_of
from embedrec.export.read_lists import IdCodes, RankedLists, read_lists
from embedrec.export.result_lists import ResultLists
from embedrec.export.write_lists import ExportSettings, export_lists
from tests.export.lists import answers_of, material_of, plain, some_lists

FOUND = some_lists(40, 5)
ODD = Vocab([*(f"i{row}" for row in range(36)), "tab\t\\t", "new\nline\r", "a b", "ç\\"])
NAMES = ["l.txt", "l.tsv", "l.jsonl", "l.redis", "l.parquet", "l.txt.gz", "l.tsv.zst", "l.jsonl.gz"]
NAMES += ["l.csv", "l.csv.zst"]


def write(path: Path, vocab: Vocab = ODD, shards: int | None = None, name: str = "") -> Path:
    layout = layout_of(name or path.name, shards=shards, whitespace="encode")
    export_lists(path, answers_of(FOUND, vocab), ExportSettings(5, layout=layout), material_of(vocab), {})
    return path


def as_dict(found: RankedLists, codes: IdCodes) -> dict[str, list[str]]:
    cuts = zip(found.offsets, found.offsets[1:], strict=False)
    lists = [[codes.ids[code] for code in found.items[a:b]] for a, b in cuts]
    return dict(zip([codes.ids[code] for code in found.seeds], lists, strict=True))


def expected(ids: list[str]) -> dict[str, list[str]]:
    lists = {ids[seed]: [ids[row] for row, _ in results] for seed, results in enumerate(plain(FOUND))}
    return {seed: results for seed, results in lists.items() if results}


@pytest.mark.parametrize("chunk", [1 << 24, 100])
@pytest.mark.parametrize("shards", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(
    name: str, shards: int | None, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "BLOCK", 7)
    monkeypatch.setattr(reading_module, "_CHUNK", chunk)
    encoded = [i.replace("\t", "%09").replace("\n", "%0A").replace("\r", "%0D").replace(" ", "%20") for i in ODD.ids]
    codes = IdCodes()
    found = read_lists(write(tmp_path / name, shards=shards, name=name), codes)
    assert as_dict(found, codes) == expected(encoded if "txt" in name else ODD.ids.tolist())


@pytest.mark.parametrize(
    ("name", "head"),
    [
        *((name, head) for name in ("l.tsv", "l.csv", "l.csv.gz") for head in (None, True, False)),
        ("l.jsonl", None),
        ("l.parquet", None),
    ],
)
@pytest.mark.parametrize("named", ["both", "results", "none"])
def test_headers_and_names_are_read_over(name: str, head: bool | None, named: str, tmp_path: Path) -> None:
    labels = np.array([f'"{i},\t' for i in ODD.ids], dtype=object)
    vocab = ODD if named == "none" else Vocab(ODD.ids, labels)
    answers = answers_of(FOUND, vocab)
    if named == "results":
        answers = ResultLists(ODD, vocab, answers.best, answers.max_k)
    layout = layout_of(name, header=head, names=named != "none")
    export_lists(tmp_path / name, answers, ExportSettings(5, layout=layout), material_of(vocab), {})
    codes = IdCodes()
    assert as_dict(read_lists(tmp_path / name, codes), codes) == expected(ODD.ids.tolist())


@pytest.mark.parametrize("shards", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_reading_counts_the_bytes_of_files(
    name: str, shards: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "_CHUNK", 100)
    place = write(tmp_path / name, shards=shards, name=name)
    told: list[tuple[int, int, str]] = []
    read_lists(place, IdCodes(), report=lambda event, done, total, unit: told.append((done, total, unit)))
    size = sum(f.stat().st_size for f in place.glob("part-*")) if shards else place.stat().st_size
    assert {total for _, total, _ in told} == {size} and {unit for *_, unit in told} == {"B"}
    assert 0 < told[-1][0] <= size and all(done <= size for done, *_ in told)
    if "parquet" not in name:  # its reader skips about
        assert told == sorted(told) and told[-1][0] == size


def test_numbers_as_ids(tmp_path: Path) -> None:
    for name in NAMES[:5]:
        codes = IdCodes()
        found = read_lists(write(tmp_path / name, Vocab(np.arange(40) - 3)), codes)
        ids = [str(row - 3) for row in range(40)]
        assert as_dict(found, codes) == expected(ids)


@pytest.mark.parametrize(
    "name", ["l.txt", "l.tsv", "l.jsonl", "l.redis", "l.parquet", "l.txt.gz", "l.tsv.zst", "l.csv"]
)
def test_damaged_files_are_told(name: str, tmp_path: Path) -> None:
    """Every way to cut a file off, or to put random bytes into it, gives lists or one of our errors."""
    data = write(tmp_path / name).read_bytes()
    rng = random.Random(0)
    (tmp_path / name).write_bytes(data[:-1])
    with pytest.raises(DataError):
        read_lists(tmp_path / name, IdCodes())
    for _ in range(60):
        at = rng.randrange(len(data))
        broken = data[:at] if rng.random() < 0.5 else data[:at] + rng.randbytes(9) + data[at + 9 :]
        (tmp_path / name).write_bytes(broken)
        try:
            read_lists(tmp_path / name, IdCodes())
        except EmbedrecError as e:
            assert "\n" not in str(e)


def test_files_that_cannot_be_compared(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("1 1\na 1\n")
    (tmp_path / "twice.txt").write_text("a b\nb a\na c\n")
    (tmp_path / "empty").mkdir()
    folder = write(tmp_path / "shards", shards=2, name="l.tsv")
    (folder / "part-00001.tsv").write_bytes(b"i0\t1\ti1\t.5\n")
    for name, error, says in (
        ("v.vec", SettingsError, r"v\.vec holds vectors; compare exports of lists \(text, tsv"),
        ("twice.txt", DataError, "has two lists of 'a'; export it again"),
        ("none.txt", DataError, "no file .*none.txt; check the path"),
        ("shards", DataError, "part-00001.tsv is missing or damaged"),
        ("empty", EmbedrecError, "holds no export"),
    ):
        with pytest.raises(error, match=says):
            read_lists(tmp_path / name, IdCodes())


def test_encoded_ids_are_those_of_other_formats(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("a%20b c%25d\nc%25d a%20b\n")
    (tmp_path / "o.tsv").write_text("a b\t1\tc%d\t.5\nc%d\t1\ta b\t.5\n")
    codes = IdCodes()
    old, new = (read_lists(tmp_path / name, codes, encoded=True) for name in ("e.txt", "o.tsv"))
    assert compare_exports(old, new, codes).overlap == 1 and codes.ids == ["a b", "c%d"]


def ranked(lists: dict[str, str], codes: IdCodes) -> RankedLists:
    import pyarrow as pa

    seeds = codes.of(pa.array(list(lists)))
    items = [codes.of(pa.array(list(results), pa.string())) for results in lists.values()]
    return RankedLists(seeds, np.cumsum([0, *map(len, items)]), np.concatenate(items))


def slow_rbo(a: str, b: str, p: float) -> float:
    """Equation 32 of Webber, Moffat & Zobel (2010), as it stands there."""
    short, long = sorted((a, b), key=len)
    s, ell = len(short), len(long)
    if not ell:
        return 1.0
    x = [len(set(short[:d]) & set(long[:d])) for d in range(ell + 1)]
    first = sum(x[d] / d * p**d for d in range(1, ell + 1))
    second = sum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, ell + 1)) if s else 0
    return (1 - p) / p * (first + second) + ((x[ell] - x[s]) / ell + (x[s] / s if s else 0)) * p**ell


LIST = st.lists(st.sampled_from("abcdefgh"), unique=True).map("".join)


@given(LIST, LIST, st.sampled_from([0.5, 0.9, 0.99]), st.integers(1, 8))
def test_against_a_slow_twin(a: str, b: str, p: float, k: int) -> None:
    codes = IdCodes()
    old, new = ranked({"X": a}, codes), ranked({"X": b}, codes)
    found = compare_exports(old, new, codes, k=k, p=p)
    a, b = a[:k], b[:k]
    assert found.overlap == pytest.approx(len({*a} & {*b}) / max(len(a), len(b)) if a or b else 1)
    assert found.figures["rank-biased overlap"] == pytest.approx(slow_rbo(a, b, p))
    assert found.figures["lists unchanged"] == (a == b)
    assert len(found.worst) == (a != b)
    for row in found.worst:
        assert row["lost"] == [i for i in a if i not in b] and row["gained"] == [i for i in b if i not in a]
    assert found.figures["items lost"] == len({*a} - {*b})


def test_rank_biased_overlap_of_known_rankings() -> None:
    codes = IdCodes()
    old = ranked({"A": "abcd", "B": "abcd", "C": "abcd"}, codes)
    new = ranked({"A": "abcd", "B": "efgh", "C": "ab"}, codes)
    found = compare_exports(old, new, codes, p=0.9)
    rbo = {row["item"]: row["rbo"] for row in found.worst}
    assert rbo == {"B": 0.0, "C": 1.0}  # the short one is taken to go on as it agrees so far; A has not changed
    assert [row["item"] for row in found.worst] == ["B", "C"]


def test_figures() -> None:
    codes = IdCodes()
    old = ranked({"a": "bc", "b": "ac", "x": "ab", "y": ""}, codes)
    new = ranked({"b": "ca", "a": "bd", "z": "zy", "y": ""}, codes)
    found = compare_exports(old, new, codes, counts={"a": 10, "b": 5, "c": 0, "d": 2, "w": 20}, worst=1)
    assert found.figures == {
        "lists": (4, 4),
        "lists in both": 3,
        "lists lost": 1,
        "lists gained": 1,
        "results": (6, 6),
        "items listed": (3, 6),
        "items lost": 0,
        "items gained": 3,
        "lists unchanged": 1,
        "overlap@2": pytest.approx((0.5 + 1 + 1) / 4),
        "rank-biased overlap": pytest.approx((slow_rbo("bc", "bd", 0.9) + slow_rbo("ac", "ca", 0.9) + 1) / 4),
        "popularity": (pytest.approx((5 + 0 + 10 + 0 + 10 + 5) / 20 / 6), pytest.approx((0 + 10 + 5 + 2) / 20 / 6)),
    }
    assert found.worst == [{"item": "a", "overlap@2": 0.5, "rbo": 0.55, "lost": ["c"], "gained": ["d"]}]
    with pytest.raises(SettingsError, match="no item in common"):
        compare_exports(old, ranked({"q": "a"}, codes), codes)
    with pytest.raises(SettingsError, match="the old export has no results"):
        compare_exports(RankedLists(*np.zeros((3, 0), np.int64)), new, codes)
    with pytest.raises(SettingsError, match="p must be between 0 and 1; it is 1"):
        compare_exports(old, new, codes, p=1)


SOUND = b"*2\r\n$3\r\nDEL\r\n$9\r\nsimilar:x\r\n*3\r\n$5\r\nRPUSH\r\n$9\r\nsimilar:x\r\n$1\r\ny\r\n"


@pytest.mark.parametrize(
    "odd",
    [
        b"*1\r\n$1\r\nA\r\n*1\r\n$-12\r\n",  # read backwards, for ever
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
def test_lengths_in_redis_files_are_checked(odd: bytes, tmp_path: Path) -> None:
    """A length that is negative, beyond the end, or no plain number is refused before anything loops over it."""
    (tmp_path / "a.redis").write_bytes(odd if odd.startswith(b"*3") else SOUND + odd)
    if b"DEL" in odd:  # deletes nothing
        assert len(read_lists(tmp_path / "a.redis", IdCodes())) == 1
        return
    with pytest.raises(DataError, match=r"is truncated or not in the Redis protocol|is no export"):
        read_lists(tmp_path / "a.redis", IdCodes())


def test_a_list_of_redis_in_two_commands_is_one(tmp_path: Path) -> None:
    more = b"*3\r\n$5\r\nRPUSH\r\n$9\r\nsimilar:x\r\n$1\r\nz\r\n"
    (tmp_path / "a.redis").write_bytes(SOUND + more)
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
def test_what_is_no_export_is_one_sentence(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name) as said:
        read_lists(tmp_path / name, IdCodes())
    assert "\n" not in str(said.value)


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
def test_a_damaged_manifest_of_shards_is_one_sentence(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "part-00000.tsv").write_bytes(b"i0\t1\ti1\t.5\n")
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(EmbedrecError, match=r"manifest\.json|holds no export|unknown format"):
        read_lists(tmp_path, IdCodes())
