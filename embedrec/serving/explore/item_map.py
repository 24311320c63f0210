"""The map of all items: one binary answer with a head of JSON, and the groups of a feature in the same form.

The answer begins with the length of the head as uint32, little-endian; the head, filled up with spaces so that the
arrays begin at a multiple of four bytes; and the arrays, one after the other, as the head lists them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from embedrec.errors import SettingsError
from embedrec.serving.answers import Computing
from embedrec.serving.explore.layout import Layout, lay_out
from embedrec.serving.explore.map_groups import clusters, feature_groups
from embedrec.serving.explore.schemas import ArrayOf, ColoursHead, ColoursQuery, Label, MapHead, MapQuery
from embedrec.serving.routing import Page
from embedrec.serving.sources import Served, Source
from embedrec.version import __version__

_METHOD = "t-SNE of landmarks"
_OCTETS = "application/octet-stream"
_KEPT = 4  # answers of a source that are kept


async def item_map(served: Served, computing: Computing, request: MapQuery) -> Page:
    """The positions, popularity and clusters of all items. Raises SettingsError for a source without vectors."""
    with _source(served, request) as source:
        return await computing.run(lambda: source.remembered(("map",), lambda: _map(source), 1))


async def map_colours(served: Served, computing: Computing, request: ColoursQuery) -> Page:
    """The group of each item by a feature. Raises SettingsError for an unknown feature."""
    with _source(served, request) as source:
        load = lambda: _colours(source, request.feature)  # noqa: E731
        return await computing.run(lambda: source.remembered(("colours", request.feature), load, _KEPT))


def _source(served: Served, request: MapQuery) -> Source:
    """The source that is named, or the first with vectors."""
    if request.index is None and request.model is None:
        for source in (served.any_source(None, None), *served.sources.values()):
            if "map" in source.options:
                return source
    source = served.any_source(request.index, request.model)
    if "map" not in source.options:
        raise SettingsError(f"{source.artifact.kind} {source.name} has no item vectors, which a map needs")
    return source


def _map(source: Source) -> Page:
    embeddings, catalogue = source.similar().vectors, source.catalogue
    vocab, n = embeddings.vocab, len(embeddings)
    layout = lay_out(embeddings)
    counts = np.zeros(n) if catalogue.counts is None else np.asarray(catalogue.counts)
    features = catalogue.features
    of_item, made = clusters(layout, vocab, counts, features)
    names = [] if features is None else [*features.categorical, *features.lists, *features.numeric]
    share = np.log1p(counts) / max(float(np.log1p(counts).max(initial=0)), 1e-12)
    arrays = {
        "position": layout.positions.astype("<f4"),
        "popularity": share.astype("<f4"),
        "cluster": of_item.astype(np.uint8),
    }
    listed = [ArrayOf(name, array.dtype.str.lstrip("|"), list(array.shape)) for name, array in arrays.items()]
    head = MapHead(source.version, n, _METHOD, listed, made, _labels(layout, vocab, counts), names)
    return packed(head, list(arrays.values()), source)


def _labels(layout: Layout, vocab: Any, counts: np.ndarray) -> list[Label]:
    """The most frequent item of each landmark, the most frequent first."""
    order = np.argsort(-counts, kind="stable")
    _, first = np.unique(layout.nearest[order], return_index=True)
    rows = order[np.sort(first)]
    names = vocab.labels(rows)
    places = layout.positions[rows].astype(np.float64).round(4).tolist()
    return [Label(name, x, y, row) for name, (x, y), row in zip(names, places, rows.tolist(), strict=True)]


def _colours(source: Source, feature: str) -> Page:
    catalogue = source.catalogue
    if catalogue.features is None:
        raise SettingsError("the items have no features")
    groups = feature_groups(catalogue.features, catalogue.vocab, feature)
    listed = [ArrayOf("group", "u1", [len(groups.codes)])]
    return packed(ColoursHead(source.version, feature, groups.names, groups.ordered, listed), [groups.codes], source)


def packed(head: Any, arrays: list[np.ndarray], source: Source) -> Page:
    """An answer of a head and arrays."""
    text = msgspec.json.encode(head)
    text += b" " * (-len(text) % 4)
    body = b"".join([len(text).to_bytes(4, "little"), text, *(array.tobytes() for array in arrays)])
    headers = (
        (b"etag", f'"{source.artifact.fingerprint[:32]}-{__version__}"'.encode()),
        (b"cache-control", b"private, no-cache"),
        (b"embedrec-version", source.version.encode()),
    )
    return Page(body, _OCTETS, headers)
