"""Train a model on a sessions artifact, or import one, and write the model artifact."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

from embedrec.config import build, parse_pairs, read_toml, settings_of, table
from embedrec.data.session_shares import session_share
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError, did_you_mean, need_package
from embedrec.models.base import Recipe
from embedrec.models.frozen import extend_frozen
from embedrec.models.imported import Vectors
from embedrec.models.pair_counts import PairCountRecipe
from embedrec.models.serialization import NO_PARTS, load_vector_model, save_model
from embedrec.models.torch_recipe import choose_device, display_name, fit_recipe, is_torch_recipe
from embedrec.progress import Report, quiet
from embedrec.ranking.composite import CompositeModel, CompositeRecipe
from embedrec.ranking.validation import check_better
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, spill
from embedrec.storage.remote import ReadPath
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext, torchrun_rank
from embedrec.training.shares import TrainsOnShares
from embedrec.vectors.embeddings import Metric
from embedrec.vectors.file_formats import Format, load_vectors
from embedrec.vectors.hub_folder import is_hub_folder, load_hub_folder
from embedrec.vectors.remote_files import local_vectors
from embedrec.workflows.composite_parts import prepare_parts
from embedrec.workflows.lineage import provenance
from embedrec.workflows.spaces import keep_frozen, place_in_space
from embedrec.workflows.warm_start import WarmStart, first_settings

AS_IS: Mapping[str, Any] = MappingProxyType({})


def recipe_of(cls: type[Any], config: Path | None, pairs: Iterable[str], base: Mapping[str, Any] = AS_IS) -> Any:
    """A recipe from defaults < settings in `base` < the table [train.NAME] of a TOML file < key=value pairs.

    Raises SettingsError for unknown keys, and for a file without this table or with other tables than [train].
    """
    values = dict(base)
    if config is not None:
        tables = read_toml(config)
        trained = tables.get("train")
        tables_found = [f"train.{name}" for name in trained] if isinstance(trained, dict) else []
        odd = next((key for key in tables if key != "train"), None)
        if odd is not None or f"train.{cls.name}" not in tables_found:
            wrong = f"has {odd!r} outside of it" if odd is not None else "has none"
            near = did_you_mean(f"train.{cls.name}", tables_found)
            raise SettingsError(f"{config} must contain the settings in a table [train.{cls.name}], but {wrong}{near}")
        values |= table(tables, "train", cls.name)
        build(cls, values, source=str(config))  # names the file when the file is wrong
    return build(cls, {**values, **parse_pairs(pairs)}, source="--set")


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained for an evaluation.

    config, pairs  a TOML file and key=value pairs with settings of the recipe, see `recipe_of`
    device         "cpu", "cuda" or "auto"
    keep           names in `models/parts` under which a model is kept, see `parts_to_keep`
    """

    config: Path | None = None
    pairs: Sequence[str] = ()
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    keep: frozenset[str] = frozenset()


DEFAULTS = TrainingOptions()


