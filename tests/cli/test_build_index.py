"""`embedrec build-index`: targets, plots and memory limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.cli.shared import options
from embedrec.index import build, measure, on_disk_ivf
from embedrec.index.build import build_index
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from tests.cli.conftest import Run, succeed
from tests.conftest import some_embeddings

COLUMNS = [
    "index",
    "spec",
    "nprobe",
    "ef_search",
    "rerank",
    "recall@10",
    "recall_low",
    "recall_queries",
    "query_ms_p50",
]


def test_type_auto_selects_a_measured_index(run: Run, vectors_700: Embeddings) -> None:
    result = succeed(run, "build-index", "--plot", "points.svg")
    assert {(row[0], row[1]) for row in result.rows} == {("v-auto", "HNSW16")}
    assert len(result.rows) == 3 and len({row[3] for row in result.rows}) == 3
    assert sum(row[-1] == "True" for row in result.rows) == 1
    assert result.err.splitlines()[-2:] == ["wrote index v-auto (indexes/v-auto)", "wrote points.svg"]
    assert Path("points.svg").read_text().startswith("<?xml")
    measurements = json.loads(succeed(run, "info", "v-auto", "--json").out)["facts"]
    assert measurements["promise"] == {"recall": 0.99, "k": 20, "p95_ms": None, "ram": None}
    assert "facts.points.0.spec\tHNSW16" in succeed(run, "info", "v-auto").out


def test_a_terminal_shows_the_main_measurements(run: Run, vectors_700: Embeddings, monkeypatch: Any) -> None:
    """Columns without values are left out, too: a flat index has no settings of a search."""
    monkeypatch.setattr(options, "on_terminal", lambda: True)
    tuned = succeed(run, "build-index").out.splitlines()
    assert tuned[0].split()[-4:] == ["recall@20", "query_ms_p95", "bytes_per_vector", "kept"]
    assert tuned[0].split()[:3] == ["index", "spec", "ef_search"] and len(tuned) == 4
    flat = succeed(run, "build-index", "--type", "flat").out.splitlines()
    assert flat[0].split() == ["index", "spec", "items", "recall@20", "query_ms_p95", "bytes_per_vector"]
    assert flat[1].split()[:4] == ["v-flat", "Flat", "700", "1.0000"]


def test_every_point_is_printed_for_an_index_that_meets_the_target(run: Run, vectors_700: Embeddings) -> None:
    result = succeed(run, "build-index", "--target-recall", ".9@10", "--max-p95", "10s", "--max-ram", "1G", "--json")
    points = [json.loads(line) for line in result.out.splitlines()]
    assert [list(point)[:9] for point in points] == [COLUMNS] * 3
    (point,) = (point for point in points if point["kept"])
    assert point["recall_low"] >= 0.9
    result = succeed(run, "build-index", "--type", "hnsw", "--target-recall", ".9", "--json")
    assert {json.loads(line)["spec"] for line in result.out.splitlines()} == {"HNSW16"} and "v-hnsw" in result.err
    without_target = succeed(run, "build-index", "--type", "IVF4,Flat", "--json")  # without a target: no points
    assert "items" in json.loads(without_target.out) and "kept" not in json.loads(without_target.out)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--type", "flat"), 0, "wrote one.svg"),
        (("--type", "IVF4,Flat", "--of", "items"), 0, "wrote one.svg"),
        (("--max-p95", "0.01us", "--type", "flat"), 3, "wrote one.svg"),
        (("--max-ram", "10"), 3, "no measurements; one.svg is not written"),
    ],
)
def test_measurements_are_plotted(
    options: tuple[str, ...], code: int, message: str, run: Run, vectors_700: Embeddings
) -> None:
    result = run("build-index", *options, "--plot", "one.svg")
    assert result.code == code and message in result.err.splitlines()
    assert Path("one.svg").exists() == message.startswith("wrote")


def test_an_unmet_target_exits_with_3_and_prints_the_points(run: Run, vectors_700: Embeddings) -> None:
    result = run("build-index", "--max-p95", "0.01us", "--json")
    assert result.code == 3
    points = list(map(json.loads, result.out.splitlines()))
    assert len(points) >= 4 and not any(point["kept"] for point in points) and list(points[0])[1:3] == COLUMNS[1:3]
    message = result.err.splitlines()[-1]
    assert (
        message.startswith("embedrec: no index meets the target; the closest are ") and "is above 1e-05 ms" in message
    )
    assert not Path("indexes").exists()
    result = run("build-index", "--max-ram", "1K")
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1] == "embedrec: no index type fits into 1,024 bytes; raise --max-ram"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target-recall", "99"), "recall must be between 0 and 1, but is 99"),
        (
            ("--target-recall", "high"),
            "a target recall must be a recall and a number of results, such as .98@20, but is 'high'",
        ),
        (("--max-p95", "fast"), "a time must be a number with us, ms or s, such as 2ms, but is 'fast'"),
        (("--max-ram", "much"), "a memory size is a number with K, M, G or T, such as 512M or 2G, but is 'much'"),
        (
            ("--type", "flat", "--rerank", "4"),
            "rerank is a setting of indexes of compressed vectors, but this index is Flat",
        ),
    ],
)
def test_invalid_targets_and_settings_are_refused(
    words: tuple[str, ...], message: str, run: Run, vectors_700: Embeddings
) -> None:
    result = run("build-index", *words)
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1].startswith(f"embedrec: {message}")


def test_the_library_tunes_by_default(vectors_700: Embeddings) -> None:
    assert build_index(vectors_700).measurements["promise"]["recall"] == 0.99


N, D = 1200, 8


@pytest.fixture
def large(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, with a model whose index exceeds its share of 256M, set to 16 KB here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "SINGLE_QUERIES", 20)
    monkeypatch.setattr(on_disk_ivf, "MEMORY_PARTS", 16384)
    save_vectors(some_embeddings(N, D), tmp_path / "v.fbin")
    succeed(run, "vectors", "import", "v.fbin")


def artifact_names() -> list[str]:
    return sorted(p.name for folder in ("indexes", "models") for p in Path(folder).glob("*"))


def test_a_memory_limit_changes_neither_the_index_nor_the_output(run: Run, large: None) -> None:
    words = ("build-index", "--type", "IVF12,Flat", "--json", "--name")
    plain, ours = succeed(run, *words, "plain"), succeed(run, *words, "ours", "--memory", "256M")
    assert ours.err == "using model v (models/v)\nwrote index ours (indexes/ours)\n"
    message, expected = json.loads(ours.out), json.loads(plain.out)
    assert list(message) == list(expected) and message["spec"] == "IVF12,Flat"
    assert artifact_names() == ["ours", "plain", "v"]
    assert {f.name for f in Path("indexes/ours").iterdir()} == {f.name for f in Path("indexes/plain").iterdir()}
    sizes = [(Path("indexes") / name / "index.faiss").stat().st_size for name in ("ours", "plain")]
    assert sizes[0] == sizes[1]
    assert succeed(run, "verify", "ours").out == "indexes\tours\tok\n"
    table = succeed(run, "build-index", "--type", "IVF12,SQ8", "--memory", "0.25G")
    assert table.err == "using model v (models/v)\nwrote index v-ivf12-sq8 (indexes/v-ivf12-sq8)\n"
    assert [len(table.rows), *table.rows[0][:3]] == [1, "v-ivf12-sq8", "IVF12,SQ8", "1200"]
    neighbours = succeed(run, "similar", "i7", "-n", 3, "--index", "ours", "--nprobe", 12)
    assert neighbours.out == succeed(run, "similar", "i7", "-n", 3, "--model", "v").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--type", "ivf", "--memory", "much"), "a memory size is a number with K, M, G or T, such as 512M or 2G"),
        (("--type", "ivf", "--memory", "1M"), "the memory budget must be at least 256M, but is 1048576 bytes"),
        (("--type", "hnsw", "--memory", "256M"), "HNSW16 is built in memory and takes 211,200 bytes, twice"),
        (("--memory", "256M"), "--type auto also tries graphs, which are built in memory, but a graph of"),
        (
            ("--type", "IVF14,Flat", "--memory", "256M"),
            "14 cells need at least 546 training vectors, but the memory budget allows",
        ),
    ],
)
def test_memory_limits_that_are_too_small_are_refused(
    words: tuple[str, ...], message: str, run: Run, large: None
) -> None:
    result = run("build-index", *words)
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1].startswith(f"embedrec: {message}")
    assert artifact_names() == ["v"]


def test_an_unmet_target_leaves_no_index(run: Run, large: None) -> None:
    result = run("build-index", "--type", "IVF12,SQ8", "--memory", "256M", "--max-p95", "0.01us", "--json")
    assert result.code == 3 and json.loads(result.out.splitlines()[0])["spec"] == "IVF12,SQ8"
    assert artifact_names() == ["v"]


def test_an_interrupt_leaves_no_files(run: Run, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[Path] = []

    def interrupt(index: Any, *_: Any) -> None:
        files.append(index.file)
        assert index.file.is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "tune_search", interrupt)
    result = run("build-index", "--type", "IVF12,Flat", "--memory", "256M")
    assert result.code == 130 and result.err.splitlines()[-1] == "embedrec: interrupted; no partial files remain"
    assert len(files) == 1 and artifact_names() == ["v"]
