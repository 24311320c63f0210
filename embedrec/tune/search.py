"""Hyper-parameter search: Optuna proposes settings, which are trained and evaluated on a validation part."""

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
from embedrec.models.torch_recipe import is_torch_recipe
from embedrec.progress import Report, quiet
from embedrec.tune.journal import Journal, TrialRecord
from embedrec.tune.search_space import Choices, Range, Space
from embedrec.workflows.compare import check_metrics, flat_metrics
from embedrec.workflows.composite_parts import device_for
from embedrec.workflows.evaluate import EvaluationTask, describe_task, evaluate_task
from embedrec.workflows.evaluated_models import train_for_evaluation
from embedrec.workflows.train import TrainingOptions

Method = Literal["tpe", "random"]
_PATIENCE = 3  # epochs without improvement, for recipes without a patience of their own
_FIRST = 5  # trials before any is pruned
_WARM = 2  # epochs before a trial is pruned


@dataclass(frozen=True)
class Search:
    """The settings of a search.

    recipe  settings outside the space; the recipe's own settings are the first trial
    space   setting → range or choices
    metric  the metric to maximise
    method  "tpe", a tree of Parzen estimators (Bergstra et al. 2011), or "random"
    prune   end trials whose epochs are worse than the median of earlier ones (Golovin et al. 2017), for models that
            report the metric of their `watch` after every epoch
    """

    recipe: Any
    space: Space
    metric: str = "recall@20"
    method: Method = "tpe"
    prune: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.space:
            raise SettingsError("the search space is empty; add settings with --space")
        if (
            self.prune
            and is_torch_recipe(self.recipe)
            and self.recipe.patience is None
            and "patience" not in self.space
        ):
            object.__setattr__(self, "recipe", replace(self.recipe, patience=_PATIENCE))

    def about(self, task: EvaluationTask, settings: EvaluationSettings) -> dict[str, Any]:
        """What all trials share; a search resumes only if it is equal."""
        space = {
            key: list(r.values) if isinstance(r, Choices) else [r.low, r.high, r.log] for key, r in self.space.items()
        }
        return {
            "model": self.recipe.name,
            "settings": settings_of(self.recipe),
            "space": space,
            "metric": self.metric,
            "search": self.method,
            "prune": self.prune,
            "seed": self.seed,
            "asked": describe_task(task, settings),
        }


class _PrunedError(Exception):
    """Raised within a training that is pruned."""


def check_optuna() -> None:
    """Raises SettingsError if Optuna is not installed."""
    need_package("optuna", "tuning")


def tune(
    search: Search,
    task: EvaluationTask,
    settings: EvaluationSettings,
    journal: Journal,
    trials: int,
    *,
    threads: int = 1,
    device: str = "cpu",
    report: Report = quiet,
) -> Any:
    """Run trials until the journal holds `trials` of them; returns the recipe with the best settings.

    task    evaluates on a validation part, cut from the training part
    report  report("tried", number=, of=, state=, value=, best=, the settings, and reason= of a failed trial), and the
            events of training

    The proposals depend only on the seed and the earlier trials, so that an interrupted search resumes with the same
    result. Raises SettingsError for an unknown metric, and if no trial has a value.
    """
    check_metrics([search.metric], settings)
    evaluator = _Evaluator(search, task, settings, threads, device, report)
    while len(journal.trials) < trials:
        trial = evaluator.run(journal)
        journal.add(trial)
        best = journal.best
        report(
            "tried", number=trial.number + 1, of=trials, state=trial.state, **{search.metric: trial.value},
            best=None if best is None else best.value, **trial.set,
            **({"reason": trial.reason} if trial.reason else {}),
        )  # fmt: skip
    best = journal.best
    if best is None:
        reason = next((t.reason for t in journal.trials if t.reason), "none")
        raise SettingsError(f"no trial has a value; the reason of the first is: {reason}")
    return _with_settings(search.recipe, best.set)


