"""Warm starts: the model that a training continues, its settings, and the sessions it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from embedrec.config import build, settings_of
from embedrec.data.session_changes import SessionChanges, session_changes
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.base import ExactIncrement, Recipe
from embedrec.models.serialization import load_model
from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

KeepSpace = Literal["align", "frozen"]


@dataclass(frozen=True)
class WarmStart:
    """The start of a training.

    model     the model artifact to continue
    sessions  the sessions that it was trained on: the training is told what has changed since. None counts all sessions
              as new
    space     "align" rotates the new model into the space of `model`; "frozen" keeps the vectors of `model`, with its
              settings, and solves new items against them; None starts a new space
    must_keep  whether it is an error that "align" is impossible; else the model starts a new space, with a note
    changes   what has changed since, if it is known already: from `sessions` to those that are trained on
    """

    model: Artifact
    sessions: Artifact | None = None
    space: KeepSpace | None = None
    must_keep: bool = True
    changes: SessionChanges | None = None

    @classmethod
    def of(
        cls, workspace: Workspace, model: Artifact, report: Report = quiet, *, space: KeepSpace | None = None
    ) -> WarmStart:
        """The start from a model of a workspace, whose sessions may be replaced but kept as a version.

        Reports report("note", message=) if they are gone.
        """
        trained_on = model.about.get("trained_on")
        if trained_on is None or issubclass(recipe_class(model.about["recipe"]), ExactIncrement):
            return cls(model, space=space)
        sessions = workspace.version("sessions", trained_on["name"], trained_on["fingerprint"])
        if sessions is None:
            report("note", message=f"the sessions that {model.name} was trained on are gone; all sessions count as new")
        return cls(model, sessions, space)

    def arguments(self, recipe: Recipe, sessions: Sessions, *, compare: bool = True) -> dict[str, Any]:
        """What `recipe.fit` needs to continue the model on `sessions`: "init" and, if known, "changes"; nothing for an
        `ExactIncrement`. Where nothing has changed, the training goes on with all sessions, without "changes".

        compare  False leaves "changes" out, for sessions without their ids

        Raises SettingsError if the recipe cannot continue it.
        """
        check_start(recipe, self.model)
        if isinstance(recipe, ExactIncrement):
            return {}
        init = {"init": load_model(self.model)}
        changes = self.changes
        if changes is None:
            if self.sessions is None or not compare:
                return init
            changes = session_changes(Sessions.load(self.sessions), sessions)
        same = not len(changes.added) and not len(changes.removed)
        return init if same else {**init, "changes": changes}


def keep_space(start: str | None, align: bool, frozen: bool) -> KeepSpace | None:
    """What --align and --frozen ask for. Raises SettingsError for both, and without a model to continue."""
    if align and frozen:
        raise SettingsError("--frozen vectors are in the old space already; leave --align out")
    if start is None and (align or frozen):
        given = "--align" if align else "--frozen"
        raise SettingsError(f"{given} needs the model whose space is kept; name it with --from")
    return "align" if align else "frozen" if frozen else None


def continuing_settings(
    cls: type[Any], start: Artifact, *, frozen: bool = False, changes: bool = False
) -> dict[str, Any]:
    """The settings with which a recipe of that class continues the model artifact `start`, see `WarmStartRecipe`.

    frozen   whether its vectors are kept: with the settings of the model
    changes  whether the sessions that it was trained on are known, see `WarmStart`

    Raises SettingsError if it cannot.
    """
    if frozen:
        check_kind(cls, start)
        return settings_of(build(cls, start.about["settings"], source=str(start.folder)))
    check_start(cls, start)
    return settings_of(build(cls, start.about["settings"], source=str(start.folder)).continuing(changes=changes))


def first_settings(model: Artifact) -> dict[str, Any]:
    """The settings with which a model is trained from scratch: those of the first model that it continues."""
    settings: dict[str, Any] = model.about.get("first_settings", model.about["settings"])
    return settings


def check_start(recipe: Recipe | type[Any], start: Artifact) -> None:
    """Raises SettingsError if the training of a recipe cannot continue the model artifact `start`."""
    if not MODELS[recipe.name].warm_start:
        raise SettingsError(f"{recipe.name} does not support warm starts; leave --from out")
    check_kind(recipe, start)


def check_kind(recipe: Recipe | type[Any], start: Artifact) -> None:
    """Raises SettingsError if the model artifact `start` is of another recipe."""
    if start.about.get("recipe") != recipe.name:
        raise SettingsError(
            f"{recipe.name} cannot continue from {start.name}, which is a model of another kind "
            f"({start.about.get('recipe')}); name a model of {recipe.name} with --from"
        )
