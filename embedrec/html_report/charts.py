"""Charts as SVG: lines, bars, dots with intervals, curves. The page's style sheet defines the colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from textwrap import wrap

from embedrec.html_report.html import Safe, element, figure

WIDTH, HEIGHT = 360, 220  # about the pixels of a phone, so that texts keep their size
COLOURS = 7  # of curves
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 30, 44
_LOG_TICKS = 5
_LETTER = 8  # width of a character
_LABEL, _LINE = 14, 17  # characters of a line of a label; its height
_NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)
_LEFT_OUT = 1e-4  # a share this close to 1 is drawn as 1


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale from `low` to `high`, with a label.

    whole  whether ticks are integers only
    nines  for shares: .9, .99 and .999 are evenly spaced, and values above .9999 are drawn as 1
    """

    low: float
    high: float
    label: str
    log: bool = False
    whole: bool = False
    nines: bool = False

    @classmethod
    def of(cls, values: Sequence[float], label: str, *, log: bool = False, zero: bool = False) -> Axis:
        """An axis that contains the values, and 0 if `zero`; its ends are ticks unless it is logarithmic."""
        low, high = min(values), max(values)
        if log:
            return cls(low, high if high > low else low * 10, label, True)
        low = min(0.0, low) if zero else low
        step = _step(low, high)
        return cls(floor(low / step + 1e-9) * step, max(ceil(high / step - 1e-9), floor(low / step) + 1) * step, label)

    def share(self, value: float) -> float:
        """The position of a number: 0 at the low end, 1 at the high end."""
        if self.nines:
            least = log10(max(1 - self.low, _LEFT_OUT))
            return (least - log10(max(1 - value, _LEFT_OUT))) / (least - log10(_LEFT_OUT))
        if self.log:
            return (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round numbers along the axis."""
        if self.nines:
            return [v for v in _NINES if v >= self.low]
        if self.log:
            return _log_ticks(self.low, self.high)
        step = max(_step(self.low, self.high), float(self.whole))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def nines_axis(values: Sequence[float], label: str) -> Axis:
    """An axis for shares near 1, where the last digits matter."""
    return Axis(max(v for v in _NINES[:-2] if v <= max(min(values), 0)), 1.0, label, nines=True)


def round_log_axis(values: Sequence[float], label: str) -> Axis:
    """A logarithmic axis that contains the values, with round ends such as 10, 20 and 50."""
    low, high = min(values), max(values)
    below = max(v for v in _round_numbers(low / 10, low))
    above = min(v for v in _round_numbers(high, high * 10) if v > below)
    return Axis(below, above, label, True)


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … if they are few, otherwise powers of ten."""
    numbers = _round_numbers(low, high)
    if len(numbers) > _LOG_TICKS:
        powers = [v for v in numbers if f"{v:e}".startswith("1.0")]
        numbers = powers[:: max(1, ceil(len(powers) / _LOG_TICKS))]
    return numbers if len(numbers) > 1 else [low, high]


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from low to high."""
    powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    numbers = [float(f"{m}e{p}") for p in powers for m in (1, 2, 5)]
    return [v for v in numbers if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def _step(low: float, high: float) -> float:
    """A round step that gives about four ticks."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** floor(log10(span / 4))
    return float(next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 5))


def line(xs: Sequence[float], ys: Sequence[float], x: Axis, y: Axis, *, what: str, points: bool = False) -> Safe:
    """One line; with `points`, a dot per value with its numbers as a tooltip."""
    to_pixels = _to_pixels(x, y)
    pixels = [to_pixels(a, b) for a, b in zip(xs, ys, strict=True)]
    path = "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in pixels)
    dots = [
        element("circle", element("title", f"{tick(a)}: {figure(b)}"), cx=f"{u:.1f}", cy=f"{v:.1f}", r=3, class_="dot")
        for (a, b), (u, v) in zip(zip(xs, ys, strict=True), pixels, strict=True)
        if points
    ]
    return _frame(x, y, element("path", "", d=path, class_="line"), *dots, what=what)


def bars(labels: Sequence[str], values: Sequence[float], y: Axis, *, what: str, below: str = "") -> Safe:
    """One bar per label; `below` is the title of the labels."""
    wide = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    marks = [_label((WIDTH + _LEFT) / 2, HEIGHT - 6, below, "middle")]
    every = max(1, ceil((max(map(len, labels), default=0) + 1) * _LETTER / wide))
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        tall = y.share(value) * (HEIGHT - _TOP - _BOTTOM)
        left = _LEFT + number * wide
        tip = element("title", f"{label}: {figure(value)}")
        marks.append(
            element(
                "rect",
                tip,
                x=f"{left + 1:.1f}",
                y=f"{HEIGHT - _BOTTOM - tall:.1f}",
                width=f"{max(wide - 2, 1):.1f}",
                height=f"{tall:.1f}",
                rx=2,
                class_="bar",
            )
        )
        if number % every == 0:
            marks.append(_label(left + wide / 2, HEIGHT - _BOTTOM + 18, label, "middle"))
    return _frame(None, y, *marks, what=what)


