"""The steps of a refresh that write artifacts: sessions, models and indexes, each into the staging workspace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.index import update
from embedrec.index.index_types import INDEXES
from embedrec.index.serialization import load_index
from embedrec.index.target import SearchTarget
from embedrec.models import MODELS, recipe_class
from embedrec.models.alignment import RotatableRecipe
from embedrec.models.serialization import load_model
from embedrec.models.session_encoders import Weights
from embedrec.models.torch_recipe import choose_device
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.training.context import TrainingContext
from embedrec.vectors.space import space_of
from embedrec.workflows.build_index import IndexSettings, build_index_artifact, features_for_index, needs_sessions
from embedrec.workflows.composite_parts import device_for
from embedrec.workflows.spaces import align_artifact
from embedrec.workflows.train import train_model
from embedrec.workflows.update_index import Changes, change_index
from embedrec.workflows.warm_start import WarmStart, continuing_settings

_TOMBSTONES = 0.2  # share of the vectors beyond which an index is rebuilt
_RECALL_LOSS = 0.005  # of an index beyond which it is rebuilt


@dataclass(frozen=True)
class Computing:
    """What computes: threads, and the device of models that train with torch ("cpu", "cuda" or "auto")."""

    threads: int = 1
    device: str = "cpu"


def recipe_to_continue(model: Artifact) -> tuple[Any, bool]:
    """The recipe that renews a model, and whether it is a warm start; other models are trained again."""
    name = model.about["recipe"]
    cls = recipe_class(name)
    if not MODELS[name].warm_start:
        return build(cls, model.about["settings"], source=str(model.folder)), False
    return build(cls, continuing_settings(cls, model, changes=True), source=str(model.folder)), True


def training_context_of(recipe: Any, computing: Computing, report: Report) -> TrainingContext:
    """The context in which a recipe is trained."""
    device = device_for(recipe, computing.device)
    if device == computing.device:
        device = choose_device(recipe, device, report)
    return TrainingContext(device)


def renew_model(
    workspace: Workspace,
    model: Artifact,
    sessions: Artifact,
    folder: Path,
    computing: Computing,
    report: Report = quiet,
) -> Artifact:
    """Train a model on the new sessions, from its current version where it supports that, into `folder`."""
    recipe, warm = recipe_to_continue(model)
    if not warm:
        report("note", message=f"model {model.name} ({recipe.name}) is trained from scratch: it has no warm start")
    return train_model(
        recipe,
        sessions,
        folder,
        start=WarmStart.of(workspace, model, report) if warm else None,
        seed=int(model.about.get("seed", 0)),
        threads=computing.threads,
        report=report,
        context=replace(
            training_context_of(recipe, computing, report), force=True
        ),  # the gate decides, not this figure
    )


def align_renewed(new: Artifact, old: Artifact, report: Report = quiet) -> tuple[Artifact, float | None]:
    """The renewed model, rotated into the space of the old one, and the mean cosine of common items afterwards.

    Models without vectors stay as they are, and so do those that cannot be aligned, with a note: they start a space of
    their own. None for these.
    """
    model, before = load_model(new), load_model(old)
    if not isinstance(model, VectorModel) or not isinstance(before, VectorModel):
        return new, None
    if space_of(new) == space_of(old) or not isinstance(model.recipe, RotatableRecipe):
        return new, new.about.get("aligned")
    try:
        done = align_artifact(new, old, new.folder)
    except SettingsError as e:
        report("note", message=f"model {new.name} starts a new space: {e}")
        return new, None
    return done, done.about["aligned"]


def renew_index(
    index: Artifact, model: Artifact, sessions: Artifact, staged: Workspace, report: Report = quiet
) -> tuple[Artifact, dict[str, Any]]:
    """The index with the vectors of the renewed model, in the staging workspace, and numbers of what was changed.

    An index of items is updated in place where its type can remove vectors and both are in one space. It is built again
    otherwise, or if its recall falls, or if too many of its vectors belong to removed items.
    """
    folder = staged.folder("index", index.name)
    if _can_be_updated(index, model):
        features = features_for_index(staged, model, report)
        done = change_index(index, folder, Changes(model, features=features), report=report)
        if not _must_be_built(index, done.artifact, done.row):
            return done.artifact, {key: done.row[key] for key in ("added", "removed", "tombstones")}
    built = _build_again(index, model, sessions, staged, folder, report)
    return built, {"built": built.about["spec"]}


def _can_be_updated(index: Artifact, model: Artifact) -> bool:
    if index.about.get("of", "items") != "items" or space_of(index) != space_of(model):
        return False
    loaded = load_index(index)
    return loaded.file is None and update.supports_removal(loaded.faiss)


def _must_be_built(before: Artifact, after: Artifact, row: dict[str, Any]) -> bool:
    measured, old = after.about.get("facts") or {}, before.about.get("facts") or {}
    name = next((key for key in measured if key.startswith("recall@")), "")
    recall = measured.get(name, 1.0)
    target = (measured.get("promise") or {}).get("recall", 0.0)
    lost = recall < old.get(name, 0.0) - _RECALL_LOSS or recall < target
    return lost or row["tombstones"] > _TOMBSTONES * max(row["items"] + row["tombstones"], 1)


def _build_again(
    index: Artifact, model: Artifact, sessions: Artifact, staged: Workspace, folder: Path, report: Report
) -> Artifact:
    about = index.about
    of, popularity = about.get("of", "items"), about.get("popularity")
    metric = None
    if popularity is None and of != "answers":
        vectors = load_model(model)
        own = vectors.embeddings.metric if isinstance(vectors, VectorModel) else None
        metric = about["metric"] if about["metric"] != own else None
    weights = about.get("weights")
    target = (about.get("facts") or {}).get("promise")
    kind = about.get("type") if about.get("type") in INDEXES else about["spec"]
    settings = IndexSettings(
        str(kind),
        of,
        None if weights is None else build(Weights, weights, source=str(index.folder)),
        popularity,
        metric,
        target=None if target is None else SearchTarget(**target),
        seed=int(about.get("seed", 0)),
    )
    features = None if of == "sessions" else features_for_index(staged, model, report)
    needed = sessions if needs_sessions(model, of) else None
    return build_index_artifact(model, folder, settings, sessions=needed, features=features, report=report)
