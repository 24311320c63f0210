"""The similarity file: `seed_item similar_1 similar_2 …`, one line an item, separated by spaces, best first."""

from __future__ import annotations

from typing import IO

import numpy as np

from embedrec.data.topk import ItemNeighbours
from embedrec.export.result_lists import BLOCK, item_answers, slices
from embedrec.export.text_formats import encoder
from embedrec.progress import Report, quiet
from embedrec.vectors.file_formats import Whitespace

_BLOCK = BLOCK


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
    answers = item_answers(source)
    encode = encoder(answers, "text", min(k, answers.most), whitespace=whitespace, prefix="")
    for here in slices(0, len(answers), _BLOCK):
        found = answers.block(here, k)
        out.write(str(encode(here, found.rows.astype(np.int32), found.scores), "utf-8"))
        report("progress", done=here.stop, total=len(answers), unit="items")
    return len(answers)
