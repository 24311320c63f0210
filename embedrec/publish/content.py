"""What is published: every item's nearest others, its vector, or both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.vectors.embeddings import Embeddings

BLOCK = 4096  # items searched and written at a time
MOST_RANKS = 2**15 - 1


@dataclass(frozen=True, eq=False)
class PublishContent:
    """The neighbours and vectors of n items.

    vocab       the items
    neighbours  rows (q,) int64, k → TopK (q, k), see `ItemNeighbours`; None where only vectors are published
    vectors     (n, d), of the same vocabulary; None where only neighbours are published
    k           neighbours an item; all others in a smaller catalogue
    made_from   JSON values that tell this content from other content: fingerprints and settings

    Raises SettingsError when there is nothing to publish, DataError when there is no item.
    """

    vocab: Vocab
    neighbours: Callable[[np.ndarray, int], TopK] | None
    vectors: Embeddings | None
    k: int
    made_from: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.neighbours is None and self.vectors is None:
            raise SettingsError("a publication must hold neighbours, vectors or both, but was given neither")
        if not len(self.vocab):
            raise DataError("there are no items to publish; train on sessions that hold items")

    def fingerprint(self, layout: str) -> str:
        """SHA-256 over what it is made from and how it is laid out at its target: equal content, equal fingerprint."""
        said = {**self.made_from, "k": self.k, "parts": self.parts, "layout": layout}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def parts(self) -> list[str]:
        """What it holds: "neighbours", "vectors", or both."""
        held = {"neighbours": self.neighbours, "vectors": self.vectors}
        return [name for name, part in held.items() if part is not None]

    def check_ranks(self) -> None:
        """Raises SettingsError where ranks would not fit into 16 bits, which columns of ranks have."""
        if self.neighbours is not None and self.most > MOST_RANKS:
            raise SettingsError(f"ranks end at {MOST_RANKS:,}, but {self.most:,} neighbours an item were asked for")

    @property
    def most(self) -> int:
        """Neighbours that an item can have: k, or all others in a smaller catalogue."""
        return min(self.k, len(self.vocab) - 1)

    def neighbour_blocks(self) -> Iterator[tuple[np.ndarray, TopK]]:
        """Rows (b,) int64 in the order of the vocabulary, and their neighbours (b, k); nothing without neighbours."""
        n = len(self.vocab)
        if self.neighbours is None:
            return
        ahead: tuple[np.ndarray, Future[TopK]] | None = None
        with ThreadPoolExecutor(1) as beside:  # searches for one block while the block before is written
            for start in range(0, n, BLOCK):
                rows = np.arange(start, min(start + BLOCK, n))
                this, ahead = ahead, (rows, beside.submit(self._found, rows))
                if this is not None:
                    yield this[0], this[1].result()
            if ahead is not None:
                yield ahead[0], ahead[1].result()

    def vector_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows (b,) int64 in the order of the vocabulary, and their vectors (b, d); nothing without vectors."""
        if self.vectors is None:
            return
        for start in range(0, len(self.vocab), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self.vocab)))
            yield rows, self.vectors.vectors[rows]

    def _found(self, rows: np.ndarray) -> TopK:
        if self.neighbours is None or not self.most:
            return TopK(np.empty((len(rows), 0)), np.empty((len(rows), 0)), self.vocab)
        return self.neighbours(rows, self.most)


def encoded(vocab: Vocab) -> list[bytes]:
    """The ids as UTF-8. Raises DataError for a text that is not Unicode (a lone surrogate)."""
    try:
        return [str(i).encode() for i in vocab.ids.tolist()]
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None


def seven_digits(scores: np.ndarray) -> np.ndarray:
    """Scores (…) as float64 rounded to seven significant digits, which is what float32 knows; shorter as text."""
    wide = scores.astype(np.float64)
    finite = np.isfinite(wide) & (wide != 0)
    places = 6 - np.floor(np.log10(np.abs(wide, where=finite, out=np.ones_like(wide))))
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)  # whole numbers, which are exact
    return np.where(finite, np.round(wide * up / down) / up * down, wide)
