"""The search: settings proposed by Optuna, trained on the training part, judged on the validation part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np

from embedrec.config import build, settings_of
from embedrec.errors import EmbedrecError, SettingsError, need_package
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.models.base import Recipe
from embedrec.models.torch_recipe import in_steps
from embedrec.progress import Report, quiet
from embedrec.tune.journal import Journal, Tried
from embedrec.tune.search_space import Choices, Range, Space
from embedrec.workflows.compare import check_metrics, flat
from embedrec.workflows.contenders import trained_now
from embedrec.workflows.evaluate import EvaluationTask, about, ask

Method = Literal["tpe", "random"]
_PATIENCE = 3  # epochs without a gain, for recipes that set none
_FIRST = 5  # trials before any is ended early
_WARM = 2  # the first epoch that may end one


@dataclass(frozen=True)
class Search:
    """How settings are looked for.

    recipe  what stays as it is where the space says nothing; its own settings are tried first
    space   setting → range or choices
    metric  what is to be high
    way     "tpe", a tree of Parzen estimators (Bergstra et al. 2011), or "random"
    prune   end trials early whose epochs are worse than the median of those before (Golovin et al. 2017), where a model
            reports the metric of its `watch` after every epoch
    """

    recipe: Any
    space: Space
    metric: str = "recall@20"
    way: Method = "tpe"
    prune: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.space:
            raise SettingsError("there is nothing to look for; name settings with --space")
        if self.prune and in_steps(self.recipe) and self.recipe.patience is None and "patience" not in self.space:
            object.__setattr__(self, "recipe", replace(self.recipe, patience=_PATIENCE))

    def about(self, trial: EvaluationTask, terms: EvaluationSettings) -> dict[str, Any]:
        """What all trials share, and a later run must share to go on."""
        space = {
            key: list(r.values) if isinstance(r, Choices) else [r.low, r.high, r.log] for key, r in self.space.items()
        }
        return {
            "model": self.recipe.name,
            "settings": settings_of(self.recipe),
            "space": space,
            "metric": self.metric,
            "search": self.way,
            "prune": self.prune,
            "seed": self.seed,
            "asked": about(trial, terms),
        }


class _PrunedError(Exception):
    """Raised out of a training that is worse than those before."""


def check_optuna() -> None:
    """Raises SettingsError where Optuna is not installed."""
    need_package("optuna", "tuning", "embedrec[tune]")


def tune(
    search: Search,
    trial: EvaluationTask,
    terms: EvaluationSettings,
    journal: Journal,
    trials: int,
    *,
    threads: int = 1,
    device: str = "cpu",
    report: Report = quiet,
) -> Any:
    """Try settings until the journal holds so many trials; the recipe with the best ones.

    trial   the validation part, cut from the training part
    report  report("tried", number=, of=, state=, value=, best=, the settings, and of one that failed
            reason=), and what training reports

    What is proposed depends on the seed and the trials before only: a search that was killed and goes on ends as one
    that was not. Raises SettingsError for a metric that there is none of, and when no trial could be judged.
    """
    check_metrics([search.metric], terms)
    while len(journal.trials) < trials:
        number = len(journal.trials)
        proposed = _proposed(search, journal)
        chosen = _first(search) if number == 0 else None
        settings = chosen if chosen is not None else _plain(proposed.params, search.space)
        started = perf_counter()
        told: dict[str, float] = {}
        tried = Tried(number, settings, "failed")
        try:
            recipe = build(type(search.recipe), {**settings_of(search.recipe), **settings}, given="the space")
            figures = _judged(search, recipe, trial, terms, proposed, told, threads, device, report)
            value = figures[search.metric]
            tried = replace(tried, state="done", value=value, metrics=figures)
            if value is None:
                tried = replace(tried, state="failed", reason=f"there is no {search.metric} of these questions")
        except _PrunedError:
            tried = replace(tried, state="pruned")
        except EmbedrecError as e:  # settings that do not fit together, or a training that diverged
            tried = replace(tried, reason=str(e))
        journal.add(replace(tried, epochs=told, seconds=round(perf_counter() - started, 3)))
        best = journal.best
        report(
            "tried", number=number + 1, of=trials, state=tried.state, **{search.metric: tried.value},
            best=None if best is None else best.value, **settings,
            **({"reason": tried.reason} if tried.reason else {}),
        )  # fmt: skip
    best = journal.best
    if best is None:
        reasons = [t.reason for t in journal.trials if t.reason]
        raise SettingsError(
            f"no settings could be judged; the first trial said: {reasons[0] if reasons else 'nothing'}"
        )
    return build(type(search.recipe), {**settings_of(search.recipe), **best.set}, given="the space")


def _judged(
    search: Search,
    recipe: Recipe,
    trial: EvaluationTask,
    terms: EvaluationSettings,
    proposed: Any,
    told: dict[str, float],
    threads: int,
    device: str,
    report: Report,
) -> dict[str, float | None]:
    """Train and ask; raises _PrunedError in between."""

    def listening(event: str, **numbers: Any) -> None:
        report(event, **numbers)
        watched = numbers.get(getattr(recipe, "watch", ""))
        if event == "epoch" and search.prune and watched is not None:
            told[str(numbers["epoch"])] = float(watched)
            proposed.report(float(watched), numbers["epoch"])
            if proposed.should_prune():
                raise _PrunedError

    contender = trained_now(
        recipe,
        trial,
        recipe.name,
        origin="",
        seed=search.seed,
        threads=threads,
        device=device if in_steps(recipe) else "cpu",
        report=listening,
    )
    return flat(ask(trial, contender.model, terms, report=report))


def _first(search: Search) -> dict[str, Any] | None:
    """The recipe's own settings, where the space holds them: what is found is no worse than these."""
    own = {key: getattr(search.recipe, key) for key in search.space}
    for key, where in search.space.items():
        inside = own[key] in where.values if isinstance(where, Choices) else _within(own[key], where)
        if not inside:
            return None
    return own


def _within(value: Any, where: Range) -> bool:
    return isinstance(value, int | float) and where.low <= value <= where.high


def _proposed(search: Search, journal: Journal) -> Any:
    """Optuna's next trial, after all that are in the journal."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    places: dict[str, Any] = {}
    for key, where in search.space.items():
        if isinstance(where, Choices):
            places[key] = CategoricalDistribution(list(where.values))
        else:
            cls: Any = IntDistribution if where.whole else FloatDistribution
            places[key] = cls(where.low, where.high, log=where.log)
    number = len(journal.trials)
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    sampler: Any = (
        optuna.samplers.RandomSampler(seed=seed)
        if search.way == "random"
        else optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)
    )
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST, n_warmup_steps=_WARM)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    for tried in journal.trials:
        study.add_trial(
            create_trial(
                state=states[tried.state],
                value=tried.value,
                params=tried.set,
                distributions=places,
                intermediate_values={int(epoch): value for epoch, value in tried.epochs.items()},
            )
        )
    return study.ask(places)


def _plain(settings: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Settings as they stand in TOML: floats with six digits, so that what is written is what was tried."""
    out = dict(settings)
    for key, where in space.items():
        if isinstance(where, Range) and not where.whole:
            out[key] = min(max(float(f"{settings[key]:.6g}"), where.low), where.high)
    return out
