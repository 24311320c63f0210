"""The similarity file: `seed_item similar_1 similar_2 …`, one line per item, separated by spaces, best first."""

from __future__ import annotations

from typing import IO

import numpy as np

from embedrec.data.result_lists import item_lists, slices
from embedrec.data.topk import ItemNeighbours
from embedrec.export.text_formats import encoder
from embedrec.progress import Report, quiet
from embedrec.vectors.file_formats import Whitespace


def write_similarity(
    source: ItemNeighbours, out: IO[str], k: int = 20, *, whitespace: Whitespace = "refuse", report: Report = quiet
) -> int:
    """Write the k nearest neighbours of every item (all other items in a smaller catalogue) in vocabulary order.

    source      an Index, or a model with item neighbours
    whitespace  the format does not support ids with white space: "refuse" them, or percent-"encode" white space and '%'
                in all ids

    Returns the number of lines. Memory beyond the source does not grow with the catalogue. Raises DataError for an id
    with white space, unless ids are encoded.

    >>> import numpy as np
    >>> from embedrec import Embeddings, Vocab, build_index, write_similarity
    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]])
    >>> index = build_index(Embeddings(vectors, Vocab(["bread", "jam", "nail"])), "flat")
    >>> import sys
    >>> write_similarity(index, sys.stdout, 1)
    bread jam
    jam bread
    nail jam
    3
    """
    lists = item_lists(source)
    encode = encoder(lists, "text", min(k, lists.max_k), whitespace=whitespace, prefix="")
    for part in slices(0, len(lists)):
        block = lists.block(part, k)
        out.write(str(encode(part, block.rows.astype(np.int32), block.scores), "utf-8"))
        report("progress", done=part.stop, total=len(lists), unit="items")
    return len(lists)
