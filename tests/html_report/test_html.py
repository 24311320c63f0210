"""HTML from Python: escaping, tables and figures."""

from __future__ import annotations

import re

import pytest

from embedrec.html_report.html import Safe, card, element, figure, join, table


def test_numbers_are_formatted() -> None:
    assert [figure(v) for v in (None, float("nan"), 1234567, 0.12345, 12.34, 12345.6, True, "x")] == [
        "–", "–", "1,234,567", "0.1235", "12.3", "12,346", "yes", "x",
    ]  # fmt: skip


def test_attributes_and_cells_are_escaped() -> None:
    assert (
        element("a", "<b>", title='"x" & y', class_="c") == '<a title="&quot;x&quot; &amp; y" class="c">&lt;b&gt;</a>'
    )
    assert '<td class="text">&lt;i&gt;</td>' in table([{"h<": "<i>", "n": 1.0}])


def test_digits_depend_on_the_size_of_a_number() -> None:
    """Four decimals below ten, one decimal below a thousand, then thousands separators."""
    values = (0.0, -0.5, 9.99999, 10.0, 999.94, -1000.0, 0, -1234, False)
    assert [figure(v) for v in values] == [
        "0.0000", "-0.5000", "10.0000", "10.0", "999.9", "-1,000", "0", "-1,234", "no"
    ]  # fmt: skip


def test_elements_are_written_with_attributes() -> None:
    assert element("p") == "<p></p>"
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert element("p", "a", None, 3, element("b", "c")) == "<p>a3<b>c</b></p>"
    assert element("p", class_="x", aria_label="y", title=None) == '<p class="x" aria-label="y"></p>'


def test_join_escapes_all_but_safe_parts() -> None:
    assert join(["<a>", Safe("<b>"), None, 1.5]) == "&lt;a&gt;<b>1.5"
    assert type(join([])) is Safe


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\x00b\x1b", "a\ufffdb\ufffd"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("é音", "é音"),
    ],
)
def test_invisible_characters_are_escaped(text: str, escaped: str) -> None:
    assert element("p", text) == f"<p>{escaped}</p>"
    assert element("p", title=text) == f'<p title="{escaped}"></p>'


def test_tables_have_a_header_and_rows() -> None:
    rows = [{"model": "a", "score": 0.5, "n": 10}, {"model": "b", "score": None}]
    assert table(rows) == (
        '<div class="wide" tabindex="0"><table><thead><tr><th class="text">model</th><th class="number">score</th>'
        '<th class="number">n</th></tr></thead><tbody><tr><td class="text">a</td><td class="number">0.5000</td>'
        '<td class="number">10</td></tr><tr><td class="text">b</td><td class="number">–</td><td class="number">–</td>'
        "</tr></tbody></table></div>"
    )
    assert table([]) == ""


def test_columns_are_shaded_by_value() -> None:
    """The share of the largest value; negative and missing values have none."""
    rows = [{"x": 1.0, "y": 1.0}, {"x": 4.0, "y": 2.0}, {"x": -2.0, "y": 3.0}, {"x": None, "y": 4.0}]
    text = table(rows, shade=["x"])
    assert re.findall(r'class="number heat" style="--share:([\d.]+)"', text) == ["0.250", "1.000", "0.000"]
    assert "heat" not in table([{"x": 0.0}], shade=["x"])


def test_a_card_has_a_heading() -> None:
    assert card("<A>", "text") == '<div class="card"><h3>&lt;A&gt;</h3>text</div>'
