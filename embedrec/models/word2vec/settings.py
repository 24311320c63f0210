"""Settings of word2vec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.errors import SettingsError
from embedrec.training.shares import TrainsOnShares

Architecture = Literal["skip-gram", "cbow"]
Side = Literal["input", "output", "sum"]
Backend = Literal["embedrec", "gensim"]


class WordVectors(NamedTuple):
    """Input and output vectors of n items: (n, d) float32 each."""

    input: np.ndarray
    output: np.ndarray

    def trained(self, side: Side) -> np.ndarray:
        """The vectors of one side, or the sum of both: (n, d)."""
        return self.input + self.output if side == "sum" else self.input if side == "input" else self.output


@dataclass(frozen=True)
class Word2VecSettings(Settings, TrainsOnShares):
    """word2vec with negative sampling.

    dim             length of a vector
    window          context items on each side; 0 is the whole session, whose work grows with its squared length
    shrink_windows  every centre draws its own window from 1 … window, so that near items weigh more
    ordered         keep the order of sessions; false shuffles each in every epoch, so that a window samples its pairs
    epochs          passes over the sessions
    negative        negatives a pair
    ns_exponent     negatives are drawn in proportion to count ** ns_exponent; may be 0 or negative
    sample          sub-sampling of frequent items: smaller values drop more mentions; 0 keeps all
    alpha           learning rate of the first session; falls linearly
    min_alpha       learning rate of the last
    min_count       items mentioned less often are left out
    architecture    "skip-gram", or "cbow": contexts' mean predicts the centre
    vectors         which vectors are the items': "input", "output", or their "sum"
    decay           how a history becomes a query: weight of an item relative to the next, see `mean_encoder`
    smoothing       weight of the mean vector of an item's contexts, added to its own after training; 0 for the trained
                    vectors only. Contexts are those of `window`, but at most 2 items on each side
    popularity      exponent of an item's norm in recommendations, from 0, the cosine, to 1, the dot product. The norm
                    grows with the item's mentions. None selects the best exponent on training sessions
                    (`best_share`), which the model's recipe then holds
    similar_popularity  the same exponent for similar items
    replay          warm start with known changes: unchanged sessions that are trained on too, for each changed one
    backend         "embedrec", or "gensim" with the same settings, for comparison
    deterministic   the same bytes at any number of threads (otherwise: with one thread)

    Raises SettingsError for values that are not allowed.
    """

    name: ClassVar[str] = "word2vec"
    EVENT_BYTES = 32
    SPACE: ClassVar[dict[str, str]] = {
        "window": "2..50 log",
        "epochs": "10..60 log",
        "ns_exponent": "-1..1",
        "sample": "1e-5..1e-2 log",
        "alpha": "0.01..0.1 log",
        "decay": "0.4..1",
        "smoothing": "0..2",
    }
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "epochs": 3, "min_count": 1, "sample": 0.0}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"architecture": "cbow", "vectors": "input", "ordered": False},
    )
    # Chosen on playlists, listening sessions, clicks and ratings held out of training data; no test part was looked at.
    dim: int = 64
    window: int = 25
    shrink_windows: bool = False
    ordered: bool = True
    epochs: int = 30
    negative: int = 5
    ns_exponent: float = -0.5
    sample: float = 1e-3
    alpha: float = 0.05
    min_alpha: float = 0.0001
    min_count: int = 2
    architecture: Architecture = "skip-gram"
    vectors: Side = "sum"
    decay: float = 0.7
    smoothing: float = 1.0
    popularity: float | None = None
    similar_popularity: float = 0.2
    replay: float = 40.0
    backend: Backend = "embedrec"
    deterministic: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        if self.min_alpha > self.alpha:
            raise SettingsError(f"min_alpha must be at most alpha ({self.alpha:g}), but is {self.min_alpha:g}")
        if self.backend == "gensim" and self.deterministic:
            raise SettingsError("deterministic=true needs backend=embedrec; gensim repeats itself with 1 thread only")


_BOUNDS = {
    "dim": (1, 65536), "window": (0, 2**30), "epochs": (1, np.inf), "negative": (1, 10000),
    "ns_exponent": (-100, 100), "sample": (0, 1), "alpha": (1e-9, 10), "min_alpha": (0, 10),
    "min_count": (1, np.inf), "decay": (1e-6, 1), "smoothing": (0, 1000), "popularity": (0, 1),
    "similar_popularity": (0, 1), "replay": (0, 1e6),
}  # fmt: skip
