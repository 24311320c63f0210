"""The section about indexes: how fast they are by what they find, and the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedrec.html_report.charts import Curve, curves, legend, nines, round_log
from embedrec.html_report.html import Safe, card, element, figure, table

# what is known of a point, and what the page calls it
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
_OF_SEARCH = ("nprobe", "ef_search", "rerank")
_BEFORE_RECALL = ("", "index", "spec", "items", *_OF_SEARCH)


def indexes_section(indexes: Sequence[Mapping[str, Any]]) -> Iterator[Safe]:
    """Curves of recall against speed and time, then tables; `indexes` as in `Subject`."""
    drawn = [one for index in indexes for one in _drawn(index)]
    if drawn:
        anew = any(index.get("curve") for index in indexes)
        yield element(
            "p",
            "Further right finds more of the exact neighbours; higher is faster in the first chart, lower in the "
            "second. The ring is how an index is searched unless a search says otherwise."
            + (" Each was asked anew for this page, with fewer and more cells or candidates." if anew else ""),
        )
        names = [name for name, _ in drawn]
        yield element(
            "div",
            card("Queries a second, by recall", _chart(drawn, _SPEED, "queries/s, in a batch"), legend(names)),
            card("Time of one query, by recall", _chart(drawn, _TIME, "median ms of one query"), legend(names)),
            class_="grid",
        )
    rows = [{"index": i["name"], "spec": i["spec"], "items": i["items"], **(i["facts"] or {})} for i in indexes]
    for row in rows:
        row.pop("recall_queries", None)
    tables = [table(_named(rows)), *_details(indexes)]
    yield card("What was measured when they were built", *tables)


def _drawn(index: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Names and points of the curves of an index: what was measured for the page, else what its facts tell: of each
    type that was tried for its promise, and of the index itself."""
    facts = index["facts"] or {}
    if index.get("curve"):
        yield index["name"], index["curve"]
    elif facts.get("points"):
        for spec in dict.fromkeys(point["spec"] for point in facts["points"]):
            own = [point for point in facts["points"] if point["spec"] == spec]
            yield f"{index['name']}: {spec}", own
    elif _recall(facts) is not None and facts.get(_SPEED):
        yield index["name"], [{**facts, "kept": True}]


def _recall(point: Mapping[str, Any]) -> str | None:
    return next((key for key in point if key.startswith("recall@")), None)


def _chart(drawn: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], key: str, label: str) -> Safe:
    """Recall against one of the facts, a curve an index."""
    lines, lengths = [], set()
    for name, points in drawn:
        places = []
        for point in points:
            recall = _recall(point)
            assert recall is not None
            lengths.add(recall)
            places.append((point[recall], max(point[key], 1e-3), _said(point, recall), point.get("kept")))
        places.sort(key=lambda place: place[:2])
        ringed = next((number for number, place in enumerate(places) if place[3]), None)
        lines.append(Curve(name, [place[:3] for place in places], ringed))
    found, levels = zip(*(point[:2] for line in lines for point in line.points), strict=True)
    x = nines(found, lengths.pop() if len(lengths) == 1 else "recall")
    return curves(lines, x, round_log(levels, label), what=f"{label}, by recall")


def _said(point: Mapping[str, Any], recall: str) -> str:
    settings = [f"{key} {point[key]}" for key in _OF_SEARCH if point.get(key)]
    measured = [f"{recall} {figure(point[recall])}", f"{figure(point[_SPEED])} queries/s", f"{point[_TIME]:g} ms"]
    return ", ".join([*settings, *measured])


def _details(indexes: Sequence[Mapping[str, Any]]) -> Iterator[Safe]:
    """The figures behind the curves, folded up."""
    for index in indexes:
        for key, name in (("curve", "the points of its curve"), ("points", "what was tried for its promise")):
            points = index.get(key) or (index["facts"] or {}).get(key) or ()
            if len(points) > 1:
                kept = [{"": "●" if point.get("kept") else "", **point} for point in points]
                yield element("details", element("summary", f"{index['name']}: {name}"), table(_named(kept)))


def _named(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the same columns: those with a name here, and recall; what none of the rows has is left out."""
    known = dict.fromkeys(key for row in rows for key, value in row.items() if value is not None)
    recalls = {key: key for key in known if key.startswith("recall@")}
    order = [(key, name) for key, name in _NAMES.items() if key in _BEFORE_RECALL]
    order += [*recalls.items(), *((key, name) for key, name in _NAMES.items() if key not in _BEFORE_RECALL)]
    return [{name: row.get(key) for key, name in order if key in known} for row in rows]
