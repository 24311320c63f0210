"""Paired differences between models evaluated on the same test cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.errors import DataError
from embedrec.evaluation.bootstrap import interval
from embedrec.evaluation.evaluate import Evaluation

_COLUMNS = ("session", "length", "offsets", "targets")  # of test cases


@dataclass(frozen=True)
class Difference:
    """`value` = mean of one model − mean of the other, with a 95 % interval; `low` and `high` None without draws."""

    metric: str
    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def differences(one: Evaluation, other: Evaluation) -> list[Difference]:
    """The difference of every metric with a value a test case, in the order of `one.values`.

    The same sessions are resampled for both, so that shared difficulty cancels out. Raises DataError if the test cases
    or the settings differ.
    """
    same = all(np.array_equal(getattr(one.test_cases, c), getattr(other.test_cases, c)) for c in _COLUMNS)
    if one.settings != other.settings or not same:
        raise DataError("a comparison needs the same test cases and settings of both models; evaluate both again")
    low = high = None
    if one.settings.draws:
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
