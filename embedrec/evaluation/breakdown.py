"""Metrics by length of the history, and by popularity of the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.evaluation.evaluate import Evaluation, mean_of

_LENGTHS = ((1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5-9"), (10, "10-19"), (20, "20-49"), (50, "50+"))
_SHARES = ((0.01, "most popular 1%"), (0.1, "1-10%"), (0.5, "10-50%"), (1.0, "50-100%"))


def by_length(evaluation: Evaluation, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Means of metrics by the number of known items in the history."""
    length = evaluation.test_cases.length
    starts = [start for start, _ in _LENGTHS]
    group = np.searchsorted(starts, length, side="right") - 1  # −1: no known item
    for number, label in [(-1, "0"), *enumerate(label for _, label in _LENGTHS)]:
        yield from _row("length", label, group == number, evaluation, metrics)


def by_popularity(evaluation: Evaluation, train: Sessions, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Means of metrics by the popularity of the target: its rank by training count among all items.

    For several targets, the mean rank of the known ones.
    """
    counts = np.bincount(train.items, minlength=len(train.vocab))
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    test_cases = evaluation.test_cases
    known = test_cases.targets >= 0
    ranks = np.where(known, place[test_cases.targets] + 1, 0)
    size = np.add.reduceat(known, test_cases.offsets[:-1], dtype=np.int64)
    mean = np.add.reduceat(ranks, test_cases.offsets[:-1]) / np.maximum(size, 1)
    share = np.where(size > 0, mean / len(counts), np.inf)
    group = np.searchsorted([end for end, _ in _SHARES], share, side="left")
    for number, label in [*enumerate(label for _, label in _SHARES), (len(_SHARES), "unknown")]:
        yield from _row("target", label, group == number, evaluation, metrics)


def _row(
    what: str, label: str, mask: np.ndarray, evaluation: Evaluation, metrics: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row of the table; none for an empty group."""
    if mask.any():
        means = {m: mean_of(evaluation.values[m][mask]) for m in metrics}
        yield {what: label, "questions": int(mask.sum()), **means}
