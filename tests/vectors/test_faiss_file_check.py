"""Files that FAISS must not read: truncated, random, or modified, with wrong and with valid checksums."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.index import update
from embedrec.index.construct import construct_index
from embedrec.index.index_types import INDEXES
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_file_check import parse_file
from tests.conftest import some_embeddings
from tests.test_corruption import sign

ROOT = Path(__file__).parents[2]
KNOWN = [
    *INDEXES,
    "SQ4",
    "SQfp16",
    "PQ3x4np",
    "PQ3x4fs",
    "HNSW8_PQ3x4",
    "PCA5,Flat",
    "L2norm,Flat",
    "IVF400,Flat",
    "IVF8_HNSW8,SQ8",
    "Pad8,IVF8,PQ4x4fs",
    "OPQ3_6,IVF8,PQ3x4np,RFlat",
]
N, D = 650, 6


def damaged(content: bytes, seed: int) -> bytes:
    """Truncated, random, random from some place on, or with some bits or a number changed; mostly in the fields."""
    rng = np.random.default_rng(seed)
    what = seed % 5
    early = len(content) if rng.random() < 0.4 else min(400, len(content))
    at = int(rng.integers(0, early))
    if what == 0:
        return content[:at]
    if what == 1:
        return rng.bytes(int(rng.integers(0, 400)))
    if what == 2:
        return content[:at] + rng.bytes(int(rng.integers(0, 2000)))
    changed = bytearray(content)
    if what == 3:
        for place in rng.integers(0, early, 3):
            changed[place] ^= 1 << int(rng.integers(0, 8))
    else:
        number = int(rng.choice([0, 1, -1, -2, 2**31 - 1, 2**40, 2**62, N, N + 1, 10**6]))
        part = struct.pack("<q", number)[: int(rng.choice([1, 4, 8]))]
        changed[at : at + len(part)] = part
    return bytes(changed[: len(content)])


@pytest.mark.parametrize("kind", KNOWN)
def test_files_of_faiss_pass(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    for metric in ("cosine", "dot", "l2"):
        index = construct_index(some_embeddings(N, D, metric, spread=0.5), kind)
        faiss.write_index(index.faiss, str(path))
        seen = parse_file(path)
        assert (seen.d, seen.ntotal) == (index.faiss.d, N)
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(DataError, match=r"1 bytes follow the index in index\.faiss"):
            parse_file(path)


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_wrong_checksums_are_refused_before_the_file_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_index(construct_index(some_embeddings(100, D), kind), tmp_path / "x", {})
    path = tmp_path / "x" / "index.faiss"
    content = path.read_bytes()

    def never(*given: object) -> None:
        raise AssertionError("FAISS has seen it")

    monkeypatch.setattr(faiss, "read_index", never)
    monkeypatch.setattr("embedrec.vectors.faiss_file_check.check_file", never)
    for seed in range(400):
        other = damaged(content, seed)
        if other == content:
            continue
        path.write_bytes(other)
        with pytest.raises(ArtifactError, match=r"index\.faiss is damaged"):
            load_index(artifacts.read(tmp_path / "x"))


_ATTEMPT = """\
import sys
from pathlib import Path
import faiss
import numpy as np
from embedrec.errors import DataError
from embedrec.vectors.faiss_file_check import UnknownTypeError, parse_file
from embedrec.index.update import has_stable_labels, supports_removal
from tests.vectors.test_faiss_file_check import damaged
faiss.omp_set_num_threads(1)
refused = searched = 0
queries = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
for path in map(Path, sys.argv[2:]):
    content = path.read_bytes()
    for seed in range(int(sys.argv[1])):
        path.write_bytes(damaged(content, seed))
        try:
            parse_file(path)
        except (DataError, UnknownTypeError):
            refused += 1
            continue
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        own = np.ascontiguousarray(queries[:, : index.d])
        for k in (3, index.ntotal):
            index.search(own, k)
        changed = faiss.deserialize_index(faiss.serialize_index(index))
        if supports_removal(changed):
            changed.remove_ids(np.array([0, 3, 17]))
        if has_stable_labels(changed):
            changed.add_with_ids(own, 10**6 + np.arange(len(own)))
        else:
            changed.add(own)
        changed.search(own, 5)
        searched += 1
