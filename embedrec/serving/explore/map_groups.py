"""Groups of items by which the map is coloured: values of a feature, or clusters of the layout with labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.serving.explore.layout import Layout

NONE = 255  # the code of an item of no group
VALUES = 7  # groups of a feature with names: the most frequent values
_BINS = 5  # of a feature with numbers
_ITEMS = 40  # items a cluster at least, if there are many
_CLUSTERS = 18
_ROUNDS = 20  # of k-means
_LIFT, _SHARE = 1.8, 0.45  # of a feature value that names a cluster


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of n items.

    codes    (n,) uint8 positions in `names`, NONE for items of no group
    names    of the groups
    ordered  whether they have an order, from low to high
    """

    codes: np.ndarray
    names: list[str]
    ordered: bool


@dataclass(frozen=True)
class Cluster:
    """A cluster of the map.

    text      the feature value that is typical of it, and its most frequent item
    x, y      its middle
    items     the number of its items
    colour    0 … 6; clusters near each other have different ones
    """

    text: str
    x: float
    y: float
    items: int
    colour: int


def feature_groups(features: Features, vocab: Vocab, name: str) -> Groups:
    """The groups of a feature: its most frequent values, or five ranges of a number with about as many items each.

    An item with several values is in the group of the first that is frequent. Raises SettingsError for an unknown
    feature.
    """
    rows = features.vocab.rows_of(vocab.ids)
    column = features.categorical.get(name) or features.lists.get(name)
    if column is not None:
        return _frequent(column.take(rows), len(vocab))
    if name not in features.numeric:
        known = [*features.categorical, *features.lists, *features.numeric]
        hint = did_you_mean(name, known) or f"; the features are {', '.join(known)}"
        raise SettingsError(f"the items have no feature {name!r}{hint}")
    numbers = np.where(rows >= 0, features.numeric[name][rows], np.nan)
    return _ranges(numbers, name in features.dates)


def _frequent(column: Categories | Lists, n: int) -> Groups:
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.names))
    best = [int(code) for code in np.argsort(-counts, kind="stable")[:VALUES] if counts[code] > 0]
    group_of = np.full(len(column.names) + 1, NONE, dtype=np.uint8)  # the last for −1
    group_of[best] = np.arange(len(best))
    groups = group_of[column.codes]
    if isinstance(column, Lists):
        codes = np.full(n, NONE, dtype=np.uint8)
        owner = np.repeat(np.arange(n), np.diff(column.offsets))
        known = np.flatnonzero(groups != NONE)[::-1]
        codes[owner[known]] = groups[known]  # the first of an item is written last
        groups = codes
    return Groups(groups, [str(column.names[code]) for code in best], False)


def _ranges(numbers: np.ndarray, dates: bool) -> Groups:
    valid = np.isfinite(numbers)
    codes = np.full(len(numbers), NONE, dtype=np.uint8)
    if not valid.any():
        return Groups(codes, [], True)
    edges = np.unique(np.quantile(numbers[valid], np.linspace(0, 1, _BINS + 1)))
    codes[valid] = np.clip(np.searchsorted(edges[1:-1], numbers[valid], side="right"), 0, None)
    names = []
    for group in range(max(len(edges) - 1, 1)):
        members = numbers[codes == group]
        low, high = (_number(value, dates) for value in (members.min(), members.max()))
        names.append(low if low == high else f"{low} – {high}")
    return Groups(codes, names, True)


def _number(value: float, date: bool) -> str:
    return str(np.datetime64(0, "D") + np.timedelta64(round(value), "D")) if date else f"{value:g}"


def clusters(
    layout: Layout, vocab: Vocab, counts: np.ndarray, features: Features | None
) -> tuple[np.ndarray, list[Cluster]]:
    """The cluster of each item, (n,) uint8, and the clusters: areas of the plane with about as many landmarks each."""
    if not len(vocab):
        return np.zeros(0, dtype=np.uint8), []
    sizes = np.bincount(layout.nearest, minlength=len(layout.landmarks))
    of_landmark = _areas(layout.landmarks, sizes, min(_CLUSTERS, max(1, len(vocab) // _ITEMS)))
    of_item = of_landmark[layout.nearest].astype(np.uint8)
    typical = _typical(features, vocab, of_item) if features is not None else {}
    made: list[Cluster] = []
    for number in range(int(of_landmark.max(initial=-1)) + 1):
        members = np.flatnonzero(of_item == number)
        x, y = np.median(layout.positions[members], axis=0).tolist()
        top = vocab.labels(members[np.argsort(-counts[members], kind="stable")[:1]])
        text = ": ".join([*typical.get(number, []), *top])
        made.append(Cluster(text, round(x, 4), round(y, 4), len(members), _free_colour(made, x, y)))
    return of_item, made


def _areas(points: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """The area (m,) of each point (m, 2), without empty ones, by k-means with weights (m,)."""
    used = np.flatnonzero(weights)
    order = used[np.argsort(-weights[used], kind="stable")]
    centres = points[order[:1]]
    while len(centres) < min(count, len(used)):  # the next is far from those before, and heavy
        distance = ((points[used, None] - centres) ** 2).sum(axis=2).min(axis=1)
        centres = np.vstack([centres, points[used[np.argmax(distance * np.sqrt(weights[used]))]]])
    for _ in range(_ROUNDS):
        area = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        for number in range(len(centres)):
            members = np.flatnonzero((area == number) & (weights > 0))
            if len(members):
                centres[number] = np.average(points[members], axis=0, weights=weights[members])
    _, area = np.unique(np.where(weights > 0, area, area[order[0]]), return_inverse=True)
    return area


def _typical(features: Features, vocab: Vocab, of_item: np.ndarray) -> dict[int, list[str]]:
    """Cluster → the one value of a feature that most of its items have and few others do."""
    rows = features.vocab.rows_of(vocab.ids)
    best: dict[int, tuple[float, str]] = {}
    columns: list[Categories | Lists] = [*features.categorical.values(), *features.lists.values()]
    for column in columns:
        taken = column.take(rows)
        if isinstance(taken, Lists):
            owner, codes = np.repeat(np.arange(len(vocab)), np.diff(taken.offsets)), taken.codes
        else:
            owner, codes = np.flatnonzero(taken.codes >= 0), taken.codes[taken.codes >= 0]
        overall = np.bincount(codes, minlength=len(taken.names)) / len(vocab)
        for number in range(int(of_item.max(initial=0)) + 1):
            inside = of_item[owner] == number
            share = np.bincount(codes[inside], minlength=len(taken.names)) / max(int((of_item == number).sum()), 1)
            fits = (share >= _SHARE) & (share >= _LIFT * overall)
            if fits.any():
                value = int(np.argmax(np.where(fits, share - overall, -1)))
                gain = float(share[value] - overall[value])
                if gain > best.get(number, (0.0, ""))[0]:
                    best[number] = (gain, str(taken.names[value]))
    return {number: [text] for number, (_, text) in best.items()}


def _free_colour(made: list[Cluster], x: float, y: float) -> int:
    """The colour that is farthest away."""
    distances = np.full(7, 9.0)
    for one in made:
        distances[one.colour] = min(distances[one.colour], (one.x - x) ** 2 + (one.y - y) ** 2)
    return int(np.argmax(distances))
