"""The result of a comparison in one sentence: the best model, and which models are not distinguishable from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def summarise_comparison(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """A sentence such as "mf is best: recall@20 0.338 (95% interval 0.309 to 0.367); svd is not distinguishable".

    A model is not distinguishable from the best if the 95% interval of its gap, paired by session, contains 0.

    rows  of `workflows.compare.comparison_rows`, the best model first

    None if no model has a value.
    """
    best = rows[0]
    metric = lead_metric(rows)
    if best[metric] is None:
        return None
    sentence = f"{best['model']} {'is best: ' if len(rows) > 1 else 'has '}{metric} {best[metric]:.3f}"
    if best.get("low") is not None:
        sentence += f" (95% interval {best['low']:.3f} to {best['high']:.3f})"
    compared = [row for row in rows[1:] if row.get("gap_to_best_low") is not None]
    equal = [str(row["model"]) for row in compared if row["gap_to_best_low"] <= 0]
    worse = [str(row["model"]) for row in compared if row["gap_to_best_low"] > 0]
    if equal:
        sentence += f"; {_listed(equal)} not distinguishable"
    if worse:
        sentence += f"; {_listed(worse)} worse"
    return sentence + "."


def lead_metric(rows: Sequence[Mapping[str, Any]]) -> str:
    """The metric that orders the rows: the one followed by its interval, else the first."""
    names = list(rows[0])
    return names[names.index("low") - 1] if "low" in names else names[1]


def _listed(names: Sequence[str]) -> str:
    """ "a is", "a and b are", "a, b and c are"."""
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
