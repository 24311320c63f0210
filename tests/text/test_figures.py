"""Figures as JSON and as rows of a table."""

from __future__ import annotations

from embedrec.text.figures import changed_rows, figure_rows, rounded, rounded_figures


def test_figures_are_rounded_for_json() -> None:
    assert rounded((1 / 3, 2)) == [0.3333, 2] and rounded(7) == 7
    assert rounded_figures({"a": 0.12345, "b": (1, 2)}) == {"a": 0.1235, "b": [1, 2]}


def test_a_pair_has_two_cells() -> None:
    assert figure_rows({"lists": (1, 2), "overlap": 0.5, "stored": [0.25, 3]}) == [
        {"figure": "lists", "old": "1", "new": "2"},
        {"figure": "overlap", "old": "0.5000", "new": ""},
        {"figure": "stored", "old": "0.2500", "new": "3"},
    ]


def test_changed_lists_name_items_in_one_cell() -> None:
    assert changed_rows([{"item": "a", "rbo": 0.1, "lost": ["b", "c"], "gained": []}]) == [
        {"item": "a", "rbo": 0.1, "lost": "b c", "gained": ""}
    ]
