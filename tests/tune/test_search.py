"""The search finds the best trial, resumes with the same result, and prunes poor trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import SettingsError, TrainingError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.models.baselines.popular import Popular
from embedrec.models.session_knn.variants import SKNN
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.progress import quiet
from embedrec.storage import artifacts
from embedrec.tune import search as searches
from embedrec.tune.journal import Journal
from embedrec.tune.search import Search, tune
from embedrec.tune.search_space import Choices, Range
from embedrec.workflows.evaluate import EvaluationTask
from embedrec.workflows.evaluation_options import EvaluationOptions
from tests.training.toy import clustered_sessions


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationTask, EvaluationSettings]:
    folder = tmp_path_factory.mktemp("tune") / "sessions"
    clustered_sessions().save(folder, {})
    options = EvaluationOptions(split="random:share=.2", valid=True, at=(5,), draws=0)
    task = options.open_task(artifacts.read(folder, "sessions"))
    return task, options.settings(task)


def run_search(
    search: Search, evaluation: tuple[EvaluationTask, EvaluationSettings], path: Path, trials: int, report: Any = quiet
) -> Journal:
    journal = Journal.open(path, search.about(*evaluation))
    tune(search, *evaluation, journal, trials, report=report)
    return journal


NEIGHBOURS = Search(SKNN(), {"neighbours": Range(1, 100, True), "similarity": Choices(("cosine", "jaccard"))}, "mrr@5")


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_result_is_the_best_trial(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path, method: Any
) -> None:
    search = Search(SKNN(), NEIGHBOURS.space, "mrr@5", method)
    journal = Journal.open(tmp_path / "j", search.about(*evaluation))
    results = tune(search, *evaluation, journal, 13)
    assert len(journal.trials) == 13 and all(t.state == "done" for t in journal.trials)
    assert journal.trials[0].set == {"neighbours": 100, "similarity": "cosine"}  # its own settings first
    best = max(journal.trials, key=lambda t: t.value or 0)
    assert results == SKNN(**best.set) and journal.best == best
    assert best.value == best.metrics["mrr@5"]
    assert len({json.dumps(t.set) for t in journal.trials}) > 6


def test_metrics_equal_those_of_compare(evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path) -> None:
    from embedrec.workflows.evaluate import evaluate_task

    trial, terms = evaluation
    journal = run_search(NEIGHBOURS, evaluation, tmp_path / "j", 2)
    for record in journal.trials:
        model = SKNN(**record.set).fit(trial.train, seed=0, threads=1, report=quiet)
        assert record.metrics["mrr@5"] == evaluate_task(trial, model, terms).metrics["mrr@5"]


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_a_resumed_search_has_the_same_result(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path, method: Any
) -> None:
    space = {"neighbours": Range(1, 100, True), "idf": Range(0.0, 9.0)}
    from embedrec.models.session_knn.variants import VSKNN

    search = Search(VSKNN(), space, "mrr@5", method, seed=4)
    complete = run_search(search, evaluation, tmp_path / "whole", 14)
    for stop in (1, 5, 12):
        path = tmp_path / f"stopped{stop}"

        def report(event: str, stop: int = stop, **values: Any) -> None:
            if event == "tried" and values["number"] == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_search(search, evaluation, path, 14, report)
        assert len(Journal.open(path, search.about(*evaluation)).trials) == stop
        resumed = run_search(search, evaluation, path, 14)
        assert [(t.set, t.value) for t in resumed.trials] == [(t.set, t.value) for t in complete.trials]
    assert len(run_search(search, evaluation, tmp_path / "whole", 5).trials) == 14  # nothing left to do


def test_poor_trials_are_pruned(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial whose epochs are below the median of earlier trials is pruned, after five completed trials."""
    real = searches.train_for_evaluation

    def train_for_evaluation(recipe: Any, *rest: Any, report: Any, **options: Any) -> Any:
        for epoch in range(1, 7):
            report("epoch", epoch=epoch, epochs=6, **{"recall@20": recipe.learning_rate * epoch / 6})
        return real(Popular(), *rest, report=quiet, **options)

    monkeypatch.setattr(searches, "train_for_evaluation", train_for_evaluation)
    space = {"learning_rate": Choices((0.2, 0.3, 0.001)), "dim": Choices((8,))}
    search = Search(TwoTower(dim=8, learning_rate=0.2), space, "mrr@5", "random", seed=2)
    journal = run_search(search, evaluation, tmp_path / "j", 16)
    pruned = [t for t in journal.trials if t.state == "pruned"]
    assert pruned and all(t.value is None and t.number >= 5 and 1 < len(t.epochs) < 6 for t in pruned)
    assert {t.set["learning_rate"] for t in pruned} <= {0.001, 0.2}
    assert all(len(t.epochs) == 6 for t in journal.trials if t.state == "done")
    assert Journal.open(tmp_path / "j", search.about(*evaluation)).trials == journal.trials
    unpruned = Search(search.recipe, space, "mrr@5", "random", prune=False, seed=2)
    assert {t.state for t in run_search(unpruned, evaluation, tmp_path / "whole", 16).trials} == {"done"}


