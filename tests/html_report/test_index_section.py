"""The section about indexes: curves and tables."""

from __future__ import annotations

from typing import Any

from embedrec.html_report.html import element
from embedrec.html_report.index_section import indexes_section
from tests.html_report.reading import Read, read_page


def read(*indexes: dict[str, Any]) -> Read:
    return read_page(element("main", *indexes_section(indexes)))


def index_data(name: str, **more: Any) -> dict[str, Any]:
    facts = {"recall@20": 0.9912, "recall_low": 0.99, "query_ms_p50": 0.25, "queries_per_second": 4000}
    return {"name": name, "spec": "IVF4,Flat", "items": 50, "facts": {**facts, **more}}


def test_curves_and_their_points() -> None:
    points = [{**index_data("")["facts"], "nprobe": n, "recall@20": r, "kept": n == 2} for n, r in ((1, 0.5), (2, 0.9))]
    page = read({**index_data("<b>one"), "curve": points}, index_data("two"))
    assert page.tags["svg"] == 2 and page.tags["path"] == 2  # a line in either chart; one point has none
    assert page.texts.count("<b>one") == 3 and page.texts.count("two") == 3  # two legends and a table
    assert "<b>one: nprobe 2, recall@20 0.9000, 4,000 queries/s, 0.25 ms" in page.texts
    assert any("measured for this page" in text for text in page.texts)
    assert page.tags["details"] == 1 and "<b>one: points of the curve" in page.texts and "●" in page.texts
    assert "0.9912" in page.texts and "queries/s" in page.texts and "p50 ms" in page.texts


def test_candidates_for_a_target_have_a_curve_per_type() -> None:
    tried = [
        {**index_data("")["facts"], "spec": spec, "recall@10": 0.9, "kept": spec == "b"} for spec in ("a", "a", "b")
    ]
    for point in tried:
        del point["recall@20"]
    page = read(index_data("x", points=tried))
    assert page.texts.count("x: a") == 2 and page.texts.count("x: b") == 2
    assert "recall@10" in page.texts and "x: candidates for the search target" in page.texts
    assert not any("measured for this page" in text for text in page.texts)


def test_an_index_without_measurements_is_in_the_table_only() -> None:
    page = read({"name": "bare", "spec": "Flat", "items": 3, "facts": None})
    assert "svg" not in page.tags and {"bare", "Flat", "3"} <= set(page.texts)


def test_one_point_has_no_chart() -> None:
    page = read(index_data("one"))
    assert "svg" not in page.tags and {"one", "0.9912"} <= set(page.texts)


def test_recall_at_different_k_has_separate_columns() -> None:
    other = index_data("b")
    other["facts"]["recall@10"] = other["facts"].pop("recall@20")
    page = read(index_data("a"), other)
    assert page.texts.count("recall") == 2 and {"recall@20", "recall@10", "–"} <= set(page.texts)
