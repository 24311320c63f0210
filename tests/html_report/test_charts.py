"""Charts: axes include all values, and marks are inside the axes."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from embedrec.html_report import charts
from embedrec.html_report.charts import HEIGHT, WIDTH, Axis

numbers = st.floats(-1e9, 1e9, allow_subnormal=False)
above = st.floats(1e-6, 1e9)


@given(st.lists(numbers, min_size=1, max_size=8))
def test_an_axis_contains_its_values(values: list[float]) -> None:
    axis = Axis.of(values, "x")
    assert all(-1e-6 <= axis.share(v) <= 1 + 1e-6 for v in values)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 8 and ticks == sorted(ticks)


@given(st.lists(above, min_size=1, max_size=8))
def test_a_logarithmic_axis_contains_its_values(values: list[float]) -> None:
    axis = Axis.of(values, "x", log=True)
    assert all(-1e-6 <= axis.share(v) <= 1 + 1e-6 for v in values)
    assert all(axis.low / 1.01 <= at <= axis.high * 1.01 for at in axis.ticks())


@given(st.lists(st.tuples(above, above), min_size=2, max_size=20))
def test_a_line_is_inside_the_axes(pairs: list[tuple[float, float]]) -> None:
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


def test_long_labels_are_wrapped_and_never_cut() -> None:
    long = "two-tower-with-features-and-a-very-long-name"
    drawn = charts.intervals([(long, 0.5, None, None), ("b", 0.1, None, None)], Axis(0, 1, "x"), what="w")
    parts = [(float(y), t) for y, t in re.findall(r'y="([\d.]+)" text-anchor="end">([^<]+)', drawn)]
    assert "".join(text for _, text in parts) == f"{long}b" and "…" not in drawn
    assert all(after - before >= 14 for (before, _), (after, _) in pairwise(parts))  # 14: the height of a line


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_an_axis_of_nines_keeps_the_order_of_values(values: list[float]) -> None:
    axis = charts.nines_axis(values, "recall")
    places = [axis.share(v) for v in sorted(values)]
    assert places == sorted(places) and all(0 <= place <= 1 for place in places)
    assert axis.ticks()[0] == axis.low and axis.ticks()[-1] == 1
    assert len(axis.ticks()) >= 3


def test_nines_are_evenly_spaced() -> None:
    axis = charts.nines_axis([0.9, 1.0], "recall")
    assert [round(axis.share(v), 9) for v in (0.9, 0.99, 0.999, 0.9999, 1.0)] == [0, 0.333333333, 0.666666667, 1, 1]


@given(st.lists(above, min_size=1, max_size=8))
def test_a_round_axis_begins_and_ends_near_its_values(values: list[float]) -> None:
    axis = charts.round_log_axis(values, "ms")
    assert axis.low <= min(values) * (1 + 1e-9) and axis.high >= max(values) * (1 - 1e-9)
    assert axis.low * 2.5 >= min(values) * (1 - 1e-9)
    assert axis.high / max(values) <= 5 * (1 + 1e-9)
    assert 2 <= len(axis.ticks()) <= 6


def test_curves_have_colours_tips_and_one_ring() -> None:
    rows = [charts.Curve(f"i{n}", [(0.5, 10, "slow"), (0.9, 100, "fast")], 1 if n == 0 else None) for n in range(9)]
    drawn = charts.curves(
        rows, charts.nines_axis([0.5], "recall"), charts.round_log_axis([10, 100], "queries/s"), what="w"
    )
    assert re.findall(r'<g class="([^"]+)">', drawn) == [*(f"c{n}" for n in range(7)), "c0 again", "c1 again"]
    assert drawn.count('class="ring"') == 1 and drawn.count('class="line"') == 9
    assert "i0: fast" in drawn and "queries/s</text>" in drawn
    for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', drawn):
        assert 0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT
    named = charts.legend([row.label for row in rows])
    assert re.findall(r'<span class="key ([^"]+)"></span>(\w+)', named)[7:] == [("c0 again", "i7"), ("c1 again", "i8")]


def test_labels_of_bars_do_not_overlap() -> None:
    labels = [f"{2**n + 1}–{2 ** (n + 1)}" for n in range(5, 17)]
    drawn = charts.bars(labels, [1.0] * len(labels), Axis(0, 1, "sessions"), below="events", what="w")
    shown = [(float(x), t) for x, t in re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]+)', drawn)]
    assert (shown[0][1], shown[1][1]) == ("events", labels[0])
    for (x, text), (other, after) in pairwise(shown[1:]):
        assert other - x > 3 * (len(text) + len(after))  # half of either, 6 a character


def test_ticks_by_hand() -> None:
    assert [charts.tick(v) for v in (0.05, 20.0, 5000.0, 3e6)] == ["0.05", "20", "5k", "3M"]
