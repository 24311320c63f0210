"""Charts: axes that hold their values, and marks that stand inside."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from embedrec.page import charts
from embedrec.page.charts import HEIGHT, WIDTH, Axis, tick
from embedrec.page.html import element, figure, table

numbers = st.floats(-1e9, 1e9, allow_subnormal=False)
above = st.floats(1e-6, 1e9)


@given(st.lists(numbers, min_size=1, max_size=8))
def test_an_axis_holds_its_values(values: list[float]) -> None:
    axis = Axis.of(values, "x")
    assert all(-1e-6 <= axis.share(v) <= 1 + 1e-6 for v in values)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 8 and ticks == sorted(ticks)


@given(st.lists(above, min_size=1, max_size=8))
def test_a_logarithmic_axis_too(values: list[float]) -> None:
    axis = Axis.of(values, "x", log=True)
    assert all(-1e-6 <= axis.share(v) <= 1 + 1e-6 for v in values)
    assert all(axis.low / 1.01 <= at <= axis.high * 1.01 for at in axis.ticks())


@given(st.lists(st.tuples(above, above), min_size=2, max_size=20))
def test_a_line_stays_inside(pairs: list[tuple[float, float]]) -> None:
    xs, ys = zip(*pairs, strict=True)
    drawn = charts.line(xs, ys, Axis.of(xs, "x"), Axis.of(ys, "y"), what="w", points=True)
    for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', drawn):
        assert 0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT


def test_bars_are_as_tall_as_their_values() -> None:
    drawn = charts.bars(["a", "b"], [1, 4], Axis(0, 4, "y"), what="w")
    first, second = (float(h) for h in re.findall(r'height="([\d.]+)"', drawn))
    assert abs(second - 4 * first) < 0.2


def test_intervals_show_low_high_and_value() -> None:
    drawn = charts.intervals([("m", 0.5, 0.25, 0.75), ("n", 0.1, None, None)], Axis(0, 1, "x"), what="w")
    (x1, x2) = (
        float(v) for v in re.findall(r'x1="([\d.]+)" x2="([\d.]+)" y1="[\d.]+" y2="[\d.]+" class="whisker"', drawn)[0]
    )
    centre, _ = (float(v) for v in re.findall(r'cx="([\d.]+)"', drawn))
    assert abs((x1 + x2) / 2 - centre) < 0.2 and x1 < centre < x2
    assert "m: 0.5000 (0.2500 to 0.7500)" in drawn and "n: 0.1000" in drawn


def test_figures_and_ticks_read_well() -> None:
    assert [figure(v) for v in (None, float("nan"), 1234567, 0.12345, 12.34, 12345.6, True, "x")] == [
        "–", "–", "1,234,567", "0.1235", "12.3", "12,346", "yes", "x",
    ]  # fmt: skip
    assert [tick(v) for v in (0.05, 20.0, 5000.0, 3e6)] == ["0.05", "20", "5k", "3M"]


def test_attributes_and_cells_are_escaped() -> None:
    assert (
        element("a", "<b>", title='"x" & y', class_="c") == '<a title="&quot;x&quot; &amp; y" class="c">&lt;b&gt;</a>'
    )
    assert '<td class="text">&lt;i&gt;</td>' in table([{"h<": "<i>", "n": 1.0}])
