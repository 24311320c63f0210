"""The page: sections from a `Subject`, put together with the style sheet and the script that lie beside this file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.html_report import charts
from embedrec.html_report.charts import Axis
from embedrec.html_report.content import Subject
from embedrec.html_report.html import Safe, card, element, figure, joined, table
from embedrec.html_report.index_section import indexes_section
from embedrec.storage.atomic import atomic_file
from embedrec.text.control_characters import visible

_HERE = Path(__file__).parent


def write_page(place: Path, title: str, subject: Subject) -> None:
    """Write the page as the file `place`."""
    text = page(title, subject)
    with atomic_file(place) as out:
        out.write(text)


def page(title: str, subject: Subject) -> str:
    """The whole page as HTML. It loads nothing: its policy forbids that, and scripts other than its own."""
    css, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{own}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    sections = list(_sections(subject))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Safe(css)),
    )
    links = element("nav", *(element("a", name, href=f"#{key}") for key, name, _ in sections))
    body = element(
        "body",
        element("header", element("h1", title), _subtitle(subject), links),
        element("main", *(element("section", element("h2", name), *parts, id=key) for key, name, parts in sections)),
        element("footer", element("p", "Made by embedrec from artifacts whose checksums were right.")),
        element(
            "script",
            Safe(_for_script({"map": subject.map, "near": subject.near})),
            type="application/json",
            id="page-data",
        ),
        element("script", Safe(script)),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _for_script(value: Any) -> str:
    """JSON in which nothing can end the element that holds it."""
    text = json.dumps(_visible(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _visible(value: Any) -> Any:
    """A JSON value whose texts hold no character that acts unseen, see `controls`."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(inner) for key, inner in value.items()}
    return [_visible(inner) for inner in value] if isinstance(value, list | tuple) else value


def _subtitle(subject: Subject) -> Safe:
    said = subject.sessions
    source = f" from {said['source']}" if said.get("source") else ""
    models, indexes = len(subject.models), len(subject.indexes)
    counted = f"{models} model{'s' * (models != 1)}, {indexes} index{'es' * (indexes != 1)}"
    return element("p", f"{said['name']}{source}: {counted}")


def _sections(subject: Subject) -> Iterator[tuple[str, str, list[Safe]]]:
    """Id, name and content of each section that has any."""
    yield "data", "The data", list(_data(subject))
    if subject.tables:
        yield "tables", "Tables", [_published(one) for one in subject.tables]
    if subject.comparison is not None:
        yield "comparison", "Which model is best", list(_comparison(subject.comparison))
        kinds = list(_kinds(subject.comparison))
        if kinds:
            yield "kinds", "For whom, and for what", kinds
    curves = list(_curves(subject.models))
    if curves:
        note = element("p", "A loss is the mean over an epoch, as it was met; losses of models are not of one kind.")
        yield "training", "Training", [note, element("div", *curves, class_="grid")]
    if subject.indexes:
        yield "indexes", "Indexes", list(indexes_section(subject.indexes))
    if subject.map is not None:
        yield "items", "A map of the items", list(_map(subject.map))
    if subject.near is not None and subject.near["items"]:
        yield "near", "Neighbours side by side", list(_near(subject))
    if subject.models:
        yield "models", "Models", [_models(subject.models)]


def _data(subject: Subject) -> Iterator[Safe]:
    said = subject.sessions
    tiles = [("sessions", said["sessions"]), ("items", said["items"]), ("events", said["events"])]
    tiles += [("users", said["users"])] if said["users"] is not None else []
    tiles += [("median length", said["lengths"]["median"]), ("longest", said["lengths"]["max"])]
    tiles += [("of events are repeats", f"{said['repeats']:.1%}"), ("Gini of items", f"{said['gini']:.2f}")]
    if said["first"] is not None:
        days = [str(np.datetime64(said[end], "ms").astype("datetime64[D]")) for end in ("first", "last")]
        tiles.append(("first and last day", " – ".join(days)))
    yield _tiles(tiles)
    yield element(
        "p",
        f"The most frequent 1% of items are {said['top_1']:.1%} of all events, the most frequent 10% are "
        f"{said['top_10']:.1%}; the median item has {said['median_item']:g} events.",
    )
    buckets = said["histogram"]
    labels = [str(b["least"]) if b["least"] == b["most"] else f"{b['least']}–{b['most']}" for b in buckets]
    counts = [b["sessions"] for b in buckets]
    cards = [
        card(
            "Sessions by length",
            charts.bars(labels, counts, Axis.of([0, *counts], "sessions"), below="events", what="Sessions by length"),
        )
    ]
    if len(subject.ranks) > 1:
        ranks, mentions = zip(*subject.ranks, strict=True)
        axes = Axis.of(ranks, "rank of the item", log=True), charts.round_log(mentions, "events")
        cards.append(card("Events of an item, by rank", charts.line(ranks, mentions, *axes, what="Events by rank")))
        share, events = zip(*subject.share, strict=True)
        axes = Axis(0, 1, "share of items, the most popular first"), Axis(0, 1, "share of events")
        cards.append(card("How much of all a few items are", charts.line(share, events, *axes, what="Skew")))
    yield element("div", *cards, class_="grid")


