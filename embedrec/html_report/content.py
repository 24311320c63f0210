"""The content of a report: data of sessions, models, indexes and a comparison, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.find_items import find_items
from embedrec.data.item_text import feature_differences
from embedrec.data.sessions import Sessions
from embedrec.data.statistics import describe
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.html_report.item_map import Method, project_to_plane
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.tabular.item_labels import read_labels

_MAP_ITEMS = 2000  # most popular items on the map
_GROUPS = 7  # labels with their own colour
_SHARES = ((0.01, "most popular 1%"), (0.05, "1–5%"), (0.2, "5–20%"), (0.5, "20–50%"), (1.0, "50–100%"))
_QUERY_ITEMS = 16  # items whose neighbours are shown
_NEIGHBOURS, _MAP_NEIGHBOURS = 10, 8  # per item
_CURVE = 60  # points of a curve over all items


@dataclass(frozen=True)
class ReportSettings:
    """The settings of a report.

    items   whose neighbours are shown, ids or names; by default popular ones
    label   colours the map: a list or category of the items' features, or a file as for `compare --labels`; None uses
            the first such feature, or popularity
    method  projection of the map, see `item_map.project_to_plane`
    curves  whether to measure the indexes with several search settings
    seed    of the projection
    """

    items: Sequence[str] = ()
    label: str | None = None
    method: Method = "auto"
    curves: bool = False
    seed: int = 0


_DEFAULTS = ReportSettings()


@dataclass(frozen=True)
class ReportContent:
    """Everything that a page shows, as JSON values.

    sessions    name, and the statistics of `describe`
    ranks       (rank, number of events) of a sample of items, from the most popular
    share       (share of items, share of events) of the most popular items, from 0 to 1
    models      name, recipe, items, seconds, settings, epochs of each
    indexes     name, spec, facts of each, and its "curve" if measured, see `recall_curves.measure_curve`
    comparison  the record of `workflows.compare`, with its evaluation settings; None without one
    tables      title, note and rows of texts
    map         model, method, groups, ordered (whether groups are steps of one scale), the id, name, events, position
                and group of each item, "near", the neighbours of each as pairs of a number and a score, and "names", of
                the neighbours that are not on the map, numbered after its items; None without vectors
    refreshes   records of `embedrec refresh` for the sessions, the newest first; added by the caller
    near        models, and the id, name, events, and one list of (name, score) per model of each query item
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
    refreshes: list[dict[str, Any]] = field(default_factory=list)


def collect_report(
    workspace: Workspace,
    sessions_name: str,
    models: Sequence[str],
    indexes: Sequence[str],
    settings: ReportSettings = _DEFAULTS,
    *,
    comparison: dict[str, Any] | None = None,
    tables: Sequence[dict[str, Any]] = (),
    report: Report = quiet,
) -> ReportContent:
    """Collect the content of a report.

    models  names; the map shows the first one with vectors
    report  called as report("progress", done=, total=, unit=), for models and measured indexes

    Raises ArtifactError and SettingsError for missing artifacts and labels, UnknownItemError for unknown items.
    """
    source = workspace.find("sessions", sessions_name)
    sessions = Sessions.load(source)
    about = [workspace.find("model", model) for model in models]
    counts = np.bincount(sessions.items, minlength=len(sessions.vocab))
    order = np.argsort(-counts, kind="stable")  # rows by number of events
    features, vocab = sessions.item_features, sessions.vocab
    differences = None if features is None else partial(feature_differences, features, vocab)
    queries = find_items(vocab, settings.items, differences) if settings.items else _sample_items(order, counts)
    loaded = {}
    for number, artifact in enumerate(about, 1):
        model = load_model(artifact)
        if isinstance(model, VectorModel | ListsModel):
            loaded[artifact.name] = model
        report("progress", done=number, total=len(about), unit="models")
    names = ItemNames(vocab, features)
    vectors = next((name for name, model in loaded.items() if isinstance(model, VectorModel)), None)
    item_map = None
    if vectors is not None:
        item_map = {"model": vectors, **_map(loaded[vectors], sessions, counts, order, names, settings)}
    elif settings.label is not None:
        raise SettingsError("a label colours the map, but none of the models has vectors; leave it out")
    ranks = _spaced(int((counts > 0).sum()))
    cumulated = np.cumsum(counts[order]) / max(int(counts.sum()), 1)
    return ReportContent(
        {"name": source.name, "source": source.about.get("source"), **asdict(describe(sessions))},
        [(rank + 1, int(counts[order[rank]])) for rank in ranks],
        [(0.0, 0.0), *(((rank + 1) / max(len(ranks) and ranks[-1] + 1, 1), float(cumulated[rank])) for rank in ranks)],
        [_model_data(artifact) for artifact in about],
        _index_data([workspace.find("index", index) for index in indexes], settings.curves, report),
        comparison,
        list(tables),
        item_map,
        _near(loaded, names, queries, counts) if loaded else None,
    )


