"""fvecs, ivecs, bvecs and fbin: read, written, and refused where they are cut off or odd."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, spill
from embedrec.vectors import benchmark_formats
from embedrec.vectors.benchmark_formats import RECORDS
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import ids_file, load_vectors, save_vectors


@pytest.fixture(params=["memory", "files"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryBudget:
    """Where vectors are put: in memory, or in their file or another."""
    return IN_MEMORY if request.param == "memory" else spill(tmp_path)


LETTERS = {"fvecs": "f", "ivecs": "i", "bvecs": "B", "fbin": "f"}


def packed(kind: str, rows: list[list[float]]) -> bytes:
    """The obvious twin of writing."""
    n, d = len(rows), len(rows[0])
    if kind == "fbin":
        return struct.pack("<ii", n, d) + b"".join(struct.pack(f"<{d}f", *row) for row in rows)
    return b"".join(struct.pack(f"<i{d}{LETTERS[kind]}", d, *row) for row in rows)


@pytest.mark.parametrize("kind", RECORDS)
@given(n=st.integers(1, 5), d=st.integers(1, 4), seed=st.integers(0, 99))
def test_saved_vectors_are_loaded(kind: str, n: int, d: int, seed: int, memory: MemoryBudget, tmp_path: Path) -> None:
    whole = kind in ("ivecs", "bvecs")
    rng = np.random.default_rng(seed)
    vectors = (rng.integers(0, 256, (n, d)) if whole else rng.normal(size=(n, d))).astype(np.float32)
    path = tmp_path / f"x.{kind}"
    ids_file(path).unlink(missing_ok=True)
    rows = [[int(x) for x in row] if whole else row for row in vectors.tolist()]
    path.write_bytes(packed(kind, rows))  # type: ignore[arg-type]
    bare = load_vectors(path, memory=memory)
    assert bare.vocab.ids.tolist() == list(range(n)) and bare.vocab.integer
    assert (bare.vectors == vectors).all()
    save_vectors(Embeddings(vectors, Vocab([f"i {r}" for r in range(n)])), path)
    assert path.read_bytes() == packed(kind, rows)  # type: ignore[arg-type]
    back = load_vectors(path, metric="l2", memory=memory)
    assert back.vocab.ids.tolist() == [f"i {r}" for r in range(n)] and back.metric == "l2"
    assert back.vectors.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("kind", RECORDS)
def test_truncated_files_are_refused(kind: str, memory: MemoryBudget, tmp_path: Path) -> None:
    path, content = tmp_path / f"x.{kind}", packed(kind, [[1, 2, 3]] * 4)
    for end in range(len(content)):
        path.write_bytes(content[:end])
        try:
            assert len(load_vectors(path, memory=memory)) == end / (len(content) / 4)  # nothing tells between vectors
            assert kind != "fbin"
        except DataError as e:
            assert str(path) in str(e) and "\n" not in str(e)
    path.write_bytes(content + b"x")
    with pytest.raises(DataError):
        load_vectors(path, memory=memory)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("fvecs", struct.pack("<ifif", 1, 1.0, 2, 1.0), "vector 1 has 2 dimensions, but the first has 1"),
        ("fvecs", struct.pack("<iff", -2, 1.0, 2.0), "its first vector has -2 dimensions"),
        ("bvecs", struct.pack("<ii", 0, 0), "its first vector has 0 dimensions"),
        ("fvecs", b"", "0 bytes contain no vector"),
        ("fvecs", struct.pack("<iff", 2**31 - 1, 1.0, 2.0), "12 bytes are not a multiple of 8589934592, the size"),
        ("fvecs", struct.pack("<if", 1, float("nan")), "contain NaN"),
        ("ivecs", struct.pack("<ii", 1, 2**30), r"integers beyond ±16777216"),
        ("fbin", struct.pack("<iif", -1, 1, 1.0), "its header declares -1 vectors of 1 dimensions"),
        ("fbin", struct.pack("<iif", 1, 0, 1.0), "its header declares 1 vectors of 0 dimensions"),
        ("fbin", struct.pack("<iif", 2**30, 2**30, 1.0), "but it has 12"),
    ],
)
def test_malformed_files_are_refused(
    kind: str, content: bytes, message: str, memory: MemoryBudget, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_vectors(path, memory=memory)


def test_files_are_read_in_blocks(memory: MemoryBudget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_formats, "BLOCK_ROWS", 2)
    rows = [[1.0], [2.0], [3.0], [4.0], [5.0]]
    path = tmp_path / "x.fvecs"
    path.write_bytes(packed("fvecs", rows))
    assert load_vectors(path, memory=memory).vectors.tolist() == rows
    content = bytearray(path.read_bytes())
    content[4 * 8] = 7
    path.write_bytes(content)
    with pytest.raises(DataError, match="vector 4 has 7 dimensions, but the first has 1"):
        load_vectors(path, memory=memory)


def test_vectors_are_mapped_from_their_file(tmp_path: Path) -> None:
    """Those of fbin and npy as they are; others in a file without a name."""
    for kind in ("fbin", "npy", "fvecs", "bvecs"):
        path = tmp_path / f"x.{kind}"
        save_vectors(Embeddings(np.eye(3), Vocab(["a", "b", "c"])), path)
        vectors = load_vectors(path, memory=spill(tmp_path)).vectors
        assert (vectors == np.eye(3)).all()
        held = vectors
        while isinstance(held, np.ndarray) and held.base is not None:
            held = held.base
        assert isinstance(held, memoryview if kind in ("fvecs", "bvecs") else mmap.mmap), kind
    assert {p.name for p in tmp_path.iterdir()} == {"x.ids.txt", "x.fbin", "x.npy", "x.fvecs", "x.bvecs"}


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<f8", "<i8", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_other_number_types_are_converted(
    dtype: str, order: Any, memory: MemoryBudget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_formats, "BLOCK_ROWS", 2)
    rows = np.arange(15).reshape(5, 3)
    path = tmp_path / "x.npy"
    np.save(path, rows.astype(dtype, order=order))
    ids_file(path).write_text("a\nb\nc\nd\ne\n")
    vectors = load_vectors(path, memory=memory).vectors
    assert vectors.dtype == np.float32 and vectors.tolist() == rows.tolist()
    np.save(path, np.full((5, 3), 1e300))
    with pytest.raises(DataError, match="contain NaN or infinity"):
        load_vectors(path, memory=memory)


@pytest.mark.parametrize(("kind", "value"), [("ivecs", 0.5), ("ivecs", 2.0**31), ("bvecs", 256), ("bvecs", -1)])
def test_numbers_outside_the_type_are_refused(kind: str, value: float, tmp_path: Path) -> None:
    vectors = np.array([[1, 2], [3, value]], dtype=np.float32)
    with pytest.raises(DataError, match=f"{kind} supports integers from .* of the vectors has the coordinate "):
        save_vectors(Embeddings(vectors, Vocab(["a", "b"])), tmp_path / f"x.{kind}")
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_ids_of_another_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.fvecs"
    path.write_bytes(packed("fvecs", [[1.0], [2.0]]))
    ids_file(path).write_text("a\n")
    with pytest.raises(DataError, match=r"x.fvecs contains 2 vectors, but .*x.ids.txt 1 ids; write one id per line"):
        load_vectors(path)
    with pytest.raises(DataError, match=r"a line of .* cannot contain the id"):
        save_vectors(Embeddings(np.ones((1, 1)), Vocab(["a\nb"])), tmp_path / "y.fbin")
    assert not (tmp_path / "y.fbin").exists()
