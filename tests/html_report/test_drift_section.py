"""The section about refreshes: the last one, and all of them night by night."""

from __future__ import annotations

from typing import Any

from embedrec.html_report.drift_section import drift_section
from embedrec.html_report.html import element
from tests.html_report.reading import Read, read_page


def read(*refreshes: dict[str, Any]) -> Read:
    return read_page(element("main", *drift_section(refreshes)))


def night(day: int, *refused: str, overlap: float = 0.9) -> dict[str, Any]:
    model = {
        "kind": "model",
        "name": "<b>w",
        "old": "1",
        "new": "2",
        "items": [3, 4],
        "overlap@20": overlap,
        "worst": [],
    }
    index = {**model, "kind": "index", "name": "w-ivf", "recall@20 of the index": [0.99, 0.98]}
    return {"at": f"2026-11-{day}T03:15:00+00:00", "refused": list(refused), "drift": [model, index]}


def test_the_last_refresh_is_a_table() -> None:
    page = read(night(28))
    assert {"Refresh of 2026-11-28 03:15", "put in place", "<b>w", "w-ivf", "3 → 4", "0.9900 → 0.9800"} <= set(
        page.texts
    )
    assert "svg" not in page.tags and "1" not in page.texts
    assert page.texts.count("0.9000") == 2 and page.texts.count("–") == 1  # a model has no recall of an index


def test_several_nights_have_a_line_for_each_model() -> None:
    page = read(night(29, "model w: overlap@20 0.5 is below --min-overlap 0.6", overlap=0.5), night(28))
    assert page.tags["svg"] == 1 and page.tags["path"] == 2
    assert {"<b>w: 2026-11-28 03:15: 0.9000", "w-ivf: 2026-11-29 03:15: 0.5000"} <= set(page.texts)
    assert page.texts.count("refused: model w: overlap@20 0.5 is below --min-overlap 0.6") == 2
    assert "put in place" in page.texts
