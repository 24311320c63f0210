"""The similarity file: `seed_item similar_1 similar_2 …`, one line an item, separated by spaces, best first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np

from embedrec.reporting import Report, quiet
from embedrec.topk import ItemNeighbours
from embedrec.vector_files import Whitespace, words_of

_BLOCK = 4096  # items searched at a time


def write_similarity(
    source: ItemNeighbours, out: IO[str], k: int = 20, *, whitespace: Whitespace = "refuse", report: Report = quiet
) -> int:
    """Write every item's k nearest others (all others in a smaller catalogue) in the order of the vocabulary.

    source      an Index, or a model that knows neighbours
    whitespace  ids with white space cannot stand in this format: "refuse" them, or percent-"encode" white space and
                '%' in all ids
    Returns the number of lines. Memory beside the source does not grow with the catalogue.
    Raises DataError for an id with white space unless they are encoded.
    """
    vocab, n = source.vocab, len(source.vocab)
    words = words_of(vocab, whitespace)
    for rows in _blocks(n):
        found = source.neighbours(rows, min(k, n - 1)).rows if n > 1 else np.empty((n, 0), dtype=np.int64)
        seeds = words[rows]
        out.writelines(" ".join([seed, *words[row[row >= 0]]]) + "\n" for seed, row in zip(seeds, found, strict=True))
        report("progress", done=int(rows[-1]) + 1, total=n, unit="items")
    return n


def _blocks(n: int) -> Iterator[np.ndarray]:
    for start in range(0, n, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, n))
