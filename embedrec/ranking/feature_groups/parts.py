"""Features of the lists that propose the candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of

SMOOTHING = 60.0  # of reciprocal ranks (Cormack, Clarke & Buettcher 2009)


@dataclass(frozen=True)
class PartFeatures:
    """Ranks and scores of candidates in the lists of the parts, called `parts`."""

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("rank of {part}", "rank in the list of the part, from 0; absent where the part does not propose it"),
        Feature("score of {part}", "score of the part; absent where the part does not propose it"),
        Feature("relative score of {part}", "score of the part divided by the amount of the first score of its list"),
    )
    COMMON: ClassVar[tuple[Feature, ...]] = (
        Feature("best rank", "lowest rank in the lists of the parts"),
        Feature("reciprocal ranks", "sum of 1 / (60 + rank) over the parts, ranks from 1 (reciprocal rank fusion)"),
    )

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        names = [name for part in self.parts for name in names_of(self.FEATURES, part=part)]
        return (*names, *names_of(self.COMMON))

    @property
    def arrays(self) -> Arrays:
        return {}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_parts

        write_parts(batch.offsets, batch.ranks, batch.scores, SMOOTHING, out, at)
