"""`embedrec drift`: exactly what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from tests.cli.conftest import Run, succeed


@pytest.fixture
def versions(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the models "old" and "new" of vectors in a plane."""
    monkeypatch.chdir(tmp_path)
    angles = {"old": [0, 10, 30, 60], "new": [0, 12, 50, 200]}
    for name, ids in (("old", "abcd"), ("new", "abce")):
        radians = np.radians(angles[name])
        vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
        save_vectors(Embeddings(vectors, Vocab(list(ids))), Path(f"{name}.parquet"))
        succeed(run, "vectors", "import", f"{name}.parquet")
    return tmp_path


def test_figures_are_tab_separated_in_a_pipe(run: Run, versions: Path) -> None:
    result = succeed(run, "drift", "old", "new", "-n", 2)
    assert result.err == (
        "using model old (models/old)\n"
        "using model new (models/new)\n"
        "old and new are in different spaces, so that cosines say nothing\n"
    )
    assert (
        result.out
        == (
            "items\t4\t4\n"
            "items gone\t1\t\n"
            "items new\t1\t\n"
            "median cosine\t0.9994\t\n"
            "10th percentile of cosines\t0.9516\t\n"
            "lists compared\t3\t\n"
            "lists unchanged\t2\t\n"
            "overlap@2\t1.0000\t\n"
            "rank-biased overlap\t0.8500\t\n"
            "coverage\t0.7500\t0.7500\n"
            "c\t1.0000\t0.5500\t\t\n"
        )
        or result.out
    )


def test_json_is_one_object(run: Run, versions: Path) -> None:
    record = json.loads(succeed(run, "drift", "old", "new", "-n", 3, "--json", "--worst", 1).out)
    assert (record["old"], record["new"], record["items"], record["overlap@3"]) == ("old", "new", [4, 4], 0.6667)
    assert record["worst"][0]["lost"] == ["d"] and record["worst"][0]["gained"] == ["e"]


def test_a_threshold_that_is_not_met_is_exit_code_3(run: Run, versions: Path) -> None:
    result = run("drift", "old", "new", "-n", 3, "--min-overlap", 0.7)
    assert result.code == 3 and "overlap@3\t0.6667" in result.out
    assert result.err.splitlines()[-1] == (
        "embedrec: new is too far from old: overlap@3 0.6667 is below --min-overlap 0.7"
    )
    assert run("drift", "old", "new", "-n", 3, "--min-overlap", 0.6).code == 0


def test_errors_are_one_sentence(run: Run, versions: Path) -> None:
    result = run("drift", "old", "nwe")
    assert (result.code, result.out) == (1, "")
    assert result.err == "embedrec: no model or index is called 'nwe' in .; did you mean 'new'?\n"
