"""The steps of a refresh that write artifacts: sessions, models and indexes, each into the staging workspace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedrec.config import build
from embedrec.data.session_changes import SessionChanges
from embedrec.errors import SettingsError
from embedrec.index import update
from embedrec.index.index import Index
from embedrec.index.index_types import INDEXES
from embedrec.index.serialization import load_index
from embedrec.index.target import SearchTarget
from embedrec.models import MODELS, recipe_class
from embedrec.models.base import ExactIncrement
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
from embedrec.workflows.train import train_model
from embedrec.workflows.update_index import Changes, change_index
from embedrec.workflows.warm_start import KeepSpace, WarmStart, continuing_settings

_TOMBSTONES = 0.2  # share of the vectors beyond which an index is rebuilt
_RECALL_LOSS = 0.005  # of an index beyond which it is rebuilt


@dataclass(frozen=True)
class Computing:
    """What computes: threads, and the device of models that train with torch ("cpu", "cuda" or "auto")."""

    threads: int = 1
    device: str = "cpu"


def recipe_to_continue(model: Artifact, *, frozen: bool = False) -> tuple[Any, bool]:
    """The recipe that renews a model, and whether it is a warm start; other models are trained again.

    frozen  whether its vectors are kept, so that it is not trained further
    """
    name = model.about["recipe"]
    cls = recipe_class(name)
    if not MODELS[name].warm_start:
        return build(cls, model.about["settings"], source=str(model.folder)), False
    return build(cls, continuing_settings(cls, model, frozen=frozen, changes=True), source=str(model.folder)), True


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
    *,
    space: KeepSpace | None = "align",
    known: KnownChanges | None = None,
    report: Report = quiet,
) -> Artifact:
    """Train a model on the new sessions, from its current version where it supports that, into `folder`.

    space  of the model: "align" rotates it into that of the current version, "frozen" keeps the vectors of old items
           if it can solve new ones against them, and rotates it otherwise. Where neither is possible, and for None, it
           starts a space of its own
    known  what has changed in the sessions
    """
    recipe, warm = recipe_to_continue(model)
    if not warm:
        report("note", message=f"model {model.name} ({recipe.name}) is trained from scratch: it has no warm start")
    start = warm_start_of(workspace, model, known, report) if warm else None

    def train(recipe: Any, start: WarmStart | None) -> Artifact:
        return train_model(
            recipe,
            sessions,
            folder,
            start=start,
            seed=int(model.about.get("seed", 0)),
            threads=computing.threads,
            report=report,
            # the gate decides, not this figure
            context=replace(training_context_of(recipe, computing, report), force=True),
        )

    if start is not None and space == "frozen" and not isinstance(recipe, ExactIncrement):
        try:
            return train(recipe_to_continue(model, frozen=True)[0], replace(start, space="frozen"))
        except SettingsError as e:
            report("note", message=f"model {model.name} is continued and aligned, not frozen: {e}")
    return train(recipe, start if start is None or space is None else replace(start, space="align"))


@dataclass(frozen=True, eq=False)
class KnownChanges:
    """What has changed in the sessions of an artifact."""

    sessions: Artifact
    changes: SessionChanges


def warm_start_of(
    workspace: Workspace, model: Artifact, known: KnownChanges | None, report: Report = quiet
) -> WarmStart:
    """The start from a model; sessions are compared again only if it was trained on others than those of `known`."""
    if known is not None and (model.about.get("trained_on") or {}).get("fingerprint") == known.sessions.fingerprint:
        return WarmStart(model, known.sessions, must_keep=False, changes=known.changes)
    return replace(WarmStart.of(workspace, model, report), must_keep=False)


def renew_index(
    index: Artifact, model: Artifact, sessions: Artifact, staged: Workspace, report: Report = quiet
) -> tuple[Artifact, dict[str, Any]]:
    """The index with the vectors of the renewed model, in the staging workspace, and numbers of what was changed.

    An index of items is updated in place where its type can remove vectors and both are in one space. It is built again
    otherwise, or if its recall falls, or if too many of its vectors belong to removed items.
    """
    folder = staged.folder("index", index.name)
    opened = _updatable(index, model)
    if opened is not None:
        features = features_for_index(staged, model, report)
        done = change_index(index, folder, Changes(model, features=features), opened=opened, report=report)
        if not _must_be_built(index, done.artifact, done.row):
            return done.artifact, {key: done.row[key] for key in ("added", "removed", "tombstones")}
    built = _build_again(index, model, sessions, staged, folder, report)
    return built, {"built": built.about["spec"]}


def _updatable(index: Artifact, model: Artifact) -> Index | None:
    """The index, if the vectors of a model can replace its own; None if it must be built again."""
    if index.about.get("of", "items") != "items" or space_of(index) != space_of(model):
        return None
    opened = load_index(index)
    return opened if opened.file is None and update.supports_removal(opened.faiss) else None


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
