"""Models fitted on Spark, from sessions that one machine need not hold: the result of `fit` of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.parquet_io import load_vocab
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.models.base import Model
from embedrec.models.baselines.popular import Popular
from embedrec.models.baselines.rules import AssociationRules, SequentialRules
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.cooccurrence.svd import Spectral
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.pair_counts import NO_NUMBERS, PairCountRecipe, frequent_rows
from embedrec.models.session_weights import PairStatistics, exact_session_weights
from embedrec.progress import Report, quiet
from embedrec.spark.als import SparkALS
from embedrec.spark.item_sums import count_mentions, sum_sessions, sum_weights
from embedrec.spark.mention_counts import popular_counts
from embedrec.spark.pair_counts import PART_MENTIONS, SparkPairs
from embedrec.spark.pair_records import PairRules
from embedrec.spark.sessions_frame import SessionsFrame
from embedrec.storage.memory_budget import MemoryBudget


@dataclass(frozen=True)
class FitContext:
    """What a fit on Spark needs besides the sessions.

    staging  folder for parts, which all machines share
    memory   where the driver stores arrays that grow with items or pairs
    seed, threads, report  of what the driver computes, see `Recipe.fit`
    size     mentions of the sessions of a part, for mf of its items; the result does not depend on it
    """

    staging: Path
    memory: MemoryBudget
    seed: int = 0
    threads: int = 1
    report: Report = quiet
    size: int = PART_MENTIONS


def fit_on_spark(recipe: Any, frame: SessionsFrame, context: FitContext) -> Model:
    """The model that `recipe.fit` makes of the same sessions: equal lists and counts.

    Vectors of svd are those of the same matrix. Sums of `popular` with a half-life are equal up to the last digit.

    Raises SettingsError for a recipe that is not fitted on Spark, and the errors of `fit`.
    """
    check_recipe(recipe)
    model: Model = FITS[recipe.name](recipe, frame, context)
    return model


def check_recipe(recipe: Any) -> None:
    """Raises SettingsError for a recipe that is not fitted on Spark."""
    name = recipe.name
    if name not in FITS:
        raise SettingsError(
            f"{name} is not trained by the engine spark, which trains {', '.join(sorted(FITS))}"
            f"{did_you_mean(name, FITS)}; leave --engine out"
        )
    if isinstance(recipe, MatrixFactorisation) and recipe.uses_torch:
        raise SettingsError(
            f"{name} with loss={recipe.loss} is trained by gradients, which the engine spark does not do; set "
            "loss=als, or leave --engine out"
        )


def _pairs(recipe: PairCountRecipe[Any], frame: SessionsFrame, context: FitContext) -> Model:
    """See `PairCountRecipe.fit`."""
    vocab = _vocab(frame)
    rows, counts = frequent_rows(count_mentions(frame), recipe.min_count)
    context.report("vocabulary", items=len(rows), left_out=len(vocab) - len(rows))
    n = len(rows)
    new = frame.spark.sparkContext.broadcast(_renumbered(rows, len(vocab)))
    rules = PairRules(once=True, window=recipe.window)
    sums = sum_sessions(frame, rules, new, n)
    weights = recipe.session_weights(sums.lengths, n)
    exact = np.ones(len(sums.lengths)) if weights is None else exact_session_weights(weights, sums.lengths)
    norms, totals = sum_weights(frame, rules, new, n, exact)
    formula = recipe.formula(PairStatistics(frame.n_sessions, sums.mentions, norms, totals))
    used = NO_NUMBERS if weights is None else exact
    counting = SparkPairs(
        frame, rules, formula, new, n, sums, used, context.staging, context.threads, context.report, context.memory
    )
    items = vocab.take(rows).with_counts(counts)
    arrays = recipe.count_arrays(replace(counting, size=context.size), items, context.seed, None)
    model = recipe.from_arrays(items, arrays)
    if isinstance(recipe, Spectral) and recipe.contexts:
        return recipe.completed(model, Sessions.load(frame.artifact, frame.part, named=False), context.memory)
    return model


def _rules(recipe: AssociationRules | SequentialRules, frame: SessionsFrame, context: FitContext) -> Model:
    """See `AssociationRules.fit` and `SequentialRules.fit`."""
    from embedrec.kernels.pair_counts import COUNT, Formula

    vocab = _vocab(frame)
    new = frame.spark.sparkContext.broadcast(np.arange(len(vocab), dtype=np.int32))
    if isinstance(recipe, SequentialRules):
        rules = PairRules(once=False, window=recipe.steps, back=False, itself=recipe.itself)
    else:
        rules = PairRules(once=True, window=0, repeats=True, itself=recipe.itself)
    sums = sum_sessions(frame, rules, new, len(vocab))
    if isinstance(recipe, SequentialRules):
        reach = min(recipe.steps, max(1, len(sums.lengths) - 1))
        rules = replace(rules, window=reach, gap=recipe.distance_weights(reach, frame.n_events))
    counting = SparkPairs(
        frame,
        rules,
        Formula(COUNT, NO_NUMBERS, NO_NUMBERS, 0.0, 0.0, 0.0),
        new,
        len(vocab),
        sums,
        NO_NUMBERS,
        context.staging,
        context.threads,
        context.report,
        context.memory,
        context.size,
    )
    return recipe.from_arrays(vocab, counting.best_lists(recipe.pruning))


def _factorisation(recipe: MatrixFactorisation, frame: SessionsFrame, context: FitContext) -> Model:
    """See `MatrixFactorisation.fit` with loss als."""
    vocab = _vocab(frame)
    rows, counts = frequent_rows(count_mentions(frame), recipe.min_count)
    context.report("vocabulary", items=len(rows), left_out=len(vocab) - len(rows))
    items = vocab.take(rows).with_counts(counts)
    training = SparkALS(
        recipe,
        frame,
        items,
        counts,
        _renumbered(rows, len(vocab)),
        context.staging,
        context.size,
        context.seed,
        context.threads,
        context.report,
        context.memory,
    )
    return recipe.from_arrays(items, training.arrays())


def _popular(recipe: Popular, frame: SessionsFrame, context: FitContext) -> Model:
    """See `Popular.fit`."""
    return recipe.from_arrays(_vocab(frame), {"counts": popular_counts(recipe, frame)})


def _vocab(frame: SessionsFrame) -> Vocab:
    return load_vocab(frame.artifact.path(f"{frame.part}vocab.parquet"))


def _renumbered(rows: np.ndarray, size: int) -> np.ndarray:
    """The row of each of `size` items among the items `rows`: (size,) int32; −1 for the others."""
    renumbered = np.full(size, -1, dtype=np.int32)
    renumbered[rows] = np.arange(len(rows), dtype=np.int32)
    return renumbered


FITS: dict[str, Callable[[Any, SessionsFrame, FitContext], Model]] = {
    AssociationRules.name: _rules,
    Cooccurrence.name: _pairs,
    MatrixFactorisation.name: _factorisation,
    Popular.name: _popular,
    SequentialRules.name: _rules,
    Spectral.name: _pairs,
}
