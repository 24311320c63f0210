"""Matrix factorisation: the dot product of a session vector and an item vector scores the item in the session.

Koren, Bell & Volinsky 2009. The `loss` selects the training: least squares in `als`, pairs of a session and an
item in `pairwise_training`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.array_packing import check_optional, shaped
from embedrec.models.base import Arrays
from embedrec.models.factorization.least_squares import fold_in
from embedrec.models.factorization.settings import FactorisationSettings
from embedrec.models.frozen import NewItems
from embedrec.models.pair_counts import frequent_items
from embedrec.models.popularity_scaling import scale_norms
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.torch_recipe import CONTINUING_RATE
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.progress import Report
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import compose, rotate


@dataclass(frozen=True)
class MatrixFactorisation(FactorisationSettings):
    """Matrix factorisation; see `FactorisationSettings`.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, MatrixFactorisation
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = MatrixFactorisation(dim=8, min_count=1).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 8)
    """

    @property
    def direct_fit(self) -> Callable[..., VectorModel] | None:
        """See `Neural.direct_fit`: als needs no torch."""
        return self._fit_als if self.loss == "als" else None

    def continuing(self, *, changes: bool = False) -> MatrixFactorisation:
        """See `Neural.continuing`; als with changes is trained in full.

        Its few epochs are an early stop that a continuation would pass, and its vectors stay without one, see `als`.
        """
        if self.loss == "als" and changes:
            return self
        few = super().continuing(changes=changes)
        if self.loss != "logistic":
            return few
        return replace(few, learning_rate=min(self.value("learning_rate"), CONTINUING_RATE))

    def _fit_als(
        self,
        sessions: Sessions,
        *,
        seed: int,
        threads: int,
        report: Report,
        init: VectorModel | None = None,
        changes: SessionChanges | None = None,
    ) -> VectorModel:
        """Train with als.

        seed     source of all randomness; the same seed gives the same bytes at any number of threads
        threads  number of threads
        report   called as report("vocabulary", items=, left_out=), then after each epoch as report("epoch", epoch=,
                 epochs=, loss=, seconds=) with the objective, and in between report("progress", done=,
                 total=, unit="cells")
        init     a model whose vectors are the initial ones; with `changes`, which come with all sessions, training
                 starts from vectors of the ids, with its seed, and ends in its space

        Raises DataError when no item is mentioned often enough, SettingsError for threads below 1.
        """
        from embedrec.models.factorization.als import train

        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        rows, counts = frequent_items(sessions, self.min_count)
        report("vocabulary", items=len(rows), left_out=len(sessions.vocab) - len(rows))
        vocab = sessions.vocab.take(rows).with_counts(counts)
        sessions = sessions.reindex(vocab)
        start = None if init is None else TrainingStart(init, sessions)
        if start is not None:
            start.check(self, ("loss", "dim"))
        if start is None:
            return self.from_arrays(vocab, train(self, sessions, seed=seed, threads=threads, report=report))
        first = start if changes is None else None
        seed = int(start.model.arrays["seed"][0]) if "seed" in start.model.arrays else seed
        arrays = train(self, sessions, first, seed=seed, threads=threads, report=report)
        return self.from_arrays(vocab, start.rotated(arrays))

    def learner(self, sessions: Sessions, *, seed: int, device: str, start: TrainingStart | None = None) -> Any:
        """See `Neural.learner`; logistic and bpr only."""
        from embedrec.models.factorization.pairwise_training import (
            BPRLoss,
            Dot,
            PairLearner,
            SquaredErrorLoss,
            filter_items,
            start_pairs,
            table_vectors,
        )

        plan: Any = self.training_settings  # no field is None
        pairwise = self.loss == "bpr"
        vocab, sessions = filter_items(sessions, self.min_count, None if start is None else start.sessions)
        scorer = Dot(len(sessions), len(vocab), self.dim, deviation=plan.deviation / self.dim**0.5)
        if start is not None:
            start.check(self, ("loss", "dim"))
            start_pairs(scorer, start.of(vocab), vocab, sessions)
        module = BPRLoss(scorer, plan.weight_decay) if pairwise else SquaredErrorLoss(scorer)

        def build_model() -> VectorModel:
            arrays = {"items": table_vectors(scorer.items), "bias": table_vectors(scorer.item_bias)[:, 0]}
            return self.from_arrays(vocab, {**arrays, "squares": learner.squares()})

        learner = PairLearner(plan, sessions, module, build_model, same=pairwise, seed=seed, start=start)
        return learner

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """The model of the array "items" (n, dim) float32; with als also "unobserved" (1,) float64, α0, and, unless
        their coordinates are their principal axes, "axes" (dim, dim) float32: these, in columns; "seed" (1,) int64 of
        the initial vectors; and of a rotated model "rotation" (dim, dim) float32.

        Raises DataError when they do not fit.
        """
        items = arrays["items"]
        if items.dtype != np.float32 or items.shape != (len(vocab), self.dim):
            raise DataError(
                f"{len(vocab)} items need float32 vectors of shape ({len(vocab)}, {self.dim}), but were given "
                f"{items.dtype} of {items.shape}"
            )
        check_optional(arrays, {"bias": (len(vocab),), "squares": (len(vocab),)}, self.name)
        embeddings = Embeddings(items, vocab, "cosine")
        answers = scale_norms(embeddings, self.value("popularity"))
        if self.uses_torch:
            return VectorModel(self, arrays, embeddings, mean_encoder(items, self.decay), answers, answers)
        unobserved = arrays["unobserved"]
        if unobserved.shape != (1,) or unobserved.dtype != np.float64 or not 0 < unobserved[0] < np.inf:
            raise DataError(f"the weight of a pair must be one positive number, but is {unobserved.tolist()}")
        axes = shaped(arrays, "axes", (self.dim, self.dim), self.name) if "axes" in arrays else None
        if "rotation" in arrays:
            shaped(arrays, "rotation", (self.dim, self.dim), self.name)
        if "seed" in arrays:
            shaped(arrays, "seed", (1,), self.name, "int64")
        encoder = fold_in(items, self.objective(float(unobserved[0])), self.plays, self.decay, axes)
        return VectorModel(self, arrays, embeddings, encoder, answers, answers)

    def solve_new_items(self, items: NewItems, *, seed: int, threads: int, report: Report) -> Arrays:
        """See `FrozenRecipe`."""
        from embedrec.models.factorization.new_items import solve_new_items

        if self.uses_torch:
            raise SettingsError(
                f"mf with loss={self.loss} has no least squares to solve new items with; use --align instead"
            )
        return solve_new_items(self, items, seed=seed, report=report)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        rotated = {**arrays, "items": rotate(arrays["items"], rotation)}
        if not self.uses_torch:
            rotated["axes"] = compose(rotation.T, arrays.get("axes", np.eye(self.dim)))
            rotated["rotation"] = compose(arrays.get("rotation", np.eye(self.dim)), rotation)
        return rotated
