"""The parts of composite models: names of models of the workspace become settings, and trained parts are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from embedrec.data.sessions import Sessions
from embedrec.errors import EXTRAS, SettingsError, can_import, did_you_mean
from embedrec.models import MODELS
from embedrec.models.base import Model, Recipe
from embedrec.models.serialization import load_model
from embedrec.models.torch_recipe import check_torch, choose_device, is_torch_recipe
from embedrec.progress import Report, quiet
from embedrec.ranking.composite import CompositeRecipe
from embedrec.ranking.part_training import PartStore, keep, part_name, read_kept, sessions_digest
from embedrec.ranking.parts import COMPOSITES, parse_candidates, part_settings
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS, PARTS, Artifact
from embedrec.storage.workspace import Workspace

R = TypeVar("R", bound=CompositeRecipe)
WITHOUT_SASREC = (
    "sasrec, usually the best part, is not among the candidates, as it needs the package torch; "
    f"install it with `pip install 'embedrec[{EXTRAS['torch']}]'`"
)


def prepare_parts(
    recipe: R,
    sessions: Sessions,
    source: Artifact,
    *,
    whole: bool = False,
    device: str = "cpu",
    report: Report = quiet,
) -> tuple[R, PartStore]:
    """A composite recipe with the settings of all its parts, and where its trained parts are kept.

    sessions  that it is trained on
    source    the artifact that they are of; its workspace holds the models, and in `models/parts` the trained parts
    whole     whether they are all training sessions of the artifact, so that models trained on it serve as parts
    device    "cpu", "cuda" or "auto", for parts that train with torch
    report    called as report("note", message=) if default candidates lack sasrec

    Default candidates are models of the workspace where these fit, and recipes with their defaults otherwise. Raises
    SettingsError for missing packages, an unknown name, an imported model, a model of the workspace that was trained on
    other sessions than `source`, and a GPU that is missing or that no part uses.
    """
    recipe.check()
    text = recipe.candidates or recipe.default_candidates(sessions)
    if not recipe.candidates and recipe.purpose == "next" and not can_import("torch"):
        report("note", message=WITHOUT_SASREC)
    settings: dict[str, dict[str, Any]] = {name: dict(values) for name, values in recipe.parts.items()}
    existing, models = [], _models(source)
    for name, _ in parse_candidates(text):
        trained = _model(models, name)
        wrong = None if trained is None else _obstacle(trained, source if whole else None)
        by_default = wrong is not None and not recipe.candidates  # then the recipe of that name is meant
        if "recipe" in settings.get(name, {}) or by_default or (trained is None and name in MODELS):
            continue
        if wrong is not None:
            raise SettingsError(wrong)
        if trained is None:
            known = [*MODELS, *(folder.name for folder in models.glob("*") if _model(models, folder.name) is not None)]
            hint = did_you_mean(name, known) or f"; valid are {', '.join(n for n in known if n not in COMPOSITES)}"
            raise SettingsError(f"candidates name the model {name!r}, which does not exist{hint}")
        about = trained.about
        settings[name] = {"recipe": about["recipe"], **about["settings"], **settings.get(name, {})}
        existing.append(trained)
    prepared = replace(recipe, candidates=text, parts=settings)
    chosen = _device(prepared, device, report)
    return prepared, PartStore(models / PARTS, existing if whole else (), chosen)


def check_packages(recipe: Recipe) -> None:
    """Raises SettingsError for a package that is not installed and that the training of a recipe needs."""
    check_torch(recipe)
    if isinstance(recipe, CompositeRecipe):
        recipe.check()


def device_for(recipe: Recipe, requested: str) -> str:
    """What "cpu", "cuda" or "auto", requested for several recipes, means for one of them: "cpu" if none applies.

    The parts of a composite model take a GPU if there is one; those of others may need none.
    """
    if isinstance(recipe, CompositeRecipe):
        return "cpu" if requested == "cpu" else "auto"
    return requested if is_torch_recipe(recipe) else "cpu"


def kept_model(recipe: Recipe, sessions: Sessions, source: Artifact, *, seed: int) -> Model | None:
    """The model of a recipe and seed that was trained on the same sessions as a part; None if there is none.

    source  the artifact that the sessions are of
    """
    folder = _models(source) / PARTS
    if not any(folder.glob(f"{recipe.name}-*")):
        return None
    kept = read_kept(folder / part_name(recipe, seed, sessions_digest(sessions)))
    return None if kept is None else load_model(kept)


def part_names(recipe: CompositeRecipe, sessions: Sessions, source: Artifact, *, seed: int) -> set[str]:
    """The names in `models/parts` of the parts of a composite model that are trained on all these sessions.

    source  the artifact that the sessions are of

    Raises SettingsError as `prepare_parts` does.
    """
    prepared, _ = prepare_parts(recipe, sessions, source)
    content = sessions_digest(sessions)
    return {part_name(p.recipe, seed, content) for p in part_settings(prepared.candidates, prepared.parts)}


def keep_model(model: Model, recipe: Recipe, sessions: Sessions, source: Artifact, *, seed: int) -> None:
    """Keep a model that a recipe was trained to on these sessions as a part, see `kept_model`."""
    content = sessions_digest(sessions)
    keep(model, _models(source) / PARTS / part_name(recipe, seed, content), seed, content)


def _models(source: Artifact) -> Path:
    """The folder of the models of the workspace of an artifact."""
    return Workspace.of(source).root / FOLDERS["model"]


def _device(recipe: CompositeRecipe, requested: str, report: Report) -> str:
    """The device of the parts that train with torch. Raises SettingsError for a GPU that is missing or not used."""
    parts = [part.recipe for part in part_settings(recipe.candidates, recipe.parts)]
    neural = next(filter(is_torch_recipe, parts), None)
    if neural is not None:
        return choose_device(neural, requested, report)
    if requested == "cuda":
        raise SettingsError(f"no part of {recipe.name} trains with torch; leave --device out")
    return "cpu"


def _model(models: Path, name: str) -> Artifact | None:
    """The model artifact of a name; None if there is none."""
    if not artifacts.plain_name(name) or not (models / name / artifacts.MANIFEST).is_file():
        return None
    return artifacts.read(models / name, "model")


def _obstacle(trained: Artifact, source: Artifact | None) -> str | None:
    """Why a model cannot be a part of one that is trained on the sessions `source`; None if it can."""
    about = trained.about
    if about.get("recipe") not in MODELS:
        return (
            f"model {trained.name} was imported and may know the last window, so it cannot propose candidates; "
            "name a recipe in its place"
        )
    sessions = about.get("trained_on") or {}
    if source is not None and sessions.get("fingerprint") != source.fingerprint:
        return (
            f"model {trained.name} was trained on the sessions {sessions.get('name')}, not on {source.name} as they "
            f"are now; train it again on {source.name}"
        )
    return None
