"""An index that is written to its file block by block is byte for byte the one that FAISS writes from memory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedrec.errors import DataError, SettingsError, TargetNotMet
from embedrec.index import on_disk_ivf, update
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.on_disk_ivf import build_on_disk, index_bytes
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.index.target import SearchTarget
from embedrec.storage import artifacts
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.exact_search import METRICS
from embedrec.vectors.faiss_factory import create_index, fill, train
from embedrec.vectors.faiss_file_check import parse_file
from tests.conftest import some_embeddings

BUDGET = 256 << 20
N, D = 1200, 16
SPECS = [
    "IVF16,Flat",
    "IVF16,SQ8",
    "IVF16,SQ4",
    "IVF16,SQfp16",
    "IVF16,PQ4np",
    "IVF16,PQ8x4np",
    "IVF16_HNSW8,Flat",
    "Pad20,IVF16,PQ5x4np",
    "OPQ4_16,IVF16,PQ4x4np",
    "L2norm,IVF16,SQ8",
]


def few_at_a_time(monkeypatch: pytest.MonkeyPatch, vectors: int, d: int = D) -> None:
    """So many vectors are made ready at a time, and codes of twice as many, or a few more, are sorted by cell."""
    monkeypatch.setattr(on_disk_ivf, "BLOCK_PARTS", BUDGET // (4 * d * vectors))
    monkeypatch.setattr(on_disk_ivf, "MEMORY_PARTS", BUDGET // (4 * d * 2 * vectors))


def written(spec: str, vectors: np.ndarray, metric: Any, folder: Path) -> tuple[bytes, bytes]:
    """The file of an index filled in memory, and the one that was written by blocks."""
    n, d = vectors.shape
    index = create_index(spec, d, metric)
    train(index, spec, n, lambda rows: vectors[rows])
    plain: Any = faiss.deserialize_index(faiss.serialize_index(index))
    fill(plain, spec, n, lambda rows: vectors[rows])
    reports: list[int] = []

    def report(event: str, **numbers: Any) -> None:
        reports.append(numbers["done"])

    built, file = build_on_disk(index, n, lambda rows: vectors[rows], MemoryBudget(BUDGET, folder), report)
    assert built.ntotal == reports[-1] == n
    assert parse_file(file).ntotal == n
    return faiss.serialize_index(plain).tobytes(), file.read_bytes()


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("spec", SPECS)
def test_the_file_equals_that_of_faiss(spec: str, metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_at_a_time(monkeypatch, 70)
    plain, ours = written(spec, some_embeddings(N, D).vectors, metric, tmp_path)
    assert plain == ours


@pytest.mark.parametrize("spec", [*SPECS, "PCA8,IVF16,Flat"])
def test_one_block_gives_the_file_of_faiss(spec: str, tmp_path: Path) -> None:
    plain, ours = written(spec, some_embeddings(N, D).vectors, "l2", tmp_path)
    assert plain == ours


@given(
    st.integers(1, 60), st.integers(1, 20), st.integers(1, 5), st.integers(1, 9), st.integers(1, 30), st.integers(0, 99)
)
@settings(max_examples=60)
def test_files_of_any_cells_equal_those_of_faiss(
    n: int, nlist: int, d: int, at_once: int, kinds: int, seed: int
) -> None:
    """Cells may be empty, where vectors are alike; of few that are not, FAISS writes which they are."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(kinds, d)).astype(np.float32)[rng.integers(0, kinds, n)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        few_at_a_time(patch, at_once, d)
        plain, ours = written(f"IVF{min(nlist, n)},Flat", vectors, "l2", Path(folder))
    assert plain == ours


def test_cell_sizes_have_a_sparse_and_a_full_form(tmp_path: Path) -> None:
    vectors = np.repeat(np.eye(4, 8, dtype=np.float32), 10, axis=0)
    few = written("IVF16,Flat", vectors, "l2", tmp_path)[1]
    many = written("IVF4,Flat", vectors, "l2", tmp_path)[1]
    assert (b"sprs" in few, b"full" in few, b"sprs" in many, b"full" in many) == (True, False, False, True)


