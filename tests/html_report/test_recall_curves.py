"""Curves of indexes: their points against searches by hand, and how the page shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.html_report.html import element
from embedrec.html_report.index_section import indexes_section
from embedrec.html_report.recall_curves import measure_curve
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from tests.conftest import some_embeddings
from tests.html_report.reading import Read, read_page


def saved(folder: Path, kind: str, settings: SearchSettings, **more: Any) -> artifacts.Artifact:
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
def test_its_points_are_what_searches_find(tmp_path: Path, kind: str, name: str, own: int, numbers: list[Any]) -> None:
    source = saved(tmp_path / "index", kind, SearchSettings(**{name: own} if name else {}))
    points = measure_curve(source)
    found = [point[name] if name else None for point in points]
    assert found == numbers[: len(found)] and len(found) >= min(len(numbers), 2)
    assert [point["kept"] for point in points] == [not name or number == own for number in found]
    index = load_index(source)
    exact = index.embeddings.search(index.embeddings.vectors, 21)
    for point, number in zip(points, found, strict=True):
        settings = SearchSettings(**{name: number} if name else {})
        hits = 0
        for row, listed in enumerate(index.neighbours(np.arange(500), 20, settings).rows):
            hits += len(set(listed.tolist()) & set(exact.rows[row][exact.rows[row] != row][:20].tolist()))
        assert point["recall@20"] == pytest.approx(hits / 10_000, abs=2e-4)  # all 500 are asked
        assert point["recall_queries"] == 500 and point["queries_per_second"] > 0


def test_kept_histories_are_what_is_asked(tmp_path: Path) -> None:
    queries = np.random.default_rng(1).normal(size=(7, 8)).astype(np.float32)
    points = measure_curve(saved(tmp_path / "index", "IVF16,Flat", SearchSettings(nprobe=2), queries=queries))
    assert {point["recall_queries"] for point in points} == {7}


def read(*indexes: dict[str, Any]) -> Read:
    return read_page(element("main", *indexes_section(indexes)))


def told(name: str, **more: Any) -> dict[str, Any]:
    facts = {"recall@20": 0.9912, "recall_low": 0.99, "query_ms_p50": 0.25, "queries_per_second": 4000}
    return {"name": name, "spec": "IVF4,Flat", "items": 50, "facts": {**facts, **more}}


def test_a_page_draws_curves_and_their_points() -> None:
    points = [{**told("")["facts"], "nprobe": n, "recall@20": r, "kept": n == 2} for n, r in ((1, 0.5), (2, 0.9))]
    page = read({**told("<b>one"), "curve": points}, told("two"))
    assert page.tags["svg"] == 2 and page.tags["path"] == 2  # a line in either chart; one point has none
    assert page.texts.count("<b>one") == 3 and page.texts.count("two") == 3  # two legends and a table
    assert "<b>one: nprobe 2, recall@20 0.9000, 4,000 queries/s, 0.25 ms" in page.texts
    assert any("measured for this page" in text for text in page.texts)
    assert page.tags["details"] == 1 and "<b>one: points of the curve" in page.texts and "●" in page.texts
    assert "0.9912" in page.texts and "queries/s" in page.texts and "p50 ms" in page.texts


def test_what_was_tried_for_a_promise_is_a_curve_a_type() -> None:
    tried = [{**told("")["facts"], "spec": spec, "recall@10": 0.9, "kept": spec == "b"} for spec in ("a", "a", "b")]
    for point in tried:
        del point["recall@20"]
    page = read(told("x", points=tried))
    assert page.texts.count("x: a") == 2 and page.texts.count("x: b") == 2
    assert "recall@10" in page.texts and "x: candidates for the search target" in page.texts
    assert not any("measured for this page" in text for text in page.texts)


def test_an_index_that_was_not_measured_is_in_the_table_only() -> None:
    page = read({"name": "bare", "spec": "Flat", "items": 3, "facts": None})
    assert "svg" not in page.tags and {"bare", "Flat", "3"} <= set(page.texts)


def test_lengths_of_recall_that_differ_have_columns_of_their_own() -> None:
    other = told("b")
    other["facts"]["recall@10"] = other["facts"].pop("recall@20")
    page = read(told("a"), other)
    assert page.texts.count("recall") == 2 and {"recall@20", "recall@10", "–"} <= set(page.texts)
