"""The models that an evaluation compares: trained before, or now on the training part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.evaluation.case_blocks import Compute, compute_here
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.models import MODELS, recipe_class, settings_class
from embedrec.models.base import Model, Recipe, ThreadedModel
from embedrec.models.filtered_recommend import sample_query_vectors
from embedrec.models.serialization import load_model
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.torch_recipe import check_torch, choose_device, fit_recipe
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.ranking.composite import CompositeRecipe
from embedrec.ranking.part_training import part_name, sessions_digest
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext
from embedrec.workflows.composite_parts import check_packages, keep_model, kept_model, part_names, prepare_parts
from embedrec.workflows.evaluate import EvaluationTask, evaluate_task
from embedrec.workflows.train import DEFAULTS, TrainingOptions, recipe_of
from embedrec.workflows.warm_start import first_settings


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A model to evaluate.

    seconds  training time; None for a model that was trained before
    origin   how it was trained, in words
    exact    the same model with exact search, if `model` searches an index
    """

    name: str
    model: Model
    seconds: float | None
    origin: str
    exact: Model | None = None


def model_to_evaluate(
    workspace: Workspace,
    name: str,
    task: EvaluationTask,
    options: TrainingOptions = DEFAULTS,
    *,
    report: Report = quiet,
) -> EvaluatedModel:
    """The model of a name, trained on the training part and nothing else.

    name  of a trained model: it is retrained with its settings unless it was trained on exactly the training part; or
          of a recipe in MODELS, which is trained. Imported vectors cannot be retrained, and may know the held-out part.
    """
    trained = workspace.named("model", name)
    if trained is not None and trained.about["recipe"] not in MODELS:
        model = _for_protocol(task, _restrict_to_catalogue(trained, task.train.vocab))
        return EvaluatedModel(name, model, None, "imported; may have been trained on the held-out part")
    if trained is not None and _is_of_training_part(trained, task, options):
        model = _for_protocol(task, load_model(trained, threads=options.threads))
        return EvaluatedModel(name, model, None, "trained before, on the training part")
    origin = "trained now on the training part"
    if trained is not None:
        origin = "retrained on the training part with its settings"
    recipe = _recipe_to_train(trained, name, options)
    return train_for_evaluation(recipe, task, name, options, origin=origin, report=report)


def parts_to_keep(workspace: Workspace, models: Mapping[str, TrainingOptions], task: EvaluationTask) -> frozenset[str]:
    """What the trainings of a comparison keep, so that its composite models need not train these parts again.

    models  names and options of the models that are compared

    Returns names in `models/parts`. Raises SettingsError for parts that do not exist.
    """
    names: set[str] = set()
    for name, options in models.items():
        trained = workspace.named("model", name)
        if trained is not None and (
            trained.about["recipe"] not in MODELS or _is_of_training_part(trained, task, options)
        ):
            continue
        recipe = _recipe_to_train(trained, name, options)
        if isinstance(recipe, CompositeRecipe):
            names |= part_names(recipe, task.train, task.source, seed=options.seed)
    return frozenset(names)


def train_for_evaluation(
    recipe: Recipe,
    task: EvaluationTask,
    name: str,
    options: TrainingOptions,
    *,
    origin: str,
    report: Report = quiet,
) -> EvaluatedModel:
    """Train a recipe on the training part, unless it was trained on it as a part of a composite model.

    Where `options.keep` names it, the trained model is kept for the composite models that have it as a part.
    """
    started = perf_counter()
    kept = kept_model(recipe, task.train, task.source, seed=options.seed)
    if kept is not None:
        if isinstance(kept, ThreadedModel):
            kept = kept.with_threads(options.threads)
        known = "trained before on the training part, as a part of a composite model"
        return EvaluatedModel(name, _for_protocol(task, kept), None, known)
    context, more = DEFAULT_CONTEXT, dict[str, Any]()
    if isinstance(recipe, CompositeRecipe):
        device = options.device
        recipe, more["store"] = prepare_parts(recipe, task.train, task.source, device=device, report=report)
    else:
        context = TrainingContext(choose_device(recipe, options.device, report))
    model = fit_recipe(
        recipe, task.train, seed=options.seed, threads=options.threads, report=report, context=context, **more
    )
    seconds = perf_counter() - started
    if options.keep and part_name(recipe, options.seed, sessions_digest(task.train)) in options.keep:
        keep_model(model, recipe, task.train, task.source, seed=options.seed)
    return EvaluatedModel(name, _for_protocol(task, model), seconds, origin)


