"""`build-index` with a promise, `verify --recall`, and the settings of a search as options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from embedrec.index import autotune, measure
from embedrec.index.build import build_index
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from tests.cli.conftest import Run, walked
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


@pytest.fixture
def made(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """The current folder, with a model of 700 vectors, which are not few."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(autotune, "_FEW", 300)
    monkeypatch.setattr(autotune, "_VISITED", 0)
    monkeypatch.setattr(measure, "_ALONE", 20)
    embeddings = some_embeddings(700, 8)
    save_vectors(embeddings, tmp_path / "v.parquet")
    walked(run, "vectors", "import", "v.parquet")
    return embeddings


def test_the_default_is_the_tuner(run: Run, made: Embeddings) -> None:
    ran = walked(run, "build-index", "--plot", "points.svg")
    assert {(row[0], row[1]) for row in ran.rows} == {("v-auto", "HNSW16")}
    assert len(ran.rows) == 3 and len({row[3] for row in ran.rows}) == 3
    assert sum(row[-1] == "True" for row in ran.rows) == 1
    assert ran.err.splitlines()[-2:] == ["wrote index v-auto (indexes/v-auto)", "wrote points.svg"]
    assert Path("points.svg").read_text().startswith("<?xml")
    facts = json.loads(walked(run, "info", "v-auto", "--json").out)["facts"]
    assert facts["promise"] == {"recall": 0.99, "k": 20, "p95_ms": None, "ram": None}
    assert "facts.points.0.spec\tHNSW16" in walked(run, "info", "v-auto").out


def test_a_promise(run: Run, made: Embeddings) -> None:
    ran = walked(run, "build-index", "--target-recall", ".9@10", "--max-p95", "10s", "--max-ram", "1G", "--json")
    points = [json.loads(line) for line in ran.out.splitlines()]
    assert [list(point)[:9] for point in points] == [COLUMNS] * 3
    (point,) = (point for point in points if point["kept"])
    assert point["recall_low"] >= 0.9
    ran = walked(run, "build-index", "--type", "hnsw", "--target-recall", ".9", "--json")
    assert {json.loads(line)["spec"] for line in ran.out.splitlines()} == {"HNSW16"} and "v-hnsw" in ran.err
    one = walked(run, "build-index", "--type", "IVF4,Flat", "--json")  # without a promise: no points
    assert "items" in json.loads(one.out) and "kept" not in json.loads(one.out)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--type", "flat"), 0, "wrote one.svg"),
        (("--type", "IVF4,Flat", "--of", "items"), 0, "wrote one.svg"),
        (("--max-p95", "0.01us", "--type", "flat"), 3, "wrote one.svg"),
        (("--max-ram", "10"), 3, "no measurements; one.svg is not written"),
    ],
)
def test_a_plot_is_drawn_of_whatever_was_measured(
    options: tuple[str, ...], code: int, says: str, run: Run, made: Embeddings
) -> None:
    ran = run("build-index", *options, "--plot", "one.svg")
    assert ran.code == code and says in ran.err.splitlines()
    assert Path("one.svg").exists() == says.startswith("wrote")


def test_a_promise_that_nothing_keeps(run: Run, made: Embeddings) -> None:
    ran = run("build-index", "--max-p95", "0.01us", "--json")
    assert ran.code == 3
    points = list(map(json.loads, ran.out.splitlines()))
    assert len(points) >= 4 and not any(point["kept"] for point in points) and list(points[0])[1:3] == COLUMNS[1:3]
    said = ran.err.splitlines()[-1]
    assert said.startswith("embedrec: no index meets the target; the closest are ") and "is above 1e-05 ms" in said
    assert not Path("indexes").exists()
    ran = run("build-index", "--max-ram", "1K")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines()[-1] == "embedrec: no index type fits into 1,024 bytes; raise --max-ram"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--target-recall", "99"), "recall must be between 0 and 1, but is 99"),
        (
            ("--target-recall", "high"),
            "a target recall must be a share and a number of results, such as .98@20, but is 'high'",
        ),
        (("--max-p95", "fast"), "a time must be a number with us, ms or s, such as 2ms, but is 'fast'"),
        (("--max-ram", "much"), "a memory size is a number with K, M, G or T, such as 512M or 2G, but is 'much'"),
        (
            ("--type", "flat", "--rerank", "4"),
            "rerank is a setting of indexes of compressed vectors, but this one is Flat",
        ),
    ],
)
def test_bad_input(words: tuple[str, ...], says: str, run: Run, made: Embeddings) -> None:
    ran = run("build-index", *words)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith(f"embedrec: {says}")


