"""What a page is about: facts of sessions, models, indexes and a comparison, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.features import Categories, Lists
from embedrec.data.find_items import find_items
from embedrec.data.item_text import apart
from embedrec.data.sessions import Sessions
from embedrec.data.statistics import describe
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.html_report.item_map import Method, on_a_plane
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.readers.tabular.item_labels import read_labels
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

_ON_MAP = 2000  # most popular items
_GROUPS = 7  # labels with a colour of their own
_SHARES = ((0.01, "most popular 1%"), (0.05, "1–5%"), (0.2, "5–20%"), (0.5, "20–50%"), (1.0, "50–100%"))
_ASKED = 16  # items whose neighbours are shown
_NEAR = 10
_CURVE = 60  # points of a curve over all items


@dataclass(frozen=True)
class Subject:
    """Everything that a page shows, as JSON values.

    sessions    name, and what `describe` says
    ranks       (rank, mentions) of some items, from the most popular
    share       (share of items, share of events) of the most popular ones, from 0 to 1
    models      name, recipe, items, seconds, settings, epochs of each
    indexes     name, spec, facts of each, and its "curve" where it was measured, see `curves.curve_of`
    comparison  as `comparison.recorded` gives it, with what was asked; None without one
    tables      title, note and rows of texts
    map         model, way, groups, and of each item id, name, mentions, place and group; None without vectors
    near        models, and of each item that is asked for id, name, mentions, and a list of (name, score) a model
    """

    sessions: dict[str, Any]
    ranks: list[tuple[int, int]]
    share: list[tuple[float, float]]
    models: list[dict[str, Any]]
    indexes: list[dict[str, Any]]
    comparison: dict[str, Any] | None = None
    tables: list[dict[str, Any]] = field(default_factory=list)
    map: dict[str, Any] | None = None
    near: dict[str, Any] | None = None


def subject_of(
    workspace: Workspace,
    sessions: str,
    models: Sequence[str],
    indexes: Sequence[str],
    *,
    comparison: dict[str, Any] | None = None,
    tables: Sequence[dict[str, Any]] = (),
    items: Sequence[str] = (),
    label: str | None = None,
    way: Method = "auto",
    curves: bool = False,
    seed: int = 0,
    report: Report = quiet,
) -> Subject:
    """Gather what a page shows.

    models  names; the map is of the first one with vectors
    items   whose neighbours are shown, ids or names; some popular ones where there are none
    label   colours the map: a list or category among the items' features, or a file as of `compare --labels`; None
            takes the first such feature, else popularity
    way     how items are placed, see `layout.on_a_plane`; so is seed
    curves  whether indexes are measured, each with several settings
    report  "progress" with `done` and `total` models, and indexes that are measured

    Raises ArtifactError and SettingsError for what is not there, UnknownItemError for items.
    """
    source = workspace.find("sessions", sessions)
    given = Sessions.load(source)
    about = [workspace.find("model", name) for name in models]
    counts = np.bincount(given.items, minlength=len(given.vocab))
    order = np.argsort(-counts, kind="stable")  # rows by mentions
    known = None if given.item_features is None else partial(apart, given.item_features, given.vocab)
    asked = find_items(given.vocab, items, known) if items else _spread(order, counts)
    opened = {}
    for number, artifact in enumerate(about, 1):
        model = load_model(artifact)
        if isinstance(model, VectorModel | ListsModel):
            opened[artifact.name] = model
        report("progress", done=number, total=len(about), unit="models")
    vectors = next((name for name, model in opened.items() if isinstance(model, VectorModel)), None)
    place = None
    if vectors is not None:
        place = {"model": vectors, **_map(opened[vectors], given, counts, order, label, way, seed)}
    elif label is not None:
        raise SettingsError("a label colours the map, but none of the models has vectors; leave it out")
    ranks = _spaced(int((counts > 0).sum()))
    cumulated = np.cumsum(counts[order]) / max(int(counts.sum()), 1)
    return Subject(
        {"name": source.name, "source": source.about.get("source"), **asdict(describe(given))},
        [(rank + 1, int(counts[order[rank]])) for rank in ranks],
        [(0.0, 0.0), *(((rank + 1) / max(len(ranks) and ranks[-1] + 1, 1), float(cumulated[rank])) for rank in ranks)],
        [_of_model(artifact) for artifact in about],
        _of_indexes([workspace.find("index", name) for name in indexes], curves, report),
        comparison,
        list(tables),
        place,
        _near(opened, given.vocab, asked, counts) if opened else None,
    )


def _of_model(artifact: Artifact) -> dict[str, Any]:
    about = artifact.about
    keys = ("recipe", "items", "seconds", "settings", "epochs")
    return {"name": artifact.name, **{key: about[key] for key in keys if key in about}}


def _of_indexes(artifacts: Sequence[Artifact], curves: bool, report: Report) -> list[dict[str, Any]]:
    found = []
    for number, artifact in enumerate(artifacts, 1):
        keys = ("spec", "items", "metric", "facts")
        found.append({"name": artifact.name, **{key: artifact.about.get(key) for key in keys}})
        if curves:
            from embedrec.html_report.recall_curves import curve_of

            found[-1]["curve"] = curve_of(artifact)
            report("progress", done=number, total=len(artifacts), unit="indexes")
    return found


def _spaced(n: int) -> list[int]:
    """Some of 0 … n − 1, close together at first: each about as many times the one before."""
    if not n:
        return []
    return sorted({round(v) - 1 for v in np.geomspace(1, n, min(_CURVE, n)).tolist()})


def _spread(order: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows of some items from the most popular to the middle."""
    there = int((counts > 0).sum())
    places = np.unique(np.geomspace(1, max(there // 2, 1), _ASKED).astype(np.int64) - 1)
    return np.asarray(order[places])


def _name(vocab: Vocab, row: int) -> str:
    return vocab.name(row) or str(vocab.id(row))


def _near(opened: dict[str, Any], vocab: Vocab, asked: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    """The neighbours of items in every model that knows them."""
    ids = vocab.ids[asked]
    lists: list[list[list[tuple[str, float]] | None]] = [[] for _ in asked]
    for model in opened.values():
        rows = model.vocab.rows_of(ids)
        known = np.flatnonzero(rows >= 0)
        k = min(_NEAR, len(model.vocab) - 1)
        found = model.neighbours(rows[known], k) if len(known) and k else None
        place = {int(q): at for at, q in enumerate(known)}
        for q, of_item in enumerate(lists):
            if found is None or q not in place:
                of_item.append(None)
                continue
            pairs = zip(found.rows[place[q]].tolist(), found.scores[place[q]].tolist(), strict=True)
            of_item.append([(_name(model.vocab, row), round(score, 4)) for row, score in pairs if row >= 0])
    return {
        "models": list(opened),
        "items": [
            {"id": str(vocab.id(row)), "name": _name(vocab, row), "mentions": int(counts[row]), "lists": of_item}
            for row, of_item in zip(asked.tolist(), lists, strict=True)
        ],
    }


def _map(
    model: VectorModel,
    given: Sessions,
    counts: np.ndarray,
    order: np.ndarray,
    label: str | None,
    way: Method,
    seed: int,
) -> dict[str, Any]:
    """The most popular items of a model on a plane, with the group that colours each."""
    rows = model.vocab.rows_of(given.vocab.ids[order])
    here = np.flatnonzero(rows >= 0)[:_ON_MAP]
    own, rows = order[here], rows[here]  # rows in the sessions and in the model
    places, name = on_a_plane(model.embeddings, rows, way, seed=seed)
    coloured, groups, group = _groups(given, counts, own, label)
    return {
        "way": name,
        "by": coloured,
        "groups": groups,
        "items": [
            [str(given.vocab.id(row)), _name(given.vocab, row), int(counts[row]), *np.round(at, 4).tolist(), int(g)]
            for row, at, g in zip(own.tolist(), places, group.tolist(), strict=True)
        ],
    }


def _groups(
    given: Sessions, counts: np.ndarray, rows: np.ndarray, label: str | None
) -> tuple[str, list[str], np.ndarray]:
    """What colours the map, the names of groups, and the group of each row (m,)."""
    found = _labels(given, label)
    if found is not None:
        name, column = found
        row, code = _words(column, rows)
        common = np.bincount(code, minlength=len(column.names))
        chosen = np.argsort(-common, kind="stable")[:_GROUPS]
        chosen = chosen[common[chosen] > 0]
        number = np.full(len(column.names), len(chosen))
        number[chosen] = np.arange(len(chosen))
        group = np.full(len(rows), len(chosen))
        known = np.flatnonzero(number[code] < len(chosen))[::-1]  # the first of an item's words is written last
        group[row[known]] = number[code[known]]
        return name, [*map(str, column.names[chosen].tolist()), "other"], group
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    ends = [share for share, _ in _SHARES]
    there = max(int((counts > 0).sum()), 1)
    return "popularity", [name for _, name in _SHARES], np.searchsorted(ends, np.minimum((place[rows] + 1) / there, 1))


def _labels(given: Sessions, label: str | None) -> tuple[str, Categories | Lists] | None:
    columns: dict[str, Categories | Lists] = {}
    if given.item_features is not None:
        features = given.item_features.aligned(given.vocab)
        columns = {**features.lists, **features.categorical}
    if label is None:
        return next(iter(columns.items()), None)
    if label in columns:
        return label, columns[label]
    if Path(label).is_file():
        return Path(label).stem, read_labels(Path(label), given.vocab)
    hint = did_you_mean(label, columns) or (f"; there are {', '.join(columns)}" if columns else "; there are none")
    raise SettingsError(f"{label!r} is neither a file nor a list or category of the items{hint}")


def _words(column: Categories | Lists, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of these rows (m,) every word they have: its place among them and its code, in order."""
    if isinstance(column, Categories):
        codes = np.asarray(column.codes)[rows]
        there = np.flatnonzero(codes >= 0)
        return there, codes[there]
    taken = column.take(rows)
    return np.repeat(np.arange(len(rows)), np.diff(taken.offsets)), np.asarray(taken.codes)
