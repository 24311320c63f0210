"""Matrix factorisation: a session's vector and an item's, whose dot product says whether the item belongs there.

Koren, Bell & Volinsky 2009. How the vectors are found is the `loss`, one module each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.embeddings import Embeddings
from embedrec.errors import DataError, SettingsError
from embedrec.models.base import Arrays, VectorModel
from embedrec.models.counting import frequent
from embedrec.models.least_squares import Objective, fold_in
from embedrec.models.popularity import dialled
from embedrec.reporting import Report, quiet


@dataclass(frozen=True)
class MatrixFactorisation:
    """Rows of the matrix are sessions; `prepare --by user` makes a session of all events of a user.

    loss            "als": weighted least squares over all pairs of a session and an item, see `Objective`
    dim             length of a vector
    epochs          times that all vectors of sessions, then of items are found anew. The objective falls on for dozens,
                    but sessions that are not trained on are best served after few
    unobserved      weight of all pairs as such, relative to that of all that was observed, so that it fits matrices of
                    any sparsity; α0 of Rendle et al. is this · what was observed / pairs, and alpha of Hu et al. 1 / α0
    regularisation  how vectors are kept short; tune it together with `unobserved`
    nu              how regularisation grows with the length of a session and the frequency of an item, see `Objective`
    plays           items that come again: "each" play weighs 1; "once", all of them 1; "log", 1 + ln(plays)
    deviation       of the items' vectors at the start, times the root of dim
    steps           of conjugate gradient each time; a session or item with at most so many is solved exactly
    min_count       items mentioned less often are left out
    decay           how a history becomes a query: weight of an event relative to the next, 1 as in training
    popularity      how much of an item's norm, which grows with its popularity, counts in what comes next: from 0, the
                    cosine, to 1, the dot product that is fitted. Similar items are found by the cosine

    A history, whether trained on or not, becomes a query by the same least squares with the items' vectors as they are.

    Raises SettingsError for values that are not allowed.
    """

    name: ClassVar[str] = "mf"

    # Chosen on playlists, listening sessions, clicks and ratings held out of training data; no test part was looked at.
    loss: Literal["als"] = "als"
    dim: int = 128
    epochs: int = 3
    unobserved: float = 5.0
    regularisation: float = 0.015
    nu: float = 1.0
    plays: Literal["each", "once", "log"] = "log"
    deviation: float = 0.1
    steps: int = 3
    min_count: int = 2
    decay: float = 0.8
    popularity: float = 0.5

    def __post_init__(self) -> None:
        for field, low, high in _BOUNDS:
            value = getattr(self, field)
            if not low <= value <= high:  # also refuses NaN
                bounds = f"at least {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
                raise SettingsError(f"{field} must be {bounds}, but is {value!r}")
        for field, allowed in _CHOICES:
            if getattr(self, field) not in allowed:
                raise SettingsError(f"{field} must be one of {', '.join(allowed)}, but is {getattr(self, field)!r}")

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> VectorModel:
        """Train on S sessions of E events.

        seed     all randomness comes from it; the same seed gives the same bytes at any number of threads
        threads  how many to use
        report   called as report("vocabulary", items=, left_out=), then after each epoch as report("epoch", epoch=,
                 epochs=, loss=, seconds=) with the objective as it then is, and between as report("progress", done=,
                 total=, unit="cells")

        Returns a VectorModel with the arrays that `restore` needs. Raises DataError when no item is mentioned often
        enough, SettingsError when `threads` does not fit.
        """
        from embedrec.models.mf_als import train

        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        rows, counts = frequent(sessions, self.min_count)
        report("vocabulary", items=len(rows), left_out=len(sessions.vocab) - len(rows))
        vocab = sessions.vocab.take(rows).with_counts(counts)
        return self.restore(vocab, train(self, sessions.recoded(vocab), seed=seed, threads=threads, report=report))

    def restore(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """The model of the arrays "items" (n, dim) float32, in their principal axes, and "unobserved" (1,) float64, α0.

        Raises DataError when they do not fit.
        """
        items, unobserved = arrays["items"], arrays["unobserved"]
        if items.dtype != np.float32 or items.shape != (len(vocab), self.dim):
            raise DataError(
                f"{len(vocab)} items need float32 vectors of shape ({len(vocab)}, {self.dim}), but were given "
                f"{items.dtype} of {items.shape}"
            )
        if unobserved.shape != (1,) or not 0 < unobserved[0] < np.inf:
            raise DataError(f"the weight of a pair must be one positive number, but is {unobserved.tolist()}")
        embeddings = Embeddings(items, vocab, "cosine")
        answers = dialled(embeddings, self.popularity)
        encoder = fold_in(items, self.objective(float(unobserved[0])), self.plays, self.decay)
        return VectorModel(self, arrays, embeddings, encoder, answers, answers)

    def objective(self, unobserved: float) -> Objective:
        """What is minimised; `unobserved` is the weight of one pair."""
        return Objective(unobserved, self.regularisation, self.nu)


_BOUNDS = (
    ("dim", 1, 65536), ("epochs", 1, np.inf), ("unobserved", 1e-6, 1e6), ("regularisation", 1e-9, 1e6), ("nu", 0, 2),
    ("deviation", 1e-6, 10), ("steps", 1, 1000), ("min_count", 1, np.inf), ("decay", 1e-6, 1), ("popularity", 0, 1),
)  # fmt: skip
_CHOICES = (("loss", ("als",)), ("plays", ("each", "once", "log")))
