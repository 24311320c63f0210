"""Renew a fusion or ranker: its parts continue on new sessions, and what it has learned about their lists stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from embedrec.models.serialization import load_model, part_artifacts, save_model
from embedrec.progress import Report, quiet
from embedrec.ranking.composite import CompositeModel
from embedrec.ranking.part_training import PartStore, TrainedPart, part_name, read_kept
from embedrec.ranking.parts import PartSettings
from embedrec.storage import artifacts
from embedrec.storage.artifacts import PARTS, Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import provenance
from embedrec.workflows.refresh.steps import (
    Computing,
    KnownChanges,
    recipe_to_continue,
    training_context_of,
    warm_start_of,
)
from embedrec.workflows.train import train_model
from embedrec.workflows.warm_start import WarmStart


@dataclass(frozen=True, eq=False)
class CompositeRenewal:
    """What composite models are renewed with.

    workspace  of the old versions
    sessions   the new sessions
    known      what has changed in them
    renewed    name → new version of a model that may be a part
    """

    workspace: Workspace
    sessions: Artifact
    known: KnownChanges
    renewed: Mapping[str, Artifact]
    computing: Computing

    def renew(self, model: Artifact, folder: Path, report: Report = quiet) -> Artifact:
        """Renew a fusion or ranker into `folder`, its parts into `parts/` beside it."""
        started = perf_counter()
        before: Any = load_model(model)
        assert isinstance(before, CompositeModel)
        sessions, seed = self.known.changes.new, int(model.about.get("seed", 0))
        report("note", message=f"model {model.name} keeps what it has learned about its parts, which are continued")
        sources = part_artifacts(model)
        parts = [
            self._part(model, part, sources.get(str(p)), folder.parent / PARTS, seed, report)
            for p, part in enumerate(before.recipe.part_settings(sessions))
        ]
        threads = self.computing.threads
        made = before.recipe.renewed(before, parts, sessions, seed=seed, threads=threads, report=report)
        about: dict[str, Any] = {
            "trained_on": provenance(self.sessions),
            "continued_from": provenance(model),
            "seed": seed,
            "threads": threads,
            "seconds": round(perf_counter() - started, 3),
            "epochs": [],
            **{name: model.about[name] for name in ("candidates", "validation", "forced") if name in model.about},
        }
        save_model(made, folder, about, parts=made.sources)
        return artifacts.read(folder, "model")

    def _part(
        self, model: Artifact, part: PartSettings, old: Artifact | None, folder: Path, seed: int, report: Report
    ) -> TrainedPart:
        """The new version of a part.

        old     its artifact; without one it is trained again
        folder  where trained parts are kept
        """
        if old is None:
            store = PartStore(folder, device=training_context_of(part.recipe, self.computing, report).device)
            sessions, threads = self.known.changes.new, self.computing.threads
            return store.train([part], sessions, seed=seed, threads=threads, report=report, window=False)[0]
        for new in self.renewed.values():
            if (new.about.get("continued_from") or {}).get("fingerprint") == old.fingerprint:
                return TrainedPart(part, load_model(new), new)
        recipe, warm = recipe_to_continue(old)
        place = folder / part_name(recipe, seed, self.sessions.fingerprint, start=old.fingerprint)
        kept = read_kept(place)
        if kept is None:
            kept = train_model(
                recipe,
                self.sessions,
                place,
                start=self._start(model, old) if warm else None,
                seed=seed,
                threads=self.computing.threads,
                report=report,
                context=training_context_of(recipe, self.computing, report),
            )
        return TrainedPart(part, load_model(kept), kept)

    def _start(self, model: Artifact, old: Artifact) -> WarmStart:
        """The start from a part of a model, which has learned from the sessions of the model."""
        trained_on = model.about["trained_on"]
        if trained_on["fingerprint"] == self.known.sessions.fingerprint:
            return WarmStart(old, self.known.sessions, "align", must_keep=False, changes=self.known.changes)
        return replace(warm_start_of(self.workspace, old, None), space="align")
