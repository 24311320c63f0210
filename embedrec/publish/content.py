"""What is published: the nearest neighbours of every item, their vectors, or both."""

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
MAX_RANK = 2**15 - 1


@dataclass(frozen=True, eq=False)
class PublishContent:
    """The neighbours and vectors of n items.

    vocab       the items
    neighbours  rows (q,) int64, k → TopK (q, k), see `ItemNeighbours`; None to publish vectors only
    vectors     (n, d), of the same vocabulary; None to publish neighbours only
    k           neighbours per item; all other items in a smaller catalogue
    made_from   JSON values that identify the content: fingerprints and settings

    Raises SettingsError without neighbours and vectors, DataError without items.
    """

    vocab: Vocab
    neighbours: Callable[[np.ndarray, int], TopK] | None
    vectors: Embeddings | None
    k: int
    made_from: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.neighbours is None and self.vectors is None:
            raise SettingsError("neither neighbours nor vectors were given; publish at least one of them")
        if not len(self.vocab):
            raise DataError("there are no items to publish; train on sessions with items")

    def fingerprint(self, layout: str) -> str:
        """SHA-256 of the content and its layout at the target: equal content has an equal fingerprint."""
        identity = {**self.made_from, "k": self.k, "parts": self.parts, "layout": layout}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def parts(self) -> list[str]:
        """The parts of the content: "neighbours", "vectors", or both."""
        values = {"neighbours": self.neighbours, "vectors": self.vectors}
        return [name for name, value in values.items() if value is not None]

    def check_ranks(self) -> None:
        """Raises SettingsError if ranks do not fit into the 16 bits of their column."""
        if self.neighbours is not None and self.max_k > MAX_RANK:
            raise SettingsError(
                f"the number of neighbours must be at most {MAX_RANK:,}, the largest rank; it is {self.max_k:,}"
            )

    @property
    def max_k(self) -> int:
        """Neighbours per item: k, or all other items in a smaller catalogue."""
        return min(self.k, len(self.vocab) - 1)

    def neighbour_blocks(self) -> Iterator[tuple[np.ndarray, TopK]]:
        """Rows (b,) int64 in vocabulary order, and their neighbours (b, k); empty without neighbours."""
        n = len(self.vocab)
        if self.neighbours is None:
            return
        upcoming: tuple[np.ndarray, Future[TopK]] | None = None
        with ThreadPoolExecutor(1) as executor:  # searches one block while the previous one is written
            for start in range(0, n, BLOCK):
                rows = np.arange(start, min(start + BLOCK, n))
                current, upcoming = upcoming, (rows, executor.submit(self._search, rows))
                if current is not None:
                    yield current[0], current[1].result()
            if upcoming is not None:
                yield upcoming[0], upcoming[1].result()

    def vector_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows (b,) int64 in vocabulary order, and their vectors (b, d); empty without vectors."""
        if self.vectors is None:
            return
        for start in range(0, len(self.vocab), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self.vocab)))
            yield rows, self.vectors.vectors[rows]

    def _search(self, rows: np.ndarray) -> TopK:
        if self.neighbours is None or not self.max_k:
            return TopK(np.empty((len(rows), 0)), np.empty((len(rows), 0)), self.vocab)
        return self.neighbours(rows, self.max_k)


def encode_ids(vocab: Vocab) -> list[bytes]:
    """The ids as UTF-8. Raises DataError for a text that is not Unicode (a lone surrogate)."""
    try:
        return [str(i).encode() for i in vocab.ids.tolist()]
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None


def round_to_seven_digits(scores: np.ndarray) -> np.ndarray:
    """Scores (…) as float64, rounded to the seven significant digits of float32, for a shorter text."""
    wide = scores.astype(np.float64)
    finite = np.isfinite(wide) & (wide != 0)
    places = 6 - np.floor(np.log10(np.abs(wide, where=finite, out=np.ones_like(wide))))
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)  # integers, exact up to 10 ** 22
    rounded = np.where(finite, np.round(wide * up / down) / up * down, wide)
    inexact = finite & (np.abs(places) > 22)
    rounded[inexact] = [float(f"{score:.6e}") for score in wide[inexact].tolist()]
    return rounded