def _tiles(tiles: Sequence[tuple[str, Any]]) -> Safe:
    one = (
        element("div", element("b", f"{v:g}" if isinstance(v, float) else figure(v)), element("span", k), class_="tile")
        for k, v in tiles
    )
    return element("div", *one, class_="tiles")


def _published(one: Mapping[str, Any]) -> Safe:
    note = element("p", one["note"]) if one["note"] else None
    return card(one["title"], table(one["rows"]), note)


def _comparison(said: Mapping[str, Any]) -> Iterator[Safe]:
    if "protocol" in said:
        yield element(
            "p",
            f"Split {said['split']}, {said['part']} part; protocol {said['protocol']}; "
            f"{figure(said['catalogue'])} items ranked; ties {said['ties']}; seen items {said['seen']}.",
        )
    rows = said["rows"]
    cards = [card(name, chart) for name, of in _measured(said) if (chart := _dots(name, of)) is not None]
    yield element("div", *cards, class_="grid")
    note = "“behind” is the difference to the best, paired by session, with its 95% interval."
    yield card("All figures", table(rows, shade=_metrics(rows)), element("p", note))


def _measured(said: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, Any, Any, Any]]]]:
    """Name of a chart, and of each model the value and the ends of its interval: the first two metrics, and how far
    models are behind the best."""
    rows, lead = said["rows"], _lead(said["rows"])
    yield lead, [(r["model"], r[lead], r.get("low"), r.get("high")) for r in rows]
    if len(rows) > 1 and "behind" in rows[0]:
        of = [(r["model"], r["behind"], r["behind_low"], r["behind_high"]) for r in rows[1:]]
        yield f"Behind {rows[0]['model']} in {lead}", of
    for name in [name for name in _metrics(rows) if name != lead][:1]:
        told = [said.get("metrics", {}).get(r["model"], {}) for r in rows]
        yield (
            name,
            [
                (r["model"], r[name], t.get(f"{name}_low"), t.get(f"{name}_high"))
                for r, t in zip(rows, told, strict=True)
            ],
        )


def _dots(name: str, rows: Sequence[tuple[str, Any, Any, Any]]) -> Safe | None:
    """A dot a model with its interval; None where nothing has a value."""
    drawn = [row for row in rows if row[1] is not None]
    ends = [v for row in drawn for v in row[1:] if v is not None]
    if not drawn:
        return None
    said = "with 95% intervals" if len(ends) > len(drawn) else ""
    return charts.intervals(drawn, Axis.of(ends, said, zero=True), what=name)


def _metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in rows[0] if "@" in name or name == "r_precision"]


def _lead(rows: Sequence[Mapping[str, Any]]) -> str:
    """The metric whose interval stands behind it, else the first."""
    names = list(rows[0])
    return names[names.index("low") - 1] if "low" in names else names[1]


def _kinds(said: Mapping[str, Any]) -> Iterator[Safe]:
    for key, name, head in (
        ("by_length", "By length of the history", "length"),
        ("by_popularity", "By popularity of the target", "target"),
    ):
        found = {model: lines for model, lines in said[key].items() if lines}
        if not found:
            continue
        # in the order of the comparison; a row a model, a column a kind of question
        order = [row["model"] for row in said["rows"] if row["model"] in found]
        metric = next(m for m in found[order[0]][0] if "@" in m)
        kinds = [(line[head], line["questions"]) for line in found[order[0]]]
        rows: list[dict[str, Any]] = [{"model": m, **{line[head]: line[metric] for line in found[m]}} for m in order]
        counts = {"model": "questions", **dict(kinds)}
        yield card(f"{name}: {metric}", table([*rows, counts], shade=()) if not rows else _heat(rows, counts))


