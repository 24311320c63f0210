"""Names, counts and features of items by id or by row."""

from __future__ import annotations

import numpy as np

from embedrec.data.find_items import parse_id
from embedrec.errors import SettingsError
from embedrec.serving.answers import Computing
from embedrec.serving.explore.schemas import ItemsRequest, KnownItem, KnownItems
from embedrec.serving.sources import Served, Source
from embedrec.workflows.items import catalogue_items


async def item_details(served: Served, computing: Computing, request: ItemsRequest) -> KnownItems:
    """The items of ids or rows; None for unknown ones. Raises SettingsError unless it has either."""
    if (request.items is None) == (request.rows is None):
        raise SettingsError("give either items, a list of ids, or rows")
    with served.any_source(request.index, request.model) as source:
        return await computing.run(known_items, source, request)


def known_items(source: Source, request: ItemsRequest) -> KnownItems:
    """The answer of a source."""
    catalogue = source.catalogue
    vocab = catalogue.vocab
    if request.items is None:
        rows = np.array(request.rows, dtype=np.int64)
        rows[rows >= len(vocab)] = -1
    else:
        rows = vocab.rows_of([parse_id(vocab, str(item)) for item in request.items])
    known = rows[rows >= 0]
    described = {
        row: KnownItem(item.item, item.name, row, item.count, item.features)
        for row, item in zip(known.tolist(), catalogue_items(catalogue, known), strict=True)
    }
    return KnownItems(source.version, [described.get(row) for row in rows.tolist()])