def test_verify_measures_again(run: Run, made: Embeddings) -> None:
    walked(run, "build-index", "--type", "ivf", "--target-recall", ".95@10", "--name", "kept")
    walked(run, "build-index", "--type", "flat")
    rows = walked(run, "verify", "--recall").rows
    assert [row[:2] for row in rows] == [["models", "v"], ["indexes", "kept"], ["indexes", "v-flat"]]
    verdicts = {row[1]: row[2] for row in rows}
    assert verdicts["v"] == "ok" and verdicts["v-flat"] == "ok, recall@20 1.0000 on 700 fresh items, 1 measured"
    assert verdicts["kept"].startswith("ok, recall@10 0.9") and verdicts["kept"].endswith(", 0.95 promised")
    index = load_index(artifacts.read(Path("indexes/kept")))
    save_index(replace(index, settings=SearchSettings(nprobe=1)), Path("indexes/broken"), {"indexed": {"name": "v"}})
    ran = run("verify", "--recall")
    assert ran.code == 1
    (broken,) = [row[2] for row in ran.rows if row[1] == "broken"]
    assert broken.endswith("on 700 fresh items, below the 0.95 that was promised; build the index again")
    assert ran.err == "embedrec: 1 of 3 indexes have lower recall than their target; build them again\n"
    assert walked(run, "verify").out.count("\tok\n") == 4  # their bytes are as they were written


def test_settings_of_a_search(run: Run, made: Embeddings) -> None:
    plain = ("--type", "fastscan", "--name", "few", "--nprobe", 1, "--rerank", 1)
    walked(run, "build-index", *plain)
    assert load_index(artifacts.read(Path("indexes/few"))).settings == SearchSettings(nprobe=1, rerank=1)
    item = made.vocab.id(3)
    exact = walked(run, "similar", item, "--model", "v").out
    assert walked(run, "similar", item, "--index", "few").out != exact
    assert walked(run, "similar", item, "--index", "few", "--nprobe", 17, "--rerank", 40).out == exact
    walked(run, "export", "few.txt", "--index", "few", "-n", 10)
    walked(run, "export", "all.txt", "--index", "few", "-n", 10, "--nprobe", 17, "--rerank", 60)
    walked(run, "export", "exact.txt", "--model", "v", "-n", 10)
    assert Path("all.txt").read_bytes() == Path("exact.txt").read_bytes() != Path("few.txt").read_bytes()
    for command in (("similar", item), ("export", "x.txt")):
        ran = run(*command, "--index", "few", "--ef-search", 9)
        said = "ef_search is a setting of HNSW indexes, but this one is IVF17,PQ4x4fsr; leave it out"
        assert (ran.code, ran.err.splitlines()[-1]) == (1, f"embedrec: {said}")
        ran = run(*command, "--model", "v", "--rerank", 9)
        said = "rerank is a setting of indexes of compressed vectors, but v is a model; leave it out"
        assert (ran.code, ran.err.splitlines()[-1]) == (1, f"embedrec: {said}")


def test_an_index_of_the_library_is_tuned_too(made: Embeddings) -> None:
    assert build_index(made).measurements["promise"]["recall"] == 0.99