@dataclass(frozen=True, eq=False)
class _Evaluator:
    """Trains and evaluates the trials of a search."""

    search: Search
    task: EvaluationTask
    settings: EvaluationSettings
    threads: int
    device: str
    report: Report

    def run(self, journal: Journal) -> TrialRecord:
        """The next trial."""
        started = perf_counter()
        proposed = _propose(self.search, journal)
        number = len(journal.trials)
        values = _own_settings(self.search) if number == 0 else None
        if values is None:
            values = rounded_settings(proposed.params, self.search.space)
        trial = TrialRecord(number, values, "failed")
        epochs: dict[str, float] = {}
        try:
            metrics = self._evaluate(_with_settings(self.search.recipe, values), proposed, epochs)
            value = metrics[self.search.metric]
            trial = replace(trial, state="done", value=value, metrics=metrics)
            if value is None:
                reason = f"{self.search.metric} is undefined for these test cases"
                trial = replace(trial, state="failed", reason=reason)
        except _PrunedError:
            trial = replace(trial, state="pruned")
        except EmbedrecError as e:  # incompatible settings, or a training that diverged
            trial = replace(trial, reason=str(e))
        return replace(trial, epochs=epochs, seconds=round(perf_counter() - started, 3))

    def _evaluate(self, recipe: Recipe, proposed: Any, epochs: dict[str, float]) -> dict[str, float | None]:
        """Train and evaluate; writes the watched metric of each epoch into `epochs`. Raises _PrunedError."""

        def report(event: str, **numbers: Any) -> None:
            self.report(event, **numbers)
            watched = numbers.get(getattr(recipe, "watch", ""))
            if event == "epoch" and self.search.prune and watched is not None:
                epochs[str(numbers["epoch"])] = float(watched)
                proposed.report(float(watched), numbers["epoch"])
                if proposed.should_prune():
                    raise _PrunedError

        trained = train_for_evaluation(
            recipe,
            self.task,
            recipe.name,
            TrainingOptions(
                seed=self.search.seed,
                threads=self.threads,
                device=device_for(recipe, self.device),
            ),
            origin="",
            report=report,
        )
        return flat_metrics(evaluate_task(self.task, trained.model, self.settings, report=self.report))


def _with_settings(recipe: Any, values: Mapping[str, Any]) -> Any:
    return build(type(recipe), {**settings_of(recipe), **values}, source="the space")


def _own_settings(search: Search) -> dict[str, Any] | None:
    """The recipe's own settings if the space contains them, so that the result is no worse than they are."""
    own = {key: getattr(search.recipe, key) for key in search.space}
    for key, domain in search.space.items():
        inside = own[key] in domain.values if isinstance(domain, Choices) else _within(own[key], domain)
        if not inside:
            return None
    return own


def _within(value: Any, domain: Range) -> bool:
    return isinstance(value, int | float) and domain.low <= value <= domain.high


def _propose(search: Search, journal: Journal) -> Any:
    """Optuna's next trial, given all trials of the journal."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    distributions: dict[str, Any] = {}
    for key, domain in search.space.items():
        if isinstance(domain, Choices):
            distributions[key] = CategoricalDistribution(list(domain.values))
        else:
            cls: Any = IntDistribution if domain.whole else FloatDistribution
            distributions[key] = cls(domain.low, domain.high, log=domain.log)
    number = len(journal.trials)
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    sampler: Any = (
        optuna.samplers.RandomSampler(seed=seed)
        if search.method == "random"
        else optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)
    )
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST, n_warmup_steps=_WARM)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    for trial in journal.trials:
        study.add_trial(
            create_trial(
                state=states[trial.state],
                value=trial.value,
                params=trial.set,
                distributions=distributions,
                intermediate_values={int(epoch): value for epoch, value in trial.epochs.items()},
            )
        )
    return study.ask(distributions)


def rounded_settings(settings: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Settings with floats of six digits, so that the TOML file holds exactly the values of the trial."""
    out = dict(settings)
    for key, domain in space.items():
        if isinstance(domain, Range) and not domain.whole:
            out[key] = min(max(float(f"{settings[key]:.6g}"), domain.low), domain.high)
    return out