def _model_data(artifact: Artifact) -> dict[str, Any]:
    about = artifact.about
    keys = ("recipe", "items", "seconds", "settings", "epochs")
    return {"name": artifact.name, **{key: about[key] for key in keys if key in about}}


def _index_data(artifacts: Sequence[Artifact], curves: bool, report: Report) -> list[dict[str, Any]]:
    indexes = []
    for number, artifact in enumerate(artifacts, 1):
        keys = ("spec", "items", "metric", "facts")
        indexes.append({"name": artifact.name, **{key: artifact.about.get(key) for key in keys}})
        if curves:
            from embedrec.html_report.recall_curves import measure_curve

            indexes[-1]["curve"] = measure_curve(artifact)
            report("progress", done=number, total=len(artifacts), unit="indexes")
    return indexes


def _spaced(n: int) -> list[int]:
    """A sample of 0 … n − 1 in geometric steps."""
    if not n:
        return []
    return sorted({round(v) - 1 for v in np.geomspace(1, n, min(_CURVE, n)).tolist()})


def _sample_items(order: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows of a sample of items, from the most popular to the median, in geometric steps."""
    occurring = int((counts > 0).sum())
    ranks = np.unique(np.geomspace(1, max(occurring // 2, 1), _QUERY_ITEMS).astype(np.int64) - 1)
    return np.asarray(order[ranks])


class ItemNames:
    """Names of items for a reader; an item that shares its name has its distinguishing features or its id in brackets,
    so that a title has its artist where titles repeat."""

    def __init__(self, vocab: Vocab, features: Features | None) -> None:
        self.vocab, self.features = vocab, features
        self._same: dict[str, list[int]] = {}
        self._described: dict[str, list[str]] = {}
        if vocab.names is not None:
            for row, name in enumerate(vocab.names.tolist()):
                self._same.setdefault(name, []).append(row)

    def __call__(self, row: int) -> str:
        name = self.vocab.name(row)
        if not name:
            return str(self.vocab.id(row))
        same = self._same[name]
        if len(same) == 1:
            return name
        if self.features is not None:
            if name not in self._described:
                self._described[name] = feature_differences(self.features, self.vocab, np.array(same))
            described = self._described[name]
            own = described[same.index(row)]
            if own and described.count(own) == 1:
                return f"{name} ({own})"
        return f"{name} ({self.vocab.id(row)})"

    def of(self, vocab: Vocab, rows: np.ndarray) -> list[str]:
        """The names of rows of another vocabulary with the same ids."""
        own = self.vocab.rows_of(vocab.ids[rows]).tolist()
        return [
            self(mine) if mine >= 0 else vocab.name(row) or str(vocab.id(row))
            for row, mine in zip(rows.tolist(), own, strict=True)
        ]


def _near(models: dict[str, Any], names: ItemNames, queries: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    """The neighbours of the query items in every model."""
    vocab = names.vocab
    ids = vocab.ids[queries]
    lists: list[list[list[tuple[str, float]] | None]] = [[] for _ in queries]
    for model in models.values():
        rows = model.vocab.rows_of(ids)
        known = np.flatnonzero(rows >= 0)
        k = min(_NEIGHBOURS, len(model.vocab) - 1)
        top = model.neighbours(rows[known], k) if len(known) and k else None
        result_of = {int(query): result for result, query in enumerate(known)}
        for query, item_lists in enumerate(lists):
            if top is None or query not in result_of:
                item_lists.append(None)
                continue
            near, scores = (array[result_of[query]] for array in (top.rows, top.scores))
            neighbours = names.of(model.vocab, near[near >= 0])
            item_lists.append(list(zip(neighbours, scores[near >= 0].round(4).tolist(), strict=True)))
    return {
        "models": list(models),
        "items": [
            {"id": str(vocab.id(row)), "name": names(row), "mentions": int(counts[row]), "lists": item_lists}
            for row, item_lists in zip(queries.tolist(), lists, strict=True)
        ],
    }


def _map(
    model: VectorModel,
    sessions: Sessions,
    counts: np.ndarray,
    order: np.ndarray,
    names: ItemNames,
    settings: ReportSettings,
) -> dict[str, Any]:
    """The most popular items of a model on a plane, each with the group of its colour and its neighbours."""
    vocab, rows = sessions.vocab, model.vocab.rows_of(sessions.vocab.ids[order])
    shown = np.flatnonzero(rows >= 0)[:_MAP_ITEMS]
    session_rows, rows = order[shown], rows[shown]
    positions, method = project_to_plane(model.embeddings, rows, settings.method, seed=settings.seed)
    column, groups, group = _groups(sessions, counts, session_rows, settings.label)
    return {
        "method": method,
        "by": column,
        "groups": groups,
        "ordered": groups == [name for _, name in _SHARES],
        "items": [
            [str(vocab.id(row)), names(row), int(counts[row]), *np.round(position, 4).tolist(), int(g)]
            for row, position, g in zip(session_rows.tolist(), positions, group.tolist(), strict=True)
        ],
        **_map_neighbours(model, rows, names),
    }


def _map_neighbours(model: VectorModel, rows: np.ndarray, names: ItemNames) -> dict[str, Any]:
    """The neighbours of the items of the map, see `ReportContent`."""
    k = min(_MAP_NEIGHBOURS, len(model.vocab) - 1)
    if not k:
        return {"near": [[] for _ in rows], "names": []}
    top = model.neighbours(rows, k)
    number = np.full(len(model.vocab), -1)
    number[rows] = np.arange(len(rows))
    others = np.setdiff1d(top.rows[top.rows >= 0], rows)
    number[others] = len(rows) + np.arange(len(others))
    near = [
        [(int(number[row]), round(score, 3)) for row, score in zip(*pair, strict=True) if row >= 0]
        for pair in zip(top.rows.tolist(), top.scores.tolist(), strict=True)
    ]
    return {"near": near, "names": names.of(model.vocab, others)}


def _groups(
    sessions: Sessions, counts: np.ndarray, rows: np.ndarray, label: str | None
) -> tuple[str, list[str], np.ndarray]:
    """The column that colours the map, the names of groups, and the group of each row (m,)."""
    labels = _labels(sessions, label)
    if labels is not None:
        name, column = labels
        row, code = _values(column, rows)
        common = np.bincount(code, minlength=len(column.names))
        chosen = np.argsort(-common, kind="stable")[:_GROUPS]
        chosen = chosen[common[chosen] > 0]
        number = np.full(len(column.names), len(chosen))
        number[chosen] = np.arange(len(chosen))
        group = np.full(len(rows), len(chosen))
        known = np.flatnonzero(number[code] < len(chosen))[::-1]  # assigns the first value of an item last
        group[row[known]] = number[code[known]]
        return name, [*map(str, column.names[chosen].tolist()), "other"], group
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    ends = [share for share, _ in _SHARES]
    share = np.minimum((rank[rows] + 1) / max(int((counts > 0).sum()), 1), 1)
    return "popularity", [name for _, name in _SHARES], np.searchsorted(ends, share)


def _labels(sessions: Sessions, label: str | None) -> tuple[str, Categories | Lists] | None:
    columns: dict[str, Categories | Lists] = {}
    if sessions.item_features is not None:
        features = sessions.item_features.align(sessions.vocab)
        columns = {**features.lists, **features.categorical}
    if label is None:
        return next(iter(columns.items()), None)
    if label in columns:
        return label, columns[label]
    if Path(label).is_file():
        return Path(label).stem, read_labels(Path(label), sessions.vocab)
    hint = did_you_mean(label, columns) or f"; the features are {', '.join(columns) or 'none'}"
    raise SettingsError(f"{label!r} is neither a file nor a list or category of the items{hint}")


def _values(column: Categories | Lists, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All values of these rows (m,): the position of the row and the code of each value, in order."""
    if isinstance(column, Categories):
        codes = np.asarray(column.codes)[rows]
        known = np.flatnonzero(codes >= 0)
        return known, codes[known]
    selected = column.take(rows)
    return np.repeat(np.arange(len(rows)), np.diff(selected.offsets)), np.asarray(selected.codes)