def check_model_names(workspace: Workspace, names: Iterable[str]) -> None:
    """Raises SettingsError, with near misses, for a name that is neither a trained model nor a recipe.

    Raises ArtifactError for a version, NAME@VERSION or NAME@TAG, that is not kept.
    """
    trained = [folder.name for folder in workspace.folders("model")]
    known = list(dict.fromkeys([*trained, *MODELS]))
    for name in names:
        if "@" in name and workspace.named("model", name) is not None:
            continue
        if name not in known:
            hint = did_you_mean(name, known) or f"; valid are {', '.join(known)}"
            raise SettingsError(f"no model is called {name!r}{hint}")
        if name in MODELS:
            check = check_torch if name in trained else check_packages  # a trained ranker needs no LightGBM
            check(recipe_class(name)())


def check_session_knn(name: str, recipe: type[Any], where: str = "") -> None:
    """Raises SettingsError for a model whose recipe class is not session kNN; `where` is the start of the message."""
    if not issubclass(recipe, SessionKnn):
        valid = ", ".join(key for key in MODELS if issubclass(recipe_class(key), SessionKnn))
        raise SettingsError(f"{where}a grid needs a session-kNN model; {name} is not one; choose from {valid}")


def search_through_index(
    evaluated: EvaluatedModel, kind: str, task: EvaluationTask, *, seed: int = 0, report: Report = quiet
) -> EvaluatedModel:
    """The same model with approximate search: an index of type `kind`, tuned on histories of the training part.

    Raises SettingsError for a model without vectors.
    """
    from embedrec.index.build import build_index
    from embedrec.index.build_settings import BuildSettings
    from embedrec.index.measure import SAMPLE_SIZE

    model = evaluated.model
    if not isinstance(model, VectorModel):
        raise SettingsError(f"--through needs a model with vectors; {evaluated.name} has none")
    queries = None if task.protocol == "similar" else sample_query_vectors(model, task.train, SAMPLE_SIZE, seed=seed)
    index = build_index(model.answers, kind, BuildSettings(seed=seed), queries=queries, report=report)
    origin = f"{evaluated.origin}; through {index.spec}"
    return replace(evaluated, model=model.using(index), origin=origin, exact=model)


def exact_metrics(
    evaluated: EvaluatedModel,
    task: EvaluationTask,
    settings: EvaluationSettings,
    *,
    compute: Compute = compute_here,
    report: Report = quiet,
) -> dict[str, float]:
    """Recall and MRR with exact search, at the longest list, of a model that searches an index; {} for other models."""
    if evaluated.exact is None:
        return {}
    k = settings.at[-1]
    shorter = replace(settings, at=(k,), draws=0)
    metrics = evaluate_task(task, evaluated.exact, shorter, compute=compute, report=report).metrics
    return {key: metrics[key] for key in (f"recall@{k}", f"mrr@{k}")}


def _is_of_training_part(trained: Artifact, task: EvaluationTask, options: TrainingOptions) -> bool:
    """Whether a model was trained from scratch on exactly the training part, and no other settings are given."""
    same = (trained.about.get("trained_on") or {}).get("fingerprint") == task.source.fingerprint
    fresh = trained.about.get("continued_from") is None
    return task.whole_artifact and same and fresh and not options.pairs and options.config is None


def _recipe_to_train(trained: Artifact | None, name: str, options: TrainingOptions) -> Any:
    """The recipe of a name, or of a trained model with its settings; options are over them."""
    if trained is None:
        return recipe_of(recipe_class(name), options.config, options.pairs)
    cls = settings_class(trained.about["recipe"])
    return recipe_of(cls, options.config, options.pairs, first_settings(trained))


def _for_protocol(task: EvaluationTask, model: Model) -> Model:
    """The model, for "similar" with the similarity of `embedrec similar`."""
    return model.by_similarity() if task.protocol == "similar" and isinstance(model, VectorModel) else model


def _restrict_to_catalogue(trained: Artifact, vocab: Vocab) -> Model:
    """An imported model restricted to the items of the training part."""
    model = load_model(trained)
    rows = vocab.rows_of(model.vocab.ids)
    known = rows >= 0
    if not known.any():
        raise DataError(f"model {trained.name} has no item of the training part; check that both use the same ids")
    arrays = {name: array[known] for name, array in model.arrays.items()}
    return model.recipe.from_arrays(vocab.take(rows[known]), arrays)