# ------------------------------------------------------------------------------------------ indexes under a budget


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBudget:
    """Room for 60 KB: what is larger goes to disk, and cells are sought among 1,000 vectors."""
    monkeypatch.setattr(on_disk_ivf, "MEMORY_PARTS", 4096)
    return MemoryBudget(BUDGET, tmp_path / "memory")


def files(memory: MemoryBudget) -> list[Path]:
    assert memory.folder is not None
    return list(memory.folder.iterdir())


@pytest.mark.parametrize(
    ("kind", "metric"), [*(("ivf", metric) for metric in METRICS), ("ivf-sq8", "dot"), ("ivfpq", "dot"), ("opq", "l2")]
)
def test_searches_equal_those_of_an_index_built_in_memory(
    kind: str, metric: str, memory: MemoryBudget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedrec.index.construct.max_training_vectors", lambda index, memory: None)
    monkeypatch.setattr("embedrec.index.construct.fits_in_memory", lambda index, n, memory: memory.budget is None)
    embeddings = some_embeddings(700, 12, metric, spread=0.5)
    plain, ours = build_index(embeddings, kind), build_index(embeddings, kind, BuildSettings(memory=memory))
    assert ours.file is not None and files(memory) == [ours.file] and plain.file is None
    assert (ours.spec, ours.augmented, ours.max_norm) == (plain.spec, plain.augmented, plain.max_norm)
    same = ("recall@20", "recall_low", "bytes_per_vector")
    assert {name: ours.measurements[name] for name in same} == {name: plain.measurements[name] for name in same}
    some = SearchSettings(nprobe=3)
    for index in (ours, saved(ours, tmp_path / "index")):
        results = index.neighbours(np.arange(0, 700, 9), 10, some)
        expected = plain.neighbours(np.arange(0, 700, 9), 10, some)
        assert results.rows.tobytes() == expected.rows.tobytes()
        assert results.scores.tobytes() == expected.scores.tobytes()


def saved(index: Any, folder: Path) -> Any:
    save_index(index, folder, {})
    return load_index(artifacts.read(folder))


def test_saving_moves_the_file(memory: MemoryBudget, tmp_path: Path) -> None:
    index = build_index(some_embeddings(N, D), "IVF16,Flat", BuildSettings(memory=memory))
    (file,) = files(memory)
    content, mode = file.read_bytes(), file.stat().st_mode
    first = saved(index, tmp_path / "first")
    assert not files(memory)
    kept, other = (tmp_path / "first" / name for name in ("index.faiss", "vectors.npy"))
    assert kept.read_bytes() == content and kept.stat().st_mode == mode == other.stat().st_mode
    assert first.file is None
    saved(index, tmp_path / "again")  # from what is mapped
    assert (tmp_path / "again" / "index.faiss").read_bytes() == content


def test_updates_leave_the_file_unchanged(memory: MemoryBudget, tmp_path: Path) -> None:
    index = build_index(some_embeddings(N, D), "IVF16,Flat", BuildSettings(memory=memory))
    less = update.remove(index, ["i7"])
    assert less.file is None and len(saved(less, tmp_path / "less")) == N - 1
    assert files(memory) == [index.file]


def test_an_index_that_fits_is_built_in_memory(tmp_path: Path) -> None:
    memory = MemoryBudget(BUDGET, tmp_path)
    for kind in ("ivf", "hnsw", "fastscan", "auto"):
        assert build_index(some_embeddings(N, D), kind, BuildSettings(memory=memory)).file is None
    assert not files(memory)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "hnsw",
            "HNSW16 is built in memory and takes 249,600 bytes, twice as many while it grows, which does not fit "
            "into 268,435,456 bytes; choose ivf, ivf-sq8 or ivfpq, which can be written to disk, or raise --memory",
        ),
        ("flat", "Flat is built in memory and takes 76,800 bytes"),
        ("IVF16,PQ4np,RFlat", "IVF16,PQ4np,RFlat is built in memory and takes 91,200 bytes"),
        ("IVF16,SQ8,Refine(SQfp16)", "IVF16,SQ8,Refine(SQfp16) is built in memory and takes 67,200 bytes"),
        ("HNSW16_SQ8", "HNSW16_SQ8 is built in memory and takes 192,000 bytes"),
        ("NSG16,Flat", "NSG16,Flat is built in memory and takes 76,800 bytes"),
        ("IVF16,PQ16x4fsr", "IVF16,PQ16x4fsr is built in memory and takes 19,200 bytes"),
        (
            "auto",
            "--type auto also tries graphs, which are built in memory, but a graph of 1,200 vectors does not fit "
            "into 268,435,456 bytes; raise --memory, or choose ivf, ivf-sq8 or ivfpq, which can be written to disk",
        ),
    ],
)
def test_types_built_in_memory_that_do_not_fit_are_refused(
    kind: str, message: str, memory: MemoryBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk_ivf, "MEMORY_PARTS", BUDGET // 19_000)
    with pytest.raises(SettingsError) as raised:
        build_index(some_embeddings(N, D), kind, BuildSettings(memory=memory))
    assert str(raised.value).startswith(message) and "ivf, ivf-sq8 or ivfpq" in str(raised.value)
    assert not files(memory)


def test_too_few_training_vectors_are_refused(memory: MemoryBudget) -> None:
    assert (
        build_index(some_embeddings(N, D), "IVF26,Flat", BuildSettings(memory=memory)).file is not None
    )  # 26 × 39 vectors: 1,014
    with pytest.raises(SettingsError) as raised:
        build_index(some_embeddings(N, D), "IVF27,Flat", BuildSettings(memory=memory))
    assert str(raised.value) == (
        "27 cells need at least 1,053 training vectors, but the memory budget allows 1,024; raise --memory, or use "
        "fewer cells, such as --type IVF1024,Flat"
    )


def test_a_target_under_a_budget_is_met(memory: MemoryBudget) -> None:
    index = build_index(some_embeddings(N, D), "IVF16,Flat", BuildSettings(target=SearchTarget(0.9), memory=memory))
    (kept,) = (point for point in index.measurements["points"] if point["kept"])
    assert index.file is not None and kept["bytes"] == index.file.stat().st_size
    with pytest.raises(TargetNotMet):
        build_index(some_embeddings(N, D), "IVF16,Flat", BuildSettings(target=SearchTarget(ram=9), memory=memory))


@pytest.mark.parametrize(("size", "expected"), [("IVF4,Flat", 72), ("Flat", 64), ("IVF4,SQ8", 24), ("PQ4", 4)])
def test_the_bytes_of_a_vector_depend_on_the_type(size: str, expected: int) -> None:
    assert index_bytes(create_index(size, D, "l2"), 100) == 100 * expected


@pytest.mark.parametrize("spec", ["HNSW16", "HNSW32_SQ8"])
def test_the_bytes_of_graphs_include_links(spec: str) -> None:
    index = create_index(spec, D, "l2")
    vectors = some_embeddings(5000, D).vectors
    train(index, spec, 5000, lambda rows: vectors[rows])
    fill(index, spec, 5000, lambda rows: vectors[rows])
    assert index_bytes(create_index(spec, D, "l2"), 5000) == pytest.approx(len(faiss.serialize_index(index)), rel=0.15)


# ---------------------------------------------------------------------------------------------- what goes wrong


def test_short_writes_are_continued(memory: MemoryBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = construct_index(some_embeddings(N, D), "IVF16,Flat", memory=memory).file
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:1000], at))
    short = construct_index(some_embeddings(N, D), "IVF16,Flat", memory=memory).file
    assert whole is not None and short is not None and whole.read_bytes() == short.read_bytes()


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite"])
def test_a_full_disk_is_one_error_and_no_file(call: str, memory: MemoryBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(DataError, match=r"^cells cannot be written to .* \(No space left on device\); free some space"):
        construct_index(some_embeddings(N, D), "IVF16,Flat", memory=memory)
    assert not files(memory)


@pytest.mark.parametrize("after", [1, 2, 5, 9])
def test_an_interrupt_leaves_no_files(after: int, memory: MemoryBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk_ivf, "BLOCK_PARTS", BUDGET // (4 * D * 200))  # six blocks, gone through twice
    left = after

    def report(event: str, **numbers: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        construct_index(some_embeddings(N, D), "IVF16,Flat", memory=memory, report=report)
    assert not files(memory)


def test_disk_needs_a_budget() -> None:
    with pytest.raises(SettingsError, match="building an index on disk needs a memory budget with a folder"):
        build_on_disk(create_index("IVF1,Flat", D, "l2"), 9, lambda rows: np.zeros((9, D), np.float32)[rows], IN_MEMORY)


def test_other_inverted_lists_of_faiss_are_refused(memory: MemoryBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk_ivf, "EMPTY_LISTS", b"another form")
    with pytest.raises(SettingsError, match="is unknown; build the index without --memory"):
        construct_index(some_embeddings(N, D), "IVF16,Flat", memory=memory)
    assert not files(memory)


# ------------------------------------------------------------------------------------------------------- memory

LARGE = """\
import resource, sys
from pathlib import Path
import faiss, numpy as np
from embedrec.storage import artifacts
from embedrec.models.serialization import load_item_vectors
from embedrec.workflows.train import import_vectors
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.index import on_disk_ivf
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.serialization import load_index, save_index

faiss.omp_set_num_threads(1)
on_disk_ivf.MEMORY_PARTS, on_disk_ivf.BLOCK_PARTS = 64, 64  # 4 MB each
folder = Path(sys.argv[1])

def road(name, memory):
    done = import_vectors(folder / f"{name}.fvecs", folder / "models" / name)
    vectors = load_item_vectors(done)
    index = build_index(vectors, "IVF16,Flat", BuildSettings(memory=memory), queries=vectors.vectors[:50])
    save_index(index, folder / "indexes" / name, {})
    again = load_index(artifacts.read(folder / "indexes" / name))
    assert again.neighbours(np.array([5]), 3).rows.shape == (1, 3)
    return index.file

road("small", IN_MEMORY)  # all that is imported and compiled once is now
status = Path("/proc/self/status").read_text()
data = int(next(line for line in status.splitlines() if line.startswith("VmData")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (data + (int(sys.argv[2]) << 20),) * 2)
memory = MemoryBudget(256 << 20, folder) if sys.argv[3] == "disk" else IN_MEMORY
assert (road("large", memory) is None) == (sys.argv[3] != "disk")
"""


def road(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    return subprocess.run(
        [sys.executable, "-c", LARGE, str(folder), *words], capture_output=True, text=True, env=env, check=False
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process")
def test_vectors_larger_than_the_memory_limit_are_imported_indexed_and_searched(tmp_path: Path) -> None:
    """Import, build, save, open and search 51 MB of vectors where 42 MB more than at the start may be taken."""
    rng = np.random.default_rng(0)
    for name, n in (("small", 2000), ("large", 200_000)):
        records = np.empty(n, dtype=[("d", "<i4"), ("vector", "<f4", (64,))])
        records["d"], records["vector"] = 64, rng.standard_normal((n, 64), dtype=np.float32)
        records.tofile(tmp_path / f"{name}.fvecs")
    done = road(tmp_path, "42", "disk")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"small.fvecs", "large.fvecs", "models", "indexes"}
    done = road(tmp_path, "42", "memory")
    assert done.returncode != 0 and ("MemoryError" in done.stderr or "bad_alloc" in done.stderr)
