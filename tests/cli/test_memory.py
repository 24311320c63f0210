"""`build-index --memory`: what is printed is the same, and nothing but the index is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.index import build, measure, on_disk_ivf
from embedrec.vectors.file_formats import save_vectors
from tests.cli.conftest import Run, walked
from tests.conftest import some_embeddings

N, D = 1200, 8
TIMED = {"query_ms_p50", "query_ms_p95", "query_ms_p99", "queries_per_second", "build_seconds", "tuning_seconds"}


@pytest.fixture(autouse=True)
def made(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, with a model whose index does not fit into 256M: of which it gets 16 KB."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "_ALONE", 20)
    monkeypatch.setattr(on_disk_ivf, "_PART", 16384)
    save_vectors(some_embeddings(N, D), tmp_path / "v.fbin")
    walked(run, "vectors", "import", "v.fbin")


def left() -> list[str]:
    return sorted(p.name for folder in ("indexes", "models") for p in Path(folder).glob("*"))


def test_the_same_index(run: Run) -> None:
    words = ("build-index", "--type", "IVF12,Flat", "--json", "--name")
    plain, ours = walked(run, *words, "plain"), walked(run, *words, "ours", "--memory", "256M")
    assert ours.err == "using model v (models/v)\nwrote index ours (indexes/ours)\n"
    said, expected = json.loads(ours.out), json.loads(plain.out)
    assert list(said) == list(expected) and said["spec"] == "IVF12,Flat"
    assert left() == ["ours", "plain", "v"]
    assert {f.name for f in Path("indexes/ours").iterdir()} == {f.name for f in Path("indexes/plain").iterdir()}
    sizes = [(Path("indexes") / name / "index.faiss").stat().st_size for name in ("ours", "plain")]
    assert sizes[0] == sizes[1]
    assert walked(run, "verify", "ours").out == "indexes\tours\tok\n"
    table = walked(run, "build-index", "--type", "IVF12,SQ8", "--memory", "0.25G")
    assert table.err == "using model v (models/v)\nwrote index v-ivf12-sq8 (indexes/v-ivf12-sq8)\n"
    assert [len(table.rows), *table.rows[0][:3]] == [1, "v-ivf12-sq8", "IVF12,SQ8", "1200"]
    near = walked(run, "similar", "i7", "-n", 3, "--index", "ours", "--nprobe", 12)
    assert near.out == walked(run, "similar", "i7", "-n", 3, "--model", "v").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--type", "ivf", "--memory", "much"), "a memory size is a number with K, M, G or T, such as 512M or 2G"),
        (("--type", "ivf", "--memory", "1M"), "the memory budget must be at least 256M, but is 1048576 bytes"),
        (("--type", "hnsw", "--memory", "256M"), "HNSW16 is built in memory and takes 211,200 bytes, twice"),
        (("--memory", "256M"), "--type auto also tries graphs, which are built in memory, and a graph of"),
        (("--type", "IVF14,Flat", "--memory", "256M"), "14 cells are sought among 546 vectors at least, but the memor"),
    ],
)
def test_bad_input(words: tuple[str, ...], says: str, run: Run) -> None:
    ran = run("build-index", *words)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith(f"embedrec: {says}")
    assert left() == ["v"]


def test_nothing_is_left_of_a_broken_promise(run: Run) -> None:
    ran = run("build-index", "--type", "IVF12,SQ8", "--memory", "256M", "--max-p95", "0.01us", "--json")
    assert ran.code == 3 and json.loads(ran.out.splitlines()[0])["spec"] == "IVF12,SQ8"
    assert left() == ["v"]


def test_nothing_is_left_of_an_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def interrupt(index: Any, *_: Any) -> None:
        seen.append(index.file)
        assert index.file.is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "tune_search", interrupt)
    ran = run("build-index", "--type", "IVF12,Flat", "--memory", "256M")
    assert ran.code == 130 and ran.err.splitlines()[-1] == "embedrec: interrupted; nothing was left half-written"
    assert len(seen) == 1 and left() == ["v"]