print(refused, searched)
"""


def test_files_that_pass_do_not_crash_faiss(tmp_path: Path) -> None:
    """FAISS opens, searches and changes files that pass, in a child process, which would end with a crash."""
    paths = []
    for kind in ("flat", "ivf", "IVF400,Flat", "ivfpq", "fastscan", "hnsw", "HNSW8_SQ8", "OPQ3_6,IVF8,PQ3x4np,RFlat"):
        paths.append(tmp_path / f"{len(paths)}.faiss")
        faiss.write_index(construct_index(some_embeddings(N, D), kind).faiss, str(paths[-1]))
    command = [sys.executable, "-c", _ATTEMPT, "260", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refused, searched = map(int, done.stdout.split())
    assert refused > 1000 and searched > 250


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "fastscan"])
def test_forged_artifacts_are_refused_with_one_sentence(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    save_index(update.remove(construct_index(some_embeddings(N, D), kind), ["i3"]), folder, {})
    path = folder / "index.faiss"
    content = path.read_bytes()
    for seed in range(0, 60, 5):  # cut off
        path.write_bytes(damaged(content, seed))
        sign(folder)
        with pytest.raises(ArtifactError) as raised:
            load_index(artifacts.read(folder))
        assert str(raised.value).startswith(f"{folder} cannot be opened (") and "\n" not in str(raised.value)


def test_links_out_of_range_are_refused(tmp_path: Path) -> None:
    """A graph with links beyond its arrays: FAISS opens it, and crashes when it searches."""
    path = tmp_path / "x.faiss"
    index = construct_index(some_embeddings(N, D), "HNSW8").faiss
    links = faiss.vector_to_array(index.hnsw.neighbors)
    links[5] = 2_000_000_000
    faiss.copy_array_to_vector(links, index.hnsw.neighbors)
    faiss.write_index(index, str(path))
    with pytest.raises(DataError, match="links to missing vectors"):
        parse_file(path)


def forged_graph(path: Path, **fields: Any) -> None:
    """A graph with other fields, of those that only adding looks at."""
    index = construct_index(some_embeddings(N, D), "HNSW8").faiss
    for name, value in fields.items():
        if isinstance(value, int):
            setattr(index.hnsw, name, value)
        else:
            held = getattr(index.hnsw, name)
            numbers = faiss.vector_to_array(held)
            faiss.copy_array_to_vector(np.asarray(value(numbers), dtype=numbers.dtype), held)
    faiss.write_index(index, str(path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"assign_probas": lambda p: []}, "invalid level probabilities"),
        ({"assign_probas": lambda p: [0.0] * 199 + [1.0]}, "invalid level probabilities"),
        ({"assign_probas": lambda p: p[:-1]}, "invalid level probabilities"),
        ({"assign_probas": lambda p: [*p, 0.0]}, "invalid level probabilities"),
        ({"assign_probas": lambda p: np.where(p == p[0], np.nan, p)}, "invalid level probabilities"),
        ({"assign_probas": lambda p: -p}, "invalid level probabilities"),
        (
            {"assign_probas": lambda p: [], "cum_nneighbor_per_level": lambda u: u[:1]},
            "invalid numbers of links per level",
        ),
        (
            {"cum_nneighbor_per_level": lambda u: np.where(u == u[-1], 2**31 - 1, u)},
            "invalid numbers of links per level",
        ),
        ({"cum_nneighbor_per_level": lambda u: np.where(u == u[-1], u[-2], u)}, "invalid numbers of links per level"),
        ({"efConstruction": 0}, "an invalid number of candidates"),
        ({"efConstruction": -1}, "an invalid number of candidates"),
        ({"efConstruction": 2**31 - 1}, "an invalid number of candidates"),
        ({"efSearch": 0}, "an invalid number of candidates"),
        ({"efSearch": 2**31 - 1}, "an invalid number of candidates"),
    ],
)
def test_invalid_fields_that_only_adding_reads_are_refused(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """FAISS opens and searches such a graph, and crashes, or takes all memory, when a vector is added."""
    forged_graph(tmp_path / "x.faiss")
    parse_file(tmp_path / "x.faiss")
    forged_graph(tmp_path / "x.faiss", **fields)
    with pytest.raises(DataError, match=message):
        parse_file(tmp_path / "x.faiss")


def test_graphs_with_any_number_of_links_pass(tmp_path: Path) -> None:
    for links in (2, 3, 64, 512):
        index = faiss.IndexHNSWFlat(D, links)
        index.add(some_embeddings(50, D).vectors)
        faiss.write_index(index, str(tmp_path / "x.faiss"))
        assert parse_file(tmp_path / "x.faiss").ntotal == 50


@pytest.mark.parametrize("kind", ["NSG8", "NSG8,Flat"])
def test_types_that_cannot_be_changed_are_refused(kind: str) -> None:
    index = construct_index(some_embeddings(200, D, "l2"), kind)
    with pytest.raises(
        SettingsError,
        match=r"FAISS cannot change an index of type NSG8\S* \(NSG does not support.*\); build it again, or use",
    ):
        update.add(index, Embeddings(np.ones((1, D)), Vocab(["new"]), "l2"))
    assert len(update.remove(index, ["i3"]).search(index.embeddings.vectors[:5], 50).rows) == 5


def test_labels_of_missing_vectors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    index = construct_index(some_embeddings(N, D), "IVF8,Flat").faiss
    index.remove_ids(np.array([3]))
    index.add_with_ids(np.ones((1, D), dtype=np.float32), np.array([10**12]))
    faiss.write_index(index, str(path))
    for labels in (None, N + 1):
        with pytest.raises(DataError, match="labels of missing vectors"):
            parse_file(path, labels)