def _heat(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, Any]) -> Safe:
    """Rows of figures that are shaded, all on one scale, and a last row of counts that is not."""
    heads = [name for name in counts if name != "model"]
    most = max((row[h] for row in rows for h in heads if row.get(h) is not None), default=0) or 1
    lines = []
    for row in rows:
        cells = [element("td", row["model"], class_="text")]
        for head in heads:
            value = row.get(head)
            style = None if value is None else f"--share:{value / most:.3f}"
            cells.append(element("td", figure(value), class_="number heat" if style else "number", style=style))
        lines.append(element("tr", *cells))
    last = element("tr", *(element("th", figure(counts[name])) for name in ["model", *heads]))
    head = element("tr", *(element("th", name) for name in ["model", *heads]))
    whole = element("table", element("thead", head), element("tbody", *lines), element("tfoot", last))
    return element("div", whole, class_="wide", tabindex="0")


def _curves(models: Sequence[Mapping[str, Any]]) -> Iterator[Safe]:
    """A card a model and number that its training reported more than once."""
    for model in models:
        epochs = model.get("epochs") or []
        names = [name for name in (epochs[0] if epochs else {}) if name == "loss" or "@" in name or name == "objective"]
        for name in names:
            told = [(e["epoch"], e[name]) for e in epochs if isinstance(e.get(name), int | float) and "epoch" in e]
            if len(told) < 2:
                continue
            xs, ys = zip(*told, strict=True)
            axes = Axis(xs[0], xs[-1], "epoch", whole=True), Axis.of(ys, name)
            yield card(
                f"{model['name']}: {name}", charts.line(xs, ys, *axes, what=f"{name} by epoch", points=len(xs) < 41)
            )


def _map(said: Mapping[str, Any]) -> Iterator[Safe]:
    yield element(
        "p",
        f"The {len(said['items']):,} most popular items of {said['model']}, placed by {said['way']}, coloured by "
        f"{said['by']}. Point at one for its name, click to come closer.",
    )
    controls = element(
        "div",
        element("input", id="search", type="search", placeholder="Find an item", aria_label="Find an item"),
        element("button", "Whole map", id="whole", type="button"),
        element("span", "", id="matches", role="status"),
        class_="bar-of-controls",
    )
    canvas = element("canvas", "", id="canvas", role="img", aria_label="Items on a plane")
    plane = element("div", canvas, element("div", "", id="tip"), id="map")
    yield element("div", controls, plane, element("div", "", id="legend", class_="legend"), class_="card")


def _near(subject: Subject) -> Iterator[Safe]:
    shown = set(subject.near["models"]) if subject.near is not None else set()
    others = [model["name"] for model in subject.models if model["name"] not in shown]
    told = f" Left out, as they answer histories and not items: {', '.join(others)}." if others else ""
    yield element("p", f"The nearest items of one item, model by model; bold is what all of them name.{told}")
    controls = element(
        "div",
        element("button", "‹", id="before", type="button", aria_label="Item before"),
        element("select", "", id="item", aria_label="Item"),
        element("button", "›", id="next", type="button", aria_label="Next item"),
        class_="bar-of-controls",
    )
    yield element("div", controls, element("div", "", id="lists", class_="lists", aria_live="polite"), class_="card")


def _models(models: Sequence[Mapping[str, Any]]) -> Safe:
    rows = [{key: m.get(key) for key in ("name", "recipe", "items", "seconds")} for m in models]
    settings = [
        element(
            "details",
            element("summary", m["name"]),
            table([{"setting": k, "value": _setting(v)} for k, v in said.items()]),
        )
        for m in models
        if (said := m.get("settings"))
    ]
    return element("div", table(rows), joined(settings), class_="card")


def _setting(value: Any) -> str:
    """A setting as TOML writes it, "–" for one that is not set."""
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
