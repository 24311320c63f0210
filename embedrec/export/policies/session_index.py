"""An inverted index of items and sessions, in which policies count co-occurrences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab


@dataclass(frozen=True, eq=False)
class ItemSessionIndex:
    """The sessions of n items, and the items of S sessions, as two lists of lists without duplicates.

    starts, sessions  the sessions of item a, ascending: sessions[starts[a]:starts[a + 1]]; (n+1,) int64, int32
    offsets, items    the items of session s: items[offsets[s]:offsets[s + 1]]; (S+1,) int64, int32
    """

    starts: np.ndarray
    sessions: np.ndarray
    offsets: np.ndarray
    items: np.ndarray


EMPTY = ItemSessionIndex(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32))


def index_sessions(sessions: Sessions, vocab: Vocab) -> ItemSessionIndex:
    """Index sessions of any vocabulary by the items of `vocab`."""
    import scipy.sparse as sp

    matrix = sessions.reindex(vocab).matrix()  # (S, n), sorted, without duplicates
    columns = sp.csc_matrix(matrix)
    columns.sort_indices()
    return ItemSessionIndex(
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
    )
