"""The section about indexes: speed by recall as curves, and tables of the measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedrec.html_report.charts import Curve, curves, legend, nines_axis, round_log_axis
from embedrec.html_report.html import Safe, card, element, figure, table

# keys of measurements, and their column names
_NAMES = {
    "": "",
    "index": "index",
    "spec": "type",
    "items": "items",
    "nprobe": "nprobe",
    "ef_search": "ef_search",
    "rerank": "rerank",
    "recall_low": "low",
    "recall_queries": "queries",
    "query_ms_p50": "p50 ms",
    "query_ms_p95": "p95 ms",
    "query_ms_p99": "p99 ms",
    "queries_per_second": "queries/s",
    "bytes_per_vector": "bytes/vector",
    "build_seconds": "build s",
}
_SPEED, _TIME = "queries_per_second", "query_ms_p50"
_SEARCH_SETTINGS = ("nprobe", "ef_search", "rerank")
_BEFORE_RECALL = ("", "index", "spec", "items", *_SEARCH_SETTINGS)


def indexes_section(indexes: Sequence[Mapping[str, Any]]) -> Iterator[Safe]:
    """Curves of recall against speed and time, then tables; `indexes` as in `Subject`."""
    named = [one for index in indexes for one in _curves_of(index)]
    if sum(len(points) for _, points in named) > 1:  # a chart of one point says no more than the table
        measured = any(index.get("curve") for index in indexes)
        yield element(
            "p",
            "Further right is higher recall; higher is faster in the first chart, lower is faster in the second. "
            "The ring marks the default search settings of an index."
            + (" Each index was measured for this page, with fewer and more cells or candidates." if measured else ""),
        )
        names = [name for name, _ in named]
        yield element(
            "div",
            card("Queries per second by recall", _chart(named, _SPEED, "queries/s, in a batch"), legend(names)),
            card("Latency of one query by recall", _chart(named, _TIME, "median ms of one query"), legend(names)),
            class_="grid",
        )
    rows = [{"index": i["name"], "spec": i["spec"], "items": i["items"], **(i["facts"] or {})} for i in indexes]
    for row in rows:
        row.pop("recall_queries", None)
    tables = [table(_table_rows(rows)), *_details(indexes)]
    yield card("Measurements at build time", *tables)


def _curves_of(index: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Names and points of the curves of an index: measured for the page, else from its build: of each candidate type
    for its search target, or of the index itself."""
    measurements = index["facts"] or {}
    if index.get("curve"):
        yield index["name"], index["curve"]
    elif measurements.get("points"):
        for spec in dict.fromkeys(point["spec"] for point in measurements["points"]):
            own = [point for point in measurements["points"] if point["spec"] == spec]
            yield f"{index['name']}: {spec}", own
    elif _recall(measurements) is not None and measurements.get(_SPEED):
        yield index["name"], [{**measurements, "kept": True}]


def _recall(point: Mapping[str, Any]) -> str | None:
    return next((key for key in point if key.startswith("recall@")), None)


def _chart(named: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], key: str, label: str) -> Safe:
    """One measurement by recall, one curve per index."""
    lines, lengths = [], set()
    for name, points in named:
        coordinates = []
        for point in points:
            recall = _recall(point)
            assert recall is not None
            lengths.add(recall)
            text = _describe_point(point, recall)
            coordinates.append((point[recall], max(point[key], 1e-3), text, point.get("kept")))
        coordinates.sort(key=lambda one: one[:2])
        ringed = next((number for number, one in enumerate(coordinates) if one[3]), None)
        lines.append(Curve(name, [one[:3] for one in coordinates], ringed))
    recalls, levels = zip(*(point[:2] for line in lines for point in line.points), strict=True)
    x = nines_axis(recalls, lengths.pop() if len(lengths) == 1 else "recall")
    return curves(lines, x, round_log_axis(levels, label), what=f"{label}, by recall")


def _describe_point(point: Mapping[str, Any], recall: str) -> str:
    settings = [f"{key} {point[key]}" for key in _SEARCH_SETTINGS if point.get(key)]
    measured = [f"{recall} {figure(point[recall])}", f"{figure(point[_SPEED])} queries/s", f"{point[_TIME]:g} ms"]
    return ", ".join([*settings, *measured])


def _details(indexes: Sequence[Mapping[str, Any]]) -> Iterator[Safe]:
    """The tables of the curves, collapsed."""
    for index in indexes:
        for key, name in (("curve", "points of the curve"), ("points", "candidates for the search target")):
            points = index.get(key) or (index["facts"] or {}).get(key) or ()
            if len(points) > 1:
                kept = [{"": "●" if point.get("kept") else "", **point} for point in points]
                yield element("details", element("summary", f"{index['name']}: {name}"), table(_table_rows(kept)))


def _table_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the columns of `_NAMES` and recall; columns without a value are omitted."""
    known = dict.fromkeys(key for row in rows for key, value in row.items() if value is not None)
    recalls = {key: key for key in known if key.startswith("recall@")}
    order = [(key, name) for key, name in _NAMES.items() if key in _BEFORE_RECALL]
    order += [*recalls.items(), *((key, name) for key, name in _NAMES.items() if key not in _BEFORE_RECALL)]
    return [{name: row.get(key) for key, name in order if key in known} for row in rows]
