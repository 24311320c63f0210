from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import gensim.models
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.storage.memory_budget import IN_MEMORY, spill
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import METRICS
from embedrec.vectors.file_formats import Format, format_of, ids_file, load_vectors, save_vectors
from embedrec.vectors.metadata import meta_file
from tests.conftest import read_only, some_embeddings

SUFFIX: dict[Format, str] = {
    "text": ".txt",
    "binary": ".bin",
    "npy": ".npy",
    "safetensors": ".safetensors",
    "parquet": ".parquet",
}
FORMATS = tuple(SUFFIX)  # the others: test_vector_records

odd = st.text(" \t\n\r%\u2028\xa0\x1c\x00:/é😀ab", max_size=4) | st.text(max_size=5) | st.just("x" * 5000)
ids = st.lists(odd, min_size=1, max_size=5, unique=True) | st.lists(
    st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5, unique=True
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def drawn_embeddings(draw: st.DrawFn) -> Embeddings:
    chosen = draw(ids)
    shape = (len(chosen), draw(st.integers(1, 3)))
    small = st.floats(-(2.0**59), 2.0**59, width=32)  # what Embeddings takes, down to denormals
    vectors = draw(hnp.arrays(np.float32, shape, elements=small))
    counts = draw(st.none() | hnp.arrays(np.int64, shape[0], elements=st.integers(0, 3)))
    names = draw(st.none() | st.just(np.array([f"name {i}" for i in chosen], dtype=object)))
    metric = draw(st.sampled_from(["cosine", "dot", "l2"]))
    return Embeddings(read_only(vectors), Vocab(chosen, names, counts), metric)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to the last bit, also the sign of zero."""
    return a.dtype == b.dtype == np.float32 and a.shape == b.shape and a.tobytes() == b.tobytes()


def expected_order(embeddings: Embeddings, kind: str) -> list[int]:
    counts = embeddings.vocab.counts
    if kind in ("text", "binary") and counts is not None:
        return sorted(range(len(embeddings)), key=lambda r: (-counts[r], r))
    return list(range(len(embeddings)))


@pytest.mark.parametrize("kind", FORMATS)
@given(embeddings=drawn_embeddings())
def test_embeddings_are_refused_or_restored_exactly(kind: Format, embeddings: Embeddings, tmp_path: Path) -> None:
    path = tmp_path / f"v{SUFFIX[kind]}"
    path.unlink(missing_ok=True)
    texts = [str(i) for i in embeddings.vocab.ids]
    try:
        save_vectors(embeddings, path)
    except DataError:
        assert not path.exists()
        spaced = any(not t or re.search(r"\s", t) for t in texts)
        broken = any(re.search(r"[\r\n]", t) for t in texts)
        longest = max(len(t.encode()) for t in texts)
        assert {"text": spaced, "binary": spaced or longest > 4096, "npy": broken}[kind]
        return
    back = load_vectors(path)
    order = expected_order(embeddings, kind)
    assert same_bits(back.vectors, embeddings.vectors[order])
    if kind in ("safetensors", "parquet"):
        assert back.vocab.ids.dtype == embeddings.vocab.ids.dtype
        assert back.vocab.ids.tolist() == embeddings.vocab.ids.tolist()
        assert back.metric == embeddings.metric
    else:
        assert back.vocab.ids.tolist() == [texts[r] for r in order]
    if kind == "parquet":
        for column in ("names", "counts"):
            before, after = getattr(embeddings.vocab, column), getattr(back.vocab, column)
            assert (before is None and after is None) or before.tolist() == after.tolist()


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_formats_of_words_count_their_vectors(kind: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedrec.vectors.file_formats.BLOCK_ROWS", 8)
    reports: list[tuple[str, int, int, str]] = []

    def report(event: str, done: int, total: int, unit: str) -> None:
        reports.append((event, done, total, unit))

    save_vectors(some_embeddings(20, 3), tmp_path / f"v{SUFFIX[kind]}", report=report)
    assert reports == [("progress", done, 20, "vectors") for done in (8, 16, 20)]
    reports.clear()
    load_vectors(tmp_path / f"v{SUFFIX[kind]}", report=report)
    assert reports == [("progress", done, 20, "vectors") for done in (8, 16)]


@pytest.mark.parametrize("kind", ["text", "binary"])
@given(texts=st.lists(odd.filter(lambda t: t and len(t) < 100), min_size=1, max_size=5, unique=True))
def test_encoded_white_space_is_restored(kind: Format, texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / f"v{SUFFIX[kind]}"
    embeddings = Embeddings(np.ones((len(texts), 2)), Vocab(texts))
    save_vectors(embeddings, path, whitespace="encode")
    assert load_vectors(path).vocab.ids.tolist() == texts
    meta_file(path).unlink()  # as from another tool
    assert [unquote(i) for i in load_vectors(path).vocab.ids] == texts
    assert load_vectors(path, encoded=True).vocab.ids.tolist() == texts


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", get_args(Format))
def test_metrics_are_restored(kind: Format, metric: Metric, tmp_path: Path) -> None:
    path = tmp_path / f"v.{kind}"
    embeddings = some_embeddings(20, 3, metric)
    whole = Embeddings(np.round(np.abs(embeddings.vectors) * 9), embeddings.vocab, metric)
    save_vectors(whole, path, kind)
    back = load_vectors(path, kind)
    assert back.metric == metric and (back.vectors == whole.vectors[expected_order(whole, kind)]).all()
    beside = kind not in ("safetensors", "parquet")
    assert meta_file(path).exists() == (beside and metric != "cosine")
    assert back.about == {
        "file": path.name,
        "format": kind,
        "metric_from": "assumed" if beside and metric == "cosine" else "file",
    }
    other = load_vectors(path, kind, metric="dot")
    assert other.metric == "dot" and other.about["metric_from"] == "given"
    save_vectors(some_embeddings(20, 3), path, "npy")  # what stands beside an older file is not of this one
    assert load_vectors(path, "npy").metric == "cosine"


def test_metadata_of_another_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    save_vectors(some_embeddings(20, 3, "l2"), path)
    np.save(path, np.ones((20, 4), dtype=np.float32))
    with pytest.raises(
        DataError, match=r"v\.npy\.meta\.json describes 20 × 3 vectors, but .*v\.npy contains 20 × 4; remove it"
    ):
        load_vectors(path)
    for content in (b"", b"{}", b"[1]", b'{"metric": "far", "vectors": 20, "dim": 3}', b"\xff", b"[" * 10**5):
        meta_file(path).write_bytes(content)
        with pytest.raises(DataError, match=r"meta\.json is not the metadata of v\.npy \(.*\); repair or remove it"):
            load_vectors(path)


def test_a_failed_export_keeps_the_metadata_of_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    save_vectors(some_embeddings(2, 3, "l2"), path)
    with pytest.raises(DataError, match="a file separated by spaces cannot contain"):
        save_vectors(Embeddings(np.ones((2, 3)), Vocab(["a b", "c"]), "dot"), path)
    assert load_vectors(path).metric == "l2"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_byte_order_mark_is_not_part_of_an_id(ends: str, tmp_path: Path) -> None:
    """Notepad writes one before text."""
    np.save(tmp_path / "x.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "x.ids.txt").write_bytes(b"\xef\xbb\xbf" + ends.join(["a", "b", "c", ""]).encode())
    assert load_vectors(tmp_path / "x.npy").vocab.ids.tolist() == ["a", "b", "c"]
    for name, first in (("x.vec", ""), ("y.vec", "2 1" + ends)):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + f"{first}a 1{ends}b 2{ends}".encode())
        assert load_vectors(tmp_path / name).vocab.ids.tolist() == ["a", "b"]


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_embeddings_are_refused(kind: Format, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no vectors to write"):
        save_vectors(Embeddings(np.empty((0, 2)), Vocab([])), tmp_path / "v", kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_ids_with_surrogates_are_refused(kind: Format, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\\ud800"):
        save_vectors(Embeddings(np.ones((1, 2)), Vocab(["a\ud800"])), tmp_path / "v", kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("space", list(" \t\n\r\v\f\x1c\x85\xa0\u2003\u2028"))
def test_every_white_space_is_refused(space: str, kind: Format, tmp_path: Path) -> None:
    embeddings = Embeddings(np.ones((2, 2)), Vocab(["a", f"b{space}c"]))
    with pytest.raises(DataError, match="encode such ids with --whitespace encode"):
        save_vectors(embeddings, tmp_path / "v", kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("whitespace", ["refuse", "encode"])
def test_an_empty_id_is_refused_in_text(whitespace: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a file separated by spaces cannot contain the id ''; repair it"):
        save_vectors(Embeddings(np.ones((1, 2)), Vocab([""])), tmp_path / "v.txt", whitespace=whitespace)


# ------------------------------------------------------------------------------------------ gensim


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_gensim_loads_saved_vectors(kind: Format, tmp_path: Path) -> None:
    embeddings = some_embeddings(20, 7, spread=3)
    save_vectors(embeddings, tmp_path / "v", kind)
    theirs = gensim.models.KeyedVectors.load_word2vec_format(tmp_path / "v", binary=kind == "binary")
    assert theirs.index_to_key == embeddings.vocab.ids.tolist()
    assert same_bits(np.ascontiguousarray(theirs.vectors), embeddings.vectors)


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_vectors_saved_by_gensim_are_loaded(kind: Format, tmp_path: Path) -> None:
    theirs = gensim.models.KeyedVectors(7)
    theirs.add_vectors(["a", "ä", "spotify:artist:x", "%"], some_embeddings(4, 7).vectors)
    theirs.save_word2vec_format(tmp_path / "v", binary=kind == "binary", write_header=True)
    ours = load_vectors(tmp_path / "v", kind)
    assert ours.vocab.ids.tolist() == theirs.index_to_key
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)


def test_glove_text_without_a_header_is_loaded(tmp_path: Path) -> None:
    theirs = gensim.models.KeyedVectors(3)
    theirs.add_vectors(["the", ","], some_embeddings(2, 3).vectors)
    theirs.save_word2vec_format(tmp_path / "v.txt", write_header=False)
    ours = load_vectors(tmp_path / "v.txt")
    assert ours.vocab.ids.tolist() == ["the", ","]
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)


@pytest.mark.parametrize(
    "text",
    ["2 2\na 1 2\nb 3 4\n", "a 1 2\nb 3 4", "a 1 2 \nb 3 4 \n", "2 2\r\na 1 2\r\nb 3 4\r\n", "a 1 2\nb 3 4e0\n"],
)
def test_variants_of_text_are_loaded(text: str, tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_bytes(text.encode())
    ours = load_vectors(tmp_path / "v.vec")
    assert ours.vocab.ids.tolist() == ["a", "b"]
    assert ours.vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("ends", [(b"", b""), (b"\n", b"\n"), (b"\n", b"")])
def test_binary_with_and_without_newlines(ends: tuple[bytes, bytes], tmp_path: Path) -> None:
    vectors = np.array([[1, 2], [3, 4]], dtype="<f4")
    parts = [b"2 2\n", b"a ", vectors[0].tobytes(), ends[0], b"b ", vectors[1].tobytes(), ends[1]]
    (tmp_path / "v.bin").write_bytes(b"".join(parts))
    ours = load_vectors(tmp_path / "v.bin")
    assert ours.vocab.ids.tolist() == ["a", "b"]
    assert ours.vectors.tolist() == vectors.tolist()


# ------------------------------------------------------------------------------------------ bad files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", b"", "contains no vectors"),
        ("v.txt", b"2 2\n", "contains no vectors"),
        ("v.txt", b"3 2\na 1 2\nb 3 4\n", "declares 3 vectors, but it contains 2"),
        ("v.txt", b"1 2\na 1 2\nb 3 4\n", "declares 1 vectors, but it contains 2"),
        ("v.txt", b"2 2\na 1 2\nb 3\n", "line 3: 1 numbers instead of 2"),
        ("v.txt", b"2 2\na 1 2\nb\n", "line 3: 0 numbers instead of 2"),
        ("v.txt", b"a 1 2\n\nb 3 4\n", "line 2: 0 numbers"),
        ("v.txt", b"a 1 x\n", "is not a word2vec text file"),
        ("v.txt", b"a 1 nan\nb 1 2\n", "NaN or infinity, the first is that of 'a'"),
        ("v.txt", b"a 1 2\nb 1 1e39\n", "NaN or infinity, the first is that of 'b'"),
        ("v.txt", b"a 1 2\na 1 2\n", "'a' occurs twice"),
        ("v.txt", b"\xff 1 2\n", "is not a word2vec text file"),
        ("v.txt", b"\x80\x04\x95pickle", "is not a word2vec text file"),
        ("v.txt", b"\xc2\xb2 2\n", "is not a word2vec text file"),
        ("v.bin", b"", "its first line is not 'n d'"),
        ("v.bin", b"hello\n", "its first line is not 'n d'"),
        ("v.bin", b"2 2\na " + b"\0" * 8, "cannot contain 2 × 2 vectors"),
        ("v.bin", b"99999999 99999999\na ", "cannot contain"),
        ("v.bin", b"-1 2\n" + b"a" * 99, "cannot contain"),
        ("v.bin", b"1 0\n" + b"a" * 99, "cannot contain"),
        ("v.bin", b"2 1\n" + b"a" * 99, "an id does not end"),
        ("v.bin", b"1 1\n" + b"a" * 9999, "an id does not end"),
        ("v.bin", b"2 1\na 1234bbb 12", "ends in the vector of 'bbb'"),
        ("v.bin", b"1 1\n\xff\xff 1234", "not UTF-8"),
        ("v.bin", b"1 1\na 1234b 1234", "contains more than the 1 × 1 vectors of its header"),
        ("v.bin", b"2 1\na \x00\x00\x80\x3fa \x00\x00\x80\x3f", "'a' occurs twice"),
        ("v.npy", b"", "is not an array of numbers"),
        ("v.npy", b"PK\x05\x06" + b"\0" * 18, "is not an array of numbers"),
        ("v.npy", b"PK\x03\x04" + b"\0" * 18, "is not an array of numbers"),
        ("v.npy", b"\x80\x04\x95pickle", "is not an array of numbers"),
        ("v.npy", b"\x93NUMPY\x01\x00\x05\x00(((((", "is not an array of numbers"),
        ("v.safetensors", b"", "is not a safetensors file"),
        ("v.safetensors", b"\xff" * 100, "is not a safetensors file"),
        ("v.parquet", b"", "is not a Parquet file"),
        ("v.parquet", b"PAR1" + b"\xff" * 100 + b"PAR1", "is not a Parquet file"),
    ],
)
def test_files_without_vectors_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    for memory in (IN_MEMORY, spill(tmp_path)):
        with pytest.raises(DataError) as raised:
            load_vectors(tmp_path / name, memory=memory)
        assert message in str(raised.value)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=30)
@given(data=st.data())
def test_damaged_files_are_refused_or_have_finite_vectors(kind: Format, data: st.DataObject, tmp_path: Path) -> None:
    """Cut off, one byte flipped, or anything at all: DataError, or vectors that the file may well mean."""
    good = tmp_path / f"good{SUFFIX[kind]}"
    save_vectors(some_embeddings(4, 3), good)
    content = bytearray(good.read_bytes())
    what = data.draw(st.sampled_from(["cut", "flip", "random"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if what == "cut":
        content = content[:at]
    elif what == "flip":
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        content = bytearray(data.draw(st.binary(max_size=200)))
    bad = tmp_path / f"bad{SUFFIX[kind]}"
    bad.write_bytes(content)
    if kind == "npy":
        ids_file(bad).write_bytes(ids_file(good).read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy doubts some headers aloud
        for memory in (IN_MEMORY, spill(tmp_path)):
            try:
                assert np.isfinite(load_vectors(bad, memory=memory).vectors).all()
            except DataError as e:
                assert "\n" not in str(e)


def test_arrays_of_other_shapes_and_types_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    (tmp_path / "v.ids.txt").write_text("a\nb\n")
    for array, message in (
        (np.ones((2, 2), dtype=complex), "is not an array of numbers"),
        (np.array([["a", "b"]] * 2), "is not an array of numbers"),
        (np.ones((3, 2)), r"vectors must have shape \(2, d\)"),
        (np.ones(2), r"vectors must have shape \(2, d\)"),
    ):
        np.save(path, array)
        for memory in (IN_MEMORY, spill(tmp_path)):
            with pytest.raises(DataError, match=message):
                load_vectors(path, memory=memory)
    np.save(path, np.ones((2, 2)))
    assert load_vectors(path).vocab.ids.tolist() == ["a", "b"]
    ids_file(path).write_bytes(b"\xff\nb\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        load_vectors(path)
    ids_file(path).unlink()
    with pytest.raises(DataError, match=r"the ids of .* are missing"):
        load_vectors(path)


VECTORS, IDS = np.ones((2, 3), dtype=np.float32), np.array([5, 7])
TEXT, CUTS = np.frombuffer(b"ab", dtype=np.uint8), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"vectors": VECTORS}, "has no tensor 'ids_utf8'"),
        ({"ids": IDS}, "has no tensor 'vectors'"),
        ({"vectors": VECTORS, "ids": IDS.astype(np.float32)}, "ids must all be strings or all be integers"),
        ({"vectors": VECTORS, "ids": IDS[None]}, "one-dimensional"),
        ({"vectors": VECTORS, "ids": IDS[:1]}, r"vectors must have shape \(1, d\)"),
        ({"vectors": VECTORS, "ids_utf8": TEXT, "ids_offsets": CUTS.astype(np.float32)}, "is not a safetensors file"),
        (
            {"vectors": VECTORS, "ids_utf8": TEXT, "ids_offsets": CUTS[None]},
            "vectors must have shape|not a safetensors",
        ),
        ({"vectors": VECTORS, "ids_utf8": TEXT + 128, "ids_offsets": CUTS}, "is not a safetensors file"),
        ({"vectors": VECTORS, "ids_utf8": TEXT, "ids_offsets": CUTS + 9}, "occurs twice"),
        ({"vectors": VECTORS > 0, "ids": IDS}, "must be numbers"),
    ],
)
def test_tensors_without_vectors_are_refused(tensors: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    safetensors.numpy.save_file(tensors, tmp_path / "v.safetensors")
    with pytest.raises(DataError, match=message):
        load_vectors(tmp_path / "v.safetensors")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "x": [[1.0]]}, "needs columns 'id' and 'vector', but has id, x"),
        ({"vector": [[1.0]]}, "needs columns"),
        ({"id": ["a", "b"], "vector": [[1.0], [1.0, 2.0, 3.0]]}, "have different lengths"),
        ({"id": ["a", "b"], "vector": [[1.0], None]}, "have different lengths"),
        ({"id": ["a", "b"], "vector": [[1.0], [None]]}, "NaN or infinity"),
        ({"id": ["a", "b"], "vector": [["x"], ["y"]]}, "must contain lists of numbers"),
        ({"id": ["a", "b"], "vector": [1.0, 2.0]}, "must contain lists of numbers, but has the type double"),
        ({"id": ["a", None], "vector": [[1.0], [2.0]]}, "ids must all be strings"),
        ({"id": [1, None], "vector": [[1.0], [2.0]]}, "ids must all be"),
        ({"id": [0.5, 1.5], "vector": [[1.0], [2.0]]}, "ids must all be"),
        ({"id": ["a", "a"], "vector": [[1.0], [2.0]]}, "'a' occurs twice"),
        (
            {"id": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))},
            "must contain lists|no vectors",
        ),
    ],
)
def test_tables_without_vectors_are_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(DataError, match=message):
        load_vectors(tmp_path / "v.parquet")


def test_tables_of_other_tools_are_loaded(tmp_path: Path) -> None:
    """Lists of doubles in several row groups under another name; missing names and counts."""
    columns = {"id": [3, 1, 2], "embedding": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
    more = {"name": ["c", None, "b"], "count": [5, None, 7]}
    pq.write_table(pa.table({**columns, **more}), tmp_path / "v.parquet", row_group_size=1)
    ours = load_vectors(tmp_path / "v.parquet")
    assert ours.vocab.ids.tolist() == [3, 1, 2]
    assert ours.vectors.tolist() == columns["embedding"]
    assert ours.vocab.names is not None and ours.vocab.names.tolist() == ["c", "", "b"]
    assert ours.vocab.counts is not None and ours.vocab.counts.tolist() == [5, 0, 7]


def test_the_suffix_gives_the_format(tmp_path: Path) -> None:
    assert [format_of(Path(f"v{SUFFIX[kind]}")) for kind in FORMATS] == list(FORMATS)
    assert format_of(Path("v.vec")) == "text"
    assert format_of(Path("v.txt"), "parquet") == "parquet"
    for path, kind in ((Path("v.dat"), None), (Path("v.txt"), "texts")):
        with pytest.raises(SettingsError, match="name the format with --format"):
            format_of(path, kind)
    with pytest.raises(DataError, match="no file"):
        load_vectors(tmp_path / "none.txt")
    with pytest.raises(DataError, match="no file"):
        load_vectors(tmp_path, "npy")


def test_the_text_follows_the_format(tmp_path: Path) -> None:
    embeddings = Embeddings(
        np.array([[1, -0.5], [0.1, 1e-45], [2.0**60, -0.0]]), Vocab(["a", "b", "c"], counts=np.array([1, 3, 3]))
    )
    save_vectors(embeddings, tmp_path / "v.txt")
    assert (tmp_path / "v.txt").read_bytes() == b"3 2\nb 0.1 1e-45\nc 1.1529215e+18 -0\na 1 -0.5\n"
