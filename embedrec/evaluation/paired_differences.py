"""Paired differences between models that answered the same questions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.errors import DataError
from embedrec.evaluation.bootstrap import interval
from embedrec.evaluation.evaluate import Evaluation

_COLUMNS = ("session", "length", "offsets", "targets")  # of questions


@dataclass(frozen=True)
class Difference:
    """`value` = mean of one model − mean of the other, with a 95 % interval; `low` and `high` None without draws."""

    metric: str
    value: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def differences(one: Evaluation, other: Evaluation) -> list[Difference]:
    """Of every metric that has a value a question, in the order of `one.values`.

    The same sessions are drawn for both, so that what is hard for both cancels out. Raises DataError when the
    questions or the terms are not the same.
    """
    same = all(np.array_equal(getattr(one.questions, c), getattr(other.questions, c)) for c in _COLUMNS)
    if one.terms != other.terms or not same:
        raise DataError("two models can be compared only where they answered the same questions on the same terms")
    low = high = None
    if one.terms.draws:
        low, high = interval(one.resampled - other.resampled)
    return [
        Difference(
            key,
            one.metrics[key] - other.metrics[key],
            None if low is None else float(low[i]),
            None if high is None else float(high[i]),
        )
        for i, key in enumerate(one.values)
    ]
