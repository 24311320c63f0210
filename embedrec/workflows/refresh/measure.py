"""The measurements of a refresh: the drift of every model and index, with the metric on the newest sessions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from embedrec.data.session_changes import session_changes
from embedrec.evaluation.drift import Drift
from embedrec.models.base import Model
from embedrec.models.frozen import extend_frozen
from embedrec.models.serialization import load_model
from embedrec.models.torch_recipe import fit_recipe
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.splitting.rules import Split
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.drift import index_drift, model_drift, with_metric
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.refresh.steps import (
    Computing,
    KnownChanges,
    recipe_to_continue,
    training_context_of,
    warm_start_of,
)


@dataclass(frozen=True, eq=False)
class Measuring:
    """What drift is measured with.

    workspace  of the old versions
    known      what has changed in the sessions
    window     the new sessions without the newest, and these; None measures no metric
    """

    workspace: Workspace
    known: KnownChanges
    window: Split | None
    settings: RefreshSettings
    computing: Computing

    def of_model(self, old: Artifact, new: Artifact, report: Report = quiet) -> Drift:
        """The drift of a model, with the metric if it has a warm start."""
        models = load_model(old, threads=self.computing.threads), load_model(new, threads=self.computing.threads)
        settings = self.settings.drift
        drift = model_drift((old, new), models, settings, sessions=self.known.changes.new, report=report)
        if self.window is None or not recipe_to_continue(old)[1]:
            return drift
        candidate = self._without_window(old, models[0], new.about.get("frozen") is True, report)
        return with_metric(drift, (models[0], candidate), self.window.test, self.window.train, settings, report=report)

    def of_index(self, old: Artifact, new: Artifact, report: Report = quiet) -> Drift:
        """The drift of an index of items."""
        return index_drift(old, new, self.settings.drift, report=report)

    @cached_property
    def _without(self) -> KnownChanges | None:
        """What has changed in the sessions but for the newest; None without a window."""
        if self.window is None:
            return None
        return KnownChanges(self.known.sessions, session_changes(self.known.changes.old, self.window.train))

    def _without_window(self, artifact: Artifact, model: Model, frozen: bool, report: Report) -> Model:
        """The model that continues the old one on all new sessions but the newest.

        frozen  whether its vectors are kept
        """
        assert self.window is not None
        common: dict[str, Any] = {"seed": int(artifact.about.get("seed", 0)), "threads": self.computing.threads}
        if frozen and isinstance(model, VectorModel):
            return extend_frozen(model, self.window.train, report=report, **common)
        recipe, _ = recipe_to_continue(artifact)
        return fit_recipe(
            recipe,
            self.window.train,
            report=report,
            context=training_context_of(recipe, self.computing, report),
            **common,
            **warm_start_of(self.workspace, artifact, self._without).arguments(recipe, self.window.train),
        )