def test_every_epoch_is_evaluated_if_trials_are_pruned(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path
) -> None:
    settings = {"dim": 8, "epochs": 2, "batch": 64}
    space = {"learning_rate": Range(0.01, 0.3, True)}
    assert Search(TwoTower(**settings), space).recipe.patience == TwoTower().patience == 3
    assert Search(TwoTower(**settings, patience=None), space).recipe.patience == 3
    assert Search(TwoTower(**settings, patience=None), space, prune=False).recipe.patience is None
    journal = run_search(Search(TwoTower(**settings), space, "mrr@5"), evaluation, tmp_path / "j", 1)
    assert list(journal.trials[0].epochs) == ["1", "2"]


def test_incompatible_settings_are_failed_trials(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path
) -> None:
    space = {"alpha": Choices((0.05, 1e-5)), "dim": Choices((4,))}  # below min_alpha
    search = Search(Word2Vec(dim=4, epochs=1, min_count=1), space, "mrr@5", "random")
    events: list[Any] = []
    journal = run_search(search, evaluation, tmp_path / "j", 8, lambda event, **values: events.append((event, values)))
    failed = [t for t in journal.trials if t.state == "failed"]
    assert [values.get("reason", "") for event, values in events if event == "tried"] == [
        t.reason for t in journal.trials
    ]
    assert failed and all(t.set["alpha"] == 1e-5 and "min_alpha" in t.reason for t in failed)
    only = Search(Word2Vec(dim=4, epochs=1), {"alpha": Choices((1e-5, 1e-6))}, "mrr@5")
    with pytest.raises(SettingsError, match="no trial has a value; the reason of the first is: min_alpha must be"):
        run_search(only, evaluation, tmp_path / "none", 3)


def test_a_metric_without_a_value_is_a_reason(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "flat_metrics", lambda result: {"mrr@5": None})
    with pytest.raises(SettingsError, match="the reason of the first is: mrr@5 is undefined for these test cases"):
        run_search(NEIGHBOURS, evaluation, tmp_path / "j", 1)


def test_a_training_that_diverges_is_a_failed_trial(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = searches.train_for_evaluation

    def train_for_evaluation(recipe: Any, *rest: Any, **options: Any) -> Any:
        if recipe.neighbours < 50:
            raise TrainingError("training diverged")
        return real(recipe, *rest, **options)

    monkeypatch.setattr(searches, "train_for_evaluation", train_for_evaluation)
    journal = run_search(NEIGHBOURS, evaluation, tmp_path / "j", 8)
    assert {t.state for t in journal.trials} == {"done", "failed"}
    assert {t.reason for t in journal.trials if t.state == "failed"} == {"training diverged"}


def test_empty_spaces_and_unknown_metrics_are_refused(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="the search space is empty; add settings with --space"):
        Search(Popular(), {})
    wrong = Search(SKNN(), NEIGHBOURS.space, "mrr@7")
    with pytest.raises(SettingsError, match="unknown metric 'mrr@7'; valid are hit_rate@5, "):
        run_search(wrong, evaluation, tmp_path / "j", 1)
    assert not (tmp_path / "j").exists()


def test_another_search_of_the_same_name_is_refused(
    evaluation: tuple[EvaluationTask, EvaluationSettings], tmp_path: Path
) -> None:
    run_search(NEIGHBOURS, evaluation, tmp_path / "j", 1)
    other = Search(SKNN(), NEIGHBOURS.space, "mrr@5", seed=9)
    with pytest.raises(SettingsError, match="belongs to a search with different seed; use another --name, or --anew"):
        Journal.open(tmp_path / "j", other.about(*evaluation))


def test_missing_optuna_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    remedy = r"install it with `pip install 'embedrec\[tune\]'`"
    with pytest.raises(SettingsError, match=f"tuning needs the package optuna; {remedy}"):
        searches.check_optuna()


def test_written_settings_equal_those_of_the_trial() -> None:
    rng = np.random.default_rng(0)
    space = {"x": Range(1e-5, 0.1, True), "n": Range(1, 9), "c": Choices(("a", "b"))}
    for value in (10 ** rng.uniform(-5, -1, 200)).tolist():
        plain = searches.rounded_settings({"x": value, "n": 3, "c": "a"}, space)
        assert plain == json.loads(json.dumps(plain)) and 1e-5 <= plain["x"] <= 0.1
        assert abs(plain["x"] / value - 1) < 1e-5
