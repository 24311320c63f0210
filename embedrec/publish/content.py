"""What is published: lists of results, vectors, or both, of items, sessions or histories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data.result_lists import BLOCK, ResultLists
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.vectors.embeddings import Embeddings

MAX_RANK = 2**15 - 1
_COLUMNS = {"items": ("item", "other"), "sessions": ("session", "other"), "recommendations": ("history", "item")}


@dataclass(frozen=True, eq=False)
class PublishContent:
    """The lists and vectors of n seeds: items, sessions or histories.

    lists      the results of every seed; None to publish vectors only
    vectors    (n, d) of the seeds, in the order of `lists.seeds`; None to publish lists only
    k          results per seed; all there are if they are fewer
    made_from  JSON values that identify the content: fingerprints and settings
    space      id of the space of the vectors; "" if it is unknown, see `vectors.space`

    Raises SettingsError without lists and vectors, DataError without seeds.
    """

    lists: ResultLists | None
    vectors: Embeddings | None
    k: int
    made_from: Mapping[str, Any]
    space: str = ""

    def __post_init__(self) -> None:
        if self.lists is None and self.vectors is None:
            raise SettingsError("neither neighbours nor vectors were given; publish at least one of them")
        if not len(self.vocab):
            raise DataError("there are no items to publish; train on sessions with items")

    @property
    def vocab(self) -> Vocab:
        """The ids of the seeds."""
        if self.lists is not None:
            return self.lists.seeds
        assert self.vectors is not None  # one of them is given, see above
        return self.vectors.vocab

    @property
    def results(self) -> Vocab:
        """The ids of the results."""
        return self.vocab if self.lists is None else self.lists.vocab

    @property
    def of(self) -> str:
        """What the seeds are: "items", "sessions" or "recommendations", which have histories as seeds."""
        return str(self.made_from.get("of", "items"))

    @property
    def columns(self) -> tuple[str, str]:
        """The names of the columns of seeds and results."""
        return _COLUMNS[self.of]

    def fingerprint(self, layout: str) -> str:
        """SHA-256 of the content and its layout at the target: equal content has an equal fingerprint."""
        identity = {**self.made_from, "k": self.k, "parts": self.parts, "layout": layout}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        """What a target stores about the content, as JSON values."""
        metric = {} if self.vectors is None else {"metric": self.vectors.metric}
        space = {"space": self.space} if self.space and self.vectors is not None else {}
        return {**self.made_from, **metric, **space}

    @property
    def parts(self) -> list[str]:
        """The parts of the content: "neighbours", "vectors", or both."""
        values = {"neighbours": self.lists, "vectors": self.vectors}
        return [name for name, value in values.items() if value is not None]

    def check_ranks(self) -> None:
        """Raises SettingsError if ranks do not fit into the 16 bits of their column."""
        if self.lists is not None and self.max_k > MAX_RANK:
            raise SettingsError(
                f"the number of neighbours must be at most {MAX_RANK:,}, the largest rank; it is {self.max_k:,}"
            )

    @property
    def max_k(self) -> int:
        """Results per seed: k, or all in a smaller catalogue; 0 without lists."""
        return 0 if self.lists is None else min(self.k, self.lists.max_k)

    def list_blocks(self, rows: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, TopK]]:
        """Rows (b,) int64 of seeds and their results (b, k), in the order of `rows`, by default all; empty without
        lists."""
        lists = self.lists
        if lists is None:
            return
        rows = np.arange(len(self.vocab)) if rows is None else rows
        upcoming: tuple[np.ndarray, Future[TopK]] | None = None
        with ThreadPoolExecutor(1) as executor:  # searches one block while the previous one is written
            for start in range(0, len(rows), BLOCK):
                block = rows[start : start + BLOCK]
                current, upcoming = upcoming, (block, executor.submit(lists.of, block, self.k))
                if current is not None:
                    yield current[0], current[1].result()
            if upcoming is not None:
                yield upcoming[0], upcoming[1].result()

    def vector_blocks(self, rows: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows (b,) int64 of seeds and their vectors (b, d), in the order of `rows`, by default all; empty without
        vectors."""
        if self.vectors is None:
            return
        rows = np.arange(len(self.vocab)) if rows is None else rows
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            yield block, self.vectors.vectors[block]


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
