"""Spectral embeddings: the leading eigenvectors of a matrix of co-occurrence.

Skip-gram with negative sampling factorises shifted PMI (Levy & Goldberg 2014), so the matrix can be factorised directly
(Levy, Goldberg & Dagan 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.array_packing import rows_of
from embedrec.models.base import Arrays
from embedrec.models.context_smoothing import add_means, mention_norms, reach
from embedrec.models.cooccurrence.eigenvectors import Start, blocks, leading_eigenvectors
from embedrec.models.frozen import NewItems
from embedrec.models.pair_counts import (
    PairCountRecipe,
    PairSource,
    one_mention,
)
from embedrec.models.popularity_scaling import scale_norms
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.session_weights import PairStatistics, scale_weights
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report
from embedrec.storage.memory_budget import MemoryBudget
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit
from embedrec.vectors.procrustes import rotate

if TYPE_CHECKING:
    from embedrec.kernels.pair_counts import Formula

_SHRINKAGE = {"cosine": 20.0, "ppmi": 0.0}
_CONTINUED_ITERATIONS = 2  # from earlier eigenvectors: more exact than 4 from random directions


@dataclass(frozen=True)
class Spectral(PairCountRecipe["SpectralModel"]):
    """Eigenvectors of a symmetric matrix over the items, those of the largest eigenvalues, as the items' vectors.

    An item counts once a session, at its first mention. c(a,b) is the sum over the sessions q that contain both, at
    most `window` places apart, of |q| ** length_exponent, |q| the items of q; these weights are scaled to a mean of 1
    over all mentions. d(a) is the sum over sessions that contain a, t(a) = Σ_b c(a,b). The matrix, 0 on its diagonal:

    cosine  c(a,b) / (√(d(a)·d(b)) + shrinkage)
    ppmi    ln(c(a,b) / (e(a,b) + shrinkage)) − shift where it is positive, with the expected value e(a,b) =
            (t(a)·t(b)) ** ((1 + smoothing)/2) / Σ_b t(b) ** smoothing, the mean of both directions

    dim              length of a vector; fewer where there are fewer items
    matrix           one of these
    window           largest distance of the items of a pair; 0 is the whole session, whose work grows with its squared
                     length
    min_count        items mentioned less often are left out
    length_exponent  weight of pairs by session length: −1, inverse to the length; 0, equal weights
    shrinkage        against pairs of rare items; None is 20 for the cosine, and 0 for ppmi, which is the standard
                     formula
    shift            of ppmi: ln k corresponds to k negatives of word2vec
    smoothing        of ppmi: 1, or less so that pairs of rare items count less (Levy, Goldberg & Dagan 2015 take .75)
    power            eigenvectors are multiplied by eigenvalue ** power: with .5, products of vectors approximate the
                     matrix; 0 gives equal weight to all dimensions
    contexts         weight of the mean vector of an item's contexts, added to its own; 0 for the eigenvectors only.
                     Contexts are the items at most 2 places from its mentions, and at most `window`. The norm of the
                     sum is (mentions / most mentions) ** 0.1, to which `popularity` applies
    popularity       exponent of a vector's norm, |v| ** popularity, from specific (0, the cosine) to popular items (1).
                     Similar items, recommendations and indexes compare by the dot product of the scaled vectors
    iterations       of the subspace (Halko, Martinsson & Tropp 2011); each multiplies by the whole matrix
    decay            how a history becomes a query: weight of an item relative to the next, see `mean_encoder`

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, Spectral
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = Spectral(dim=2, min_count=1).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 2)
    """

    name: ClassVar[str] = "svd"
    SPACE: ClassVar[dict[str, str]] = {
        "dim": "32..512 log",
        "window": "0,2,5,10,25",
        "length_exponent": "-1..0",
        "power": "0..1",
        "contexts": "0..1",
        "popularity": "0..1",
        "decay": "0.4..1",
    }
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "min_count": 1}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"matrix": "ppmi", "popularity": 0.0, "dim": 3},
        {"contexts": 0.6, "window": 2, "min_count": 1},
    )

    # Chosen on playlists, listening sessions and clicks held out of training data; no test part was looked at.
    dim: int = 256
    matrix: Literal["cosine", "ppmi"] = "cosine"
    window: int = 0
    min_count: int = 2
    length_exponent: float = -0.75
    shrinkage: float | None = None
    shift: float = 0.0
    smoothing: float = 0.75
    power: float = 0.75
    contexts: float = 0.0
    popularity: float = 0.2
    iterations: int = 4
    decay: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)

    def continuing(self, *, changes: bool = False) -> Spectral:
        """See `WarmStartRecipe`: the same settings."""
        return self

    def count_arrays(
        self, counting: PairSource, vocab: Vocab, seed: int, earlier: SpectralModel | None
    ) -> dict[str, np.ndarray]:
        """The scaled eigenvectors, "items" (n, dim) float32. Reports "progress" with `done` and `total` products.

        seed     of the initial directions of the iteration
        earlier  its eigenvectors are the start of a shorter iteration, if they are those of the same matrix. The result
                 is as exact as without, see `scripts/bench/refresh.py increments`

        Raises DataError if no session has two items.
        """
        pairs = counting.all_pairs()
        if not (pairs.ends > pairs.starts).any():
            raise DataError(
                f"no session has two items to learn from ({counting.sessions} sessions of "
                f"{len(pairs.starts)} items mentioned at least {self.min_count} times); lower min_count"
            )
        start = None if earlier is None else self._start(earlier, vocab)
        values, vectors = leading_eigenvectors(
            pairs,
            self.dim,
            self.iterations if start is None else min(self.iterations, _CONTINUED_ITERATIONS),
            seed=seed,
            start=start,
            threads=counting.threads,
            memory=counting.memory,
            report=counting.report,
        )
        vectors *= np.where(values > 0, np.where(values > 0, values, 1) ** self.power, 0).astype(np.float32)
        return {"items": vectors}

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> SpectralModel:
        """The model of the array "items" (n, d) float32: the scaled eigenvectors, with contexts, and their full norm.

        Raises DataError when it does not match the vocabulary.
        """
        whole = Embeddings(rows_of(arrays, "items", len(vocab), self.name), vocab)
        items = scale_norms(whole, self.popularity)
        return SpectralModel(self, arrays, items, mean_encoder(whole.vectors, self.decay), items, items)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        return {**arrays, "items": rotate(arrays["items"], rotation)}

    def completed(self, model: SpectralModel, sessions: Sessions, memory: MemoryBudget) -> SpectralModel:
        """See `PairCountRecipe.completed`: contexts are added to the vectors."""
        from embedrec.kernels.context_means import add_context_means

        if not self.contexts:
            return model
        rows, trained = sessions.vocab.rows_of(model.vocab.ids), model.arrays["items"]
        beside = reach(self.window)
        mentions, counts = one_mention(sessions, rows, beside, memory), np.zeros(len(rows), dtype=np.int64)
        vectors = memory.empty(trained.size, np.float32).reshape(trained.shape)
        for block, own in zip(blocks(vectors), blocks(trained), strict=True):
            block[:] = unit(own)
        sums = memory.full(trained.size, 0, np.float64).reshape(trained.shape)
        add_context_means(mentions.offsets, mentions.items, vectors, beside, sums, counts)
        norms = mention_norms(counts)
        start = 0
        for block, means in zip(blocks(vectors), blocks(sums), strict=True):
            block[:] = add_means(block, means.astype(np.float32), norms[start : start + len(block)], self.contexts)
            start += len(block)
        return self.from_arrays(model.vocab, {"items": vectors})

    def solve_new_items(self, items: NewItems, *, seed: int, threads: int, report: Report) -> Arrays:
        """See `FrozenRecipe`. Raises SettingsError for settings whose vectors do not contain the eigenvalues."""
        from embedrec.models.cooccurrence.new_items import solve_new_items

        if not self.power or self.contexts:
            given = f"contexts={self.contexts:g}" if self.contexts else "power=0"
            raise SettingsError(f"svd with {given} keeps no eigenvalues to solve new items with; use --align instead")
        return solve_new_items(self, items, self.power, threads=threads, report=report)

    def _start(self, earlier: SpectralModel, vocab: Vocab) -> Start | None:
        """The eigenvectors of an earlier model; None if it has others, or contexts in them."""
        if earlier.recipe.contexts or any(getattr(earlier.recipe, s) != getattr(self, s) for s in _OF_THE_MATRIX):
            return None
        return Start(earlier.arrays["items"], earlier.vocab.rows(vocab.ids))

    def session_weights(self, lengths: np.ndarray, n: int) -> np.ndarray:
        """See `PairCountRecipe.session_weights`."""
        return scale_weights(np.maximum(np.arange(len(lengths)), 1.0) ** self.length_exponent, lengths)

    def formula(self, statistics: PairStatistics) -> Formula:
        """The formula of the matrix."""
        from embedrec.kernels.pair_counts import LOG, RATIO, Formula

        shrinkage = _SHRINKAGE[self.matrix] if self.shrinkage is None else self.shrinkage
        if self.matrix == "cosine":
            root = np.sqrt(statistics.norms)
            return Formula(RATIO, root, root, shrinkage, 0.0, 0.0)
        total = statistics.totals
        root = total ** ((1 + self.smoothing) / 2) / np.sqrt(max((total**self.smoothing).sum(), 1e-300))
        return Formula(LOG, root, root, shrinkage, self.shift, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class SpectralModel(VectorModel):
    """A model with scaled norms; the array "items" holds the unscaled vectors."""

    recipe: Spectral

    def scale_norms(self, share: float) -> VectorModel:
        """See `VectorModel.scale_norms`; it starts from the unscaled vectors."""
        return replace(self.recipe, popularity=share).from_arrays(self.vocab, self.arrays)


_OF_THE_MATRIX = ("dim", "matrix", "window", "min_count", "length_exponent", "shrinkage", "shift", "smoothing")
_BOUNDS = {
    "dim": (1, 65536), "window": (0, 2**31), "min_count": (1, 2**31), "length_exponent": (-10, 10),
    "shrinkage": (0, 2**31), "shift": (-100, 100), "smoothing": (0, 1), "power": (0, 10), "contexts": (0, 1000),
    "popularity": (0, 1), "iterations": (1, 10000), "decay": (1e-6, 1),
}  # fmt: skip
