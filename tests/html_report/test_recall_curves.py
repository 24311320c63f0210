"""Curves of indexes: their points against searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.html_report.recall_curves import measure_curve
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from tests.conftest import some_embeddings


def save_test_index(folder: Path, kind: str, settings: SearchSettings, **more: Any) -> artifacts.Artifact:
    save_index(
        build_index(some_embeddings(500, 8), kind, BuildSettings(search=settings)), folder, {"type": kind}, **more
    )
    return artifacts.read(folder, "index")


@pytest.mark.parametrize(
    ("kind", "name", "own", "numbers"),
    [
        ("IVF16,Flat", "nprobe", 3, [1, 2, 3, 4, 8, 16]),
        ("hnsw", "ef_search", 40, [32, 40]),  # which finds all
        ("flat", "", 0, [None]),
    ],
)
def test_points_equal_the_results_of_searches(
    tmp_path: Path, kind: str, name: str, own: int, numbers: list[Any]
) -> None:
    source = save_test_index(tmp_path / "index", kind, SearchSettings(**{name: own} if name else {}))
    points = measure_curve(source)
    content = [point[name] if name else None for point in points]
    assert content == numbers[: len(content)] and len(content) >= min(len(numbers), 2)
    assert [point["kept"] for point in points] == [not name or number == own for number in content]
    index = load_index(source)
    exact = index.embeddings.search(index.embeddings.vectors, 21)
    for point, number in zip(points, content, strict=True):
        settings = SearchSettings(**{name: number} if name else {})
        hits = 0
        for row, listed in enumerate(index.neighbours(np.arange(500), 20, settings).rows):
            hits += len(set(listed.tolist()) & set(exact.rows[row][exact.rows[row] != row][:20].tolist()))
        assert point["recall@20"] == pytest.approx(hits / 10_000, abs=2e-4)  # all 500 are asked
        assert point["recall_queries"] == 500 and point["queries_per_second"] > 0


def test_indexes_of_answers_are_measured_on_stored_histories(tmp_path: Path) -> None:
    queries = np.random.default_rng(1).normal(size=(7, 8)).astype(np.float32)
    points = measure_curve(save_test_index(tmp_path / "index", "IVF16,Flat", SearchSettings(nprobe=2), queries=queries))
    assert {point["recall_queries"] for point in points} == {7}
