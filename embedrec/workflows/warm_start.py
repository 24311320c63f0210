"""Warm starts: the model that a training continues, its settings, and the sessions it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embedrec.config import build, settings_of
from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.base import ExactIncrement, Recipe
from embedrec.models.serialization import load_model
from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True)
class WarmStart:
    """The start of a training.

    model     the model artifact to continue
    sessions  the sessions that it was trained on: the training is told what has changed since. None counts all sessions
              as new
    """

    model: Artifact
    sessions: Artifact | None = None

    @classmethod
    def of(cls, workspace: Workspace, model: Artifact, report: Report = quiet) -> WarmStart:
        """The start from a model of a workspace, whose sessions may be replaced but kept as a version.

        Reports report("note", message=) if they are gone.
        """
        trained_on = model.about.get("trained_on")
        if trained_on is None or issubclass(recipe_class(model.about["recipe"]), ExactIncrement):
            return cls(model)
        sessions = workspace.version("sessions", trained_on["name"], trained_on["fingerprint"])
        if sessions is None:
            report("note", message=f"the sessions that {model.name} was trained on are gone; all sessions count as new")
        return cls(model, sessions)

    def arguments(self, recipe: Recipe, sessions: Sessions, *, compare: bool = True) -> dict[str, Any]:
        """What `recipe.fit` needs to continue the model on `sessions`: "init" and, if known, "changes"; nothing for an
        `ExactIncrement`.

        compare  False leaves "changes" out, for sessions without their ids

        Raises SettingsError if the recipe cannot continue it.
        """
        check_start(recipe, self.model)
        if isinstance(recipe, ExactIncrement):
            return {}
        init = {"init": load_model(self.model)}
        if self.sessions is None or not compare:
            return init
        return {**init, "changes": session_changes(Sessions.load(self.sessions), sessions)}


def continuing_settings(cls: type[Any], start: Artifact) -> dict[str, Any]:
    """The settings with which a recipe of that class continues the model artifact `start`, see `WarmStartRecipe`.

    Raises SettingsError if it cannot.
    """
    check_start(cls, start)
    return settings_of(build(cls, start.about["settings"], source=str(start.folder)).continuing())


def check_start(recipe: Recipe | type[Any], start: Artifact) -> None:
    """Raises SettingsError if the training of a recipe cannot continue the model artifact `start`."""
    if not MODELS[recipe.name].warm_start:
        raise SettingsError(f"{recipe.name} does not support warm starts; leave --from out")
    if start.about.get("recipe") != recipe.name:
        raise SettingsError(
            f"{recipe.name} cannot continue from {start.name}, which is a model of another kind "
            f"({start.about.get('recipe')}); name a model of {recipe.name} with --from"
        )