def train_model(
    recipe: Recipe,
    source: Artifact,
    folder: Path,
    *,
    start: WarmStart | None = None,
    seed: int = 0,
    threads: int = 1,
    report: Report = quiet,
    context: TrainingContext = DEFAULT_CONTEXT,
) -> Artifact:
    """Train a recipe on a sessions artifact, from scratch or from a model, and write the model artifact `folder`.

    start    the model to continue, and whether its space is kept; under a memory limit, all sessions count as new
    context  device, checkpoint and processes of the training; the checkpoint is removed when the model is written. With
             `force`, a composite model that is not better than its best part is written, and its manifest says so

    Raises SettingsError for a `start` that the recipe cannot continue, and for a memory limit that it does not support;
    TargetNotMet, with the figures, for a composite model that is not better than its best part.
    """
    artifacts.check_place(folder)
    if context.checkpoint is not None:
        artifacts.check_place(context.checkpoint)
    if start is not None and context.processes is not None:
        raise SettingsError(f"a warm start of {recipe.name} trains in one process; leave torchrun or --from out")
    known = None if start is None else start.changes
    sessions = training_sessions(recipe, source, context) if known is None else known.new
    if start is not None and start.space == "frozen":
        return _extend(recipe, source, sessions, folder, start.model, seed=seed, threads=threads, report=report)
    more: dict[str, Any] = {} if start is None else start.arguments(recipe, sessions, compare=context.memory is None)
    if context.memory is not None and isinstance(recipe, PairCountRecipe):
        more["memory"] = MemoryBudget(context.memory, folder.parent)
    if isinstance(recipe, CompositeRecipe):
        device = context.device
        recipe, more["store"] = prepare_parts(recipe, sessions, source, whole=True, device=device, report=report)
        context = replace(context, device=more["store"].device)
    epochs: list[dict[str, Any]] = []
    measured: dict[str, Any] = {}

    def record(event: str, **numbers: Any) -> None:
        if event == "epoch":
            epochs.append(numbers)
        if event in ("candidates", "validation"):
            measured[event] = numbers
        report(event, **numbers)

    started = perf_counter()
    with more.get("memory", IN_MEMORY).returning():
        model = fit_recipe(
            recipe,
            sessions,
            seed=seed,
            threads=threads,
            report=record,
            context=DEFAULT_CONTEXT if "store" in more else _context_of(recipe, context),
            **more,
        )
    about = {
        "trained_on": provenance(source),
        **_continued(None if start is None else start.model),
        "seed": seed,
        "threads": threads,
        "seconds": round(perf_counter() - started, 3),
        "epochs": epochs,
        **measured,
    }
    if context.device != "cpu":
        about["device"] = context.device
    if "validation" in measured and not measured["validation"]["better"]:
        check_better(recipe.name, measured["validation"], force=context.force)
        about["forced"] = True
    parts = model.sources if isinstance(model, CompositeModel) else NO_PARTS
    before = None if start is None else start.model
    placed = place_in_space(model, start, report)
    save_model(placed.model, folder, {**about, **placed.about}, made_from=before, parts=parts, maps=placed.maps)
    if context.checkpoint is not None:
        shutil.rmtree(context.checkpoint, ignore_errors=True)
    return artifacts.read(folder, "model")


def _extend(
    recipe: Recipe, source: Artifact, sessions: Sessions, folder: Path, start: Artifact, **more: Any
) -> Artifact:
    """Write the model `start`, extended by the new items of the sessions, as the artifact `folder`."""
    if start.about.get("recipe") != recipe.name or settings_of(recipe) != start.about.get("settings"):
        raise SettingsError(f"--frozen keeps the settings of model {start.name}; leave --config and --set out")
    started = perf_counter()
    placed = keep_frozen(extend_frozen(load_vector_model(start), sessions, **more), start)
    about = {
        "trained_on": provenance(source),
        **_continued(start),
        "seed": more["seed"],
        "threads": more["threads"],
        "seconds": round(perf_counter() - started, 3),
        "epochs": [],
        **placed.about,
    }
    save_model(placed.model, folder, about, made_from=start, maps=placed.maps)
    return artifacts.read(folder, "model")


def _continued(start: Artifact | None) -> dict[str, Any]:
    """Manifest entries on the model that a training continues: its own settings are those of less training."""
    if start is None:
        return {"continued_from": None}
    return {"continued_from": provenance(start), "first_settings": first_settings(start)}


def train_beside(recipe: Recipe, source: Artifact, *, seed: int, threads: int, context: TrainingContext) -> None:
    """Train in the other processes of a training, while the first one runs `train_model`: neither report nor write."""
    sessions = training_sessions(recipe, source, context)
    fit_recipe(recipe, sessions, seed=seed, threads=threads, report=quiet, context=_context_of(recipe, context))


