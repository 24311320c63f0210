"""The protocol of what ranks candidates."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.ranking.candidates import Candidates


class Scorer(Protocol):
    """Scores candidates; higher is better."""

    def scores(self, histories: Sessions, candidates: Candidates) -> np.ndarray:
        """The score of each candidate: (N,) float32.

        histories  Q sessions in the composite's vocabulary
        """
        ...

    def contributions(self, histories: Sessions, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
        """The names of m features, and what each adds to the score of each candidate: (N, m) float64."""
        ...