def intervals(rows: Sequence[tuple[str, float, float | None, float | None]], x: Axis, *, what: str) -> Safe:
    """One row per label: a dot, and a line from low to high if they are known. Long labels are wrapped."""
    texts = [wrap(label, _LABEL) or [""] for label, *_ in rows]
    top = 8
    left = 16 + _LETTER * max(len(part) for parts in texts for part in parts)
    wide = WIDTH - left - 64  # leaves room for the value next to its interval
    ends = [top]
    for parts in texts:
        ends.append(ends[-1] + 12 + _LINE * len(parts))
    tall = ends[-1] + _BOTTOM

    def to_x(value: float) -> float:
        return left + x.share(value) * wide

    marks = []
    ticks = x.ticks()
    widest = max(len(tick(value)) for value in ticks) + 1
    every = ceil(widest * _LETTER * (len(ticks) - 1) / wide) if len(ticks) > 1 else 1
    for number, value in enumerate(ticks):
        marks.append(_rule(to_x(value), top, to_x(value), tall - _BOTTOM))
        if number % every == 0:
            marks.append(_label(to_x(value), tall - _BOTTOM + 18, tick(value), "middle"))
    marks.append(_label(left + wide / 2, tall - 5, x.label, "middle"))
    for number, (label, value, low, high) in enumerate(rows):
        middle = (ends[number] + ends[number + 1]) / 2
        first = middle + 5 - _LINE * (len(texts[number]) - 1) / 2
        marks += [_label(left - 10, first + _LINE * i, part, "end") for i, part in enumerate(texts[number])]
        if low is not None and high is not None:
            marks.append(element("line", "", x1=f"{to_x(low):.1f}", x2=f"{to_x(high):.1f}", y1=f"{middle:.1f}",
                                 y2=f"{middle:.1f}", class_="whisker"))  # fmt: skip
        value_text = figure(value) + (f" ({figure(low)} to {figure(high)})" if low is not None else "")
        tip = element("title", f"{label}: {value_text}")
        marks.append(element("circle", tip, cx=f"{to_x(value):.1f}", cy=f"{middle:.1f}", r=5, class_="dot"))
        end = to_x(value if high is None else max(high, value))
        marks.append(_label(end + 9, middle + 5, figure(value), "start", kind="value"))
    return _svg(marks, tall, what)


@dataclass(frozen=True)
class Curve:
    """Points joined by a line from left to right.

    points  (x, y, tooltip)
    ringed  the point with a ring; None for none
    """

    label: str
    points: Sequence[tuple[float, float, str]]
    ringed: int | None = None


def curves(rows: Sequence[Curve], x: Axis, y: Axis, *, what: str) -> Safe:
    """One line per curve, in the colours of `legend`."""
    to_pixels = _to_pixels(x, y)
    marks = []
    for number, curve in enumerate(rows):
        pixels = [to_pixels(a, b) for a, b, _ in curve.points]
        own = []
        if len(pixels) > 1:
            path = "M" + " L".join(f"{u:.1f},{v:.1f}" for u, v in pixels)
            own.append(element("path", "", d=path, class_="line"))
        for point, (u, v) in enumerate(pixels):
            tip = element("title", f"{curve.label}: {curve.points[point][2]}")
            if point == curve.ringed:
                own.append(element("circle", "", cx=f"{u:.1f}", cy=f"{v:.1f}", r=8, class_="ring"))
            own.append(element("circle", tip, cx=f"{u:.1f}", cy=f"{v:.1f}", r=4, class_="dot"))
        marks.append(element("g", *own, class_=_colour(number)))
    return _frame(x, y, *marks, what=what)


def legend(labels: Sequence[str]) -> Safe:
    """The names of curves with their colours."""
    keys = (element("span", "", class_=f"key {_colour(number)}") for number in range(len(labels)))
    return element("div", *(element("span", *one) for one in zip(keys, labels, strict=True)), class_="legend")


def _colour(number: int) -> str:
    """The CSS class of a curve: its colour, and a dashed line if the colour repeats."""
    return f"c{number % COLOURS}" + (" again" if number >= COLOURS else "")


def _to_pixels(x: Axis, y: Axis) -> Callable[[float, float], tuple[float, float]]:
    def to_pixels(a: float, b: float) -> tuple[float, float]:
        wide, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        return _LEFT + x.share(a) * wide, HEIGHT - _BOTTOM - y.share(b) * tall

    return to_pixels


def _frame(x: Axis | None, y: Axis, *marks: Safe, what: str) -> Safe:
    """The marks with axes, rules and ticks."""
    around = []
    for value in y.ticks():
        level = HEIGHT - _BOTTOM - y.share(value) * (HEIGHT - _TOP - _BOTTOM)
        around.append(_rule(_LEFT, level, WIDTH - _RIGHT, level))
        around.append(_label(_LEFT - 7, level + 5, tick(value), "end"))
    for value in [] if x is None else x.ticks():
        x_position = _LEFT + x.share(value) * (WIDTH - _LEFT - _RIGHT) if x is not None else 0.0
        around.append(_label(x_position, HEIGHT - _BOTTOM + 18, tick(value), "middle"))
    if x is not None:
        around.append(_label((WIDTH + _LEFT) / 2, HEIGHT - 6, x.label, "middle"))
    around.append(_label(0, 14, y.label, "start"))
    return _svg([*around, *marks], HEIGHT, what)


def _svg(marks: Sequence[Safe], tall: float, what: str) -> Safe:
    return element("svg", *marks, viewBox=f"0 0 {WIDTH} {tall:.0f}", role="img", aria_label=what)


def _rule(x1: float, y1: float, x2: float, y2: float) -> Safe:
    return element("line", "", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_="rule")


def _label(x: float, y: float, text: str, anchor: str, *, kind: str | None = None) -> Safe:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)


def tick(value: float) -> str:
    """A number as a tick label: 0.05, 20, 5k, 3M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"