def training_sessions(recipe: Recipe, source: Artifact, context: TrainingContext) -> Sessions:
    """The sessions that this process reads: all, or its share of them.

    Raises SettingsError for a memory limit that the recipe does not support.
    """
    processes = context.processes
    several = processes is not None and not is_torch_recipe(recipe)  # which has batches of all sessions otherwise
    if isinstance(recipe, TrainsOnShares) and (several or context.memory is not None):
        return session_share(source, *((0, 1) if processes is None else (processes.rank, processes.count)))
    if context.memory is not None and not isinstance(recipe, PairCountRecipe):
        raise SettingsError(f"{recipe.name} has no memory limit; leave --memory out")
    return Sessions.load(source, named=context.memory is None)


def _context_of(recipe: Recipe, context: TrainingContext) -> TrainingContext:
    """What `fit` is told: a memory limit concerns it only if it trains on shares."""
    return replace(context, force=False, memory=context.memory if isinstance(recipe, TrainsOnShares) else None)


@contextmanager
def training_context(
    recipe: Recipe,
    device: str,
    checkpoint: Path,
    resume: bool,
    *,
    environment: Mapping[str, str],
    report: Report = quiet,
    test: Callable[[Any], dict[str, float]] | None = None,
) -> Iterator[TrainingContext]:
    """The training context of a recipe: its device, its checkpoint, and the other processes of `torchrun`.

    resume       continue the training of the checkpoint
    environment  variables of the process, of which `torchrun` sets some
    test         see `TrainingContext`

    Raises SettingsError for a recipe that trains without torch, with `resume`, `test` or, but for those that train on
    shares, in several processes.
    """
    local_rank, count = torchrun_rank(environment)
    chosen = device  # of a composite model, whose parts choose, see `prepare_parts`
    if not isinstance(recipe, CompositeRecipe):
        chosen = choose_device(recipe, device, quiet if local_rank else report, local_rank=local_rank)
    if not is_torch_recipe(recipe) and not (isinstance(recipe, TrainsOnShares) and count > 1 and not resume):
        if resume or count > 1 or test is not None:
            given = "--resume" if resume else "torchrun" if count > 1 else "--report-test-epochs"
            raise SettingsError(f"{display_name(recipe)} does not support {given}; leave it out")
        yield TrainingContext(chosen)
    elif count == 1:
        if checkpoint.exists() and not resume:
            message = f"starting again; --resume continues the interrupted training in {checkpoint}"
            report("note", message=message)
        yield TrainingContext(chosen, checkpoint, resume, test=test)
    else:
        need_package("torch", f"training {recipe.name} in several processes")
        from embedrec.training.distributed import join_processes

        kept = checkpoint if is_torch_recipe(recipe) else None
        with join_processes(chosen) as processes:
            yield TrainingContext(chosen, kept, resume, processes, test)


def import_vectors(
    path: ReadPath,
    folder: Path,
    *,
    kind: Format | None = None,
    metric: Metric | None = None,
    encoded: bool = False,
    report: Report = quiet,
) -> Artifact:
    """Read item vectors from a file of another tool, or from a folder of `hub_folder`, and write the model `folder`.

    Files at a URL are copied beside the models for the time, see `local_vectors`.

    Vectors of npy, fbin, fvecs, bvecs and ivecs may be larger than the memory.
    """
    artifacts.check_place(folder)
    memory = spill(folder.parent)
    with local_vectors(path, folder) as local:
        if is_hub_folder(local):
            embeddings = load_hub_folder(local, metric=metric)
        else:
            embeddings = load_vectors(local, kind, metric=metric, encoded=encoded, memory=memory, report=report)
        model = Vectors(metric=embeddings.metric).from_arrays(embeddings.vocab, {"items": embeddings.vectors})
        save_model(model, folder, {"file": str(path), "metric_from": embeddings.about["metric_from"]})
    return artifacts.read(folder, "model")
