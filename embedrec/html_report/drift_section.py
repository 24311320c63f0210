"""The section about refreshes: the drift of the last one, and the overlap of lists night by night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedrec.html_report.charts import Axis, Curve, curves, legend
from embedrec.html_report.html import Safe, card, element, figure, table

_NOT_FIGURES = ("kind", "name", "old", "new", "worst")  # keys of a drift


def drift_section(refreshes: Sequence[Mapping[str, Any]]) -> Iterator[Safe]:
    """Tables and a chart of records of refreshes, the newest first, see `workflows.refresh.records`."""
    last = refreshes[0]
    yield element(
        "p",
        "What changed from one version of a model or index to the next, when new events were added; numbers before "
        "and after the arrow are those of the old and the new version.",
    )
    yield card(f"Refresh of {_night(last)}", element("p", _outcome(last)), table(_figures(last["drift"])))
    if len(refreshes) > 1:
        rows = [{"night": _night(one), **_overlaps(one), "result": _outcome(one)} for one in refreshes]
        names = dict.fromkeys(name for row in rows for name in row if name not in ("night", "result"))
        columns = ["night", *names, "result"]
        yield card(
            "Overlap of lists, night by night",
            _chart(refreshes[::-1], list(names)),
            legend(list(names)),
            table([{name: row.get(name) for name in columns} for row in rows]),
        )


def _figures(drifts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a figure, a column a model or index."""
    names = dict.fromkeys(name for drift in drifts for name in drift if name not in _NOT_FIGURES)
    return [{"figure": name, **{drift["name"]: _text(drift.get(name)) for drift in drifts}} for name in names]


def _text(value: Any) -> str:
    return " → ".join(map(figure, value)) if isinstance(value, list) else figure(value)


def _overlaps(refresh: Mapping[str, Any]) -> dict[str, float]:
    """The overlap of each model and index."""
    return {
        drift["name"]: value
        for drift in refresh["drift"]
        for name, value in drift.items()
        if name.startswith("overlap@")
    }


def _chart(refreshes: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Safe:
    """The overlap by night, a line a model or index."""
    lines: dict[str, list[tuple[float, float, str]]] = {name: [] for name in names}
    for number, one in enumerate(refreshes, 1):
        for name, value in _overlaps(one).items():
            lines[name].append((number, value, f"{_night(one)}: {figure(value)}"))
    x = Axis(1, len(refreshes), "night", whole=True)
    return curves(
        [Curve(name, points, None) for name, points in lines.items()], x, Axis(0, 1, "overlap"), what="Overlap"
    )


def _night(refresh: Mapping[str, Any]) -> str:
    return str(refresh["at"])[:16].replace("T", " ")


def _outcome(refresh: Mapping[str, Any]) -> str:
    return f"refused: {'; '.join(refresh['refused'])}" if refresh["refused"] else "put in place"
