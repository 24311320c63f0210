"""EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data"): item-to-item weights in closed form."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from embedrec.config import Settings, check_bounds
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.topk import TopK, check_k, sort_results
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.base import Arrays
from embedrec.progress import Report, quiet


@dataclass(frozen=True)
class Ease(Settings):
    """The (n, n) weights that best rebuild every session from its other items; for up to some 20,000 items.

    regularisation  squared penalty of the weights
    """

    name: ClassVar[str] = "ease"
    SPACE: ClassVar[dict[str, str]] = {"regularisation": "10..1000 log"}

    regularisation: float = 250.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"regularisation": (1e-6, np.inf)})

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> "EaseModel":
        """Solve for the weights; `seed`, `threads` and `report` have no effect."""
        check_sessions(sessions)
        held = contents(sessions)
        gram = (held.T @ held).toarray()  # (n, n) sessions that two items share
        gram[np.diag_indices_from(gram)] += self.regularisation
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return self.from_arrays(sessions.vocab, {"weights": weights.astype(np.float32)})

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> "EaseModel":
        """The model of the array "weights" (n, n). Raises DataError when it has another shape."""
        if arrays["weights"].shape != (len(vocab), len(vocab)):
            raise DataError(f"{len(vocab)} items need a weight a pair, but were given {arrays['weights'].shape}")
        return EaseModel(self, vocab, arrays)


@dataclass(frozen=True, eq=False)
class EaseModel:
    """The score of an item is the sum of its weights with the items of the history.

    arrays  "weights" (n, n) float32, from the items of a history (rows) to the scored items (columns)
    """

    recipe: Ease
    vocab: Vocab
    arrays: Arrays

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`."""
        check_k(k, len(self.vocab))
        seen = contents(histories.reindex(self.vocab))  # unknown items are ignored
        scores = seen @ self.arrays["weights"]  # (q, n)
        rows = np.tile(np.arange(len(self.vocab)), (len(histories), 1))
        if exclude_seen:
            rows[seen.nonzero()] = -1
        return sort_results(rows, scores, self.vocab).first(k)


def contents(sessions: Sessions) -> csr_matrix:
    """(S, n) float32: 1 where a session contains an item. Copies, since SciPy sorts the arrays that it is given."""
    arrays = (np.ones(len(sessions.items), np.float32), sessions.items.copy(), sessions.offsets.copy())
    matrix = csr_matrix(arrays, shape=(len(sessions), len(sessions.vocab)))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
