"""The step [[refresh]], which adds new events to a copy of an experiment's sessions, models and indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from embedrec.config import build
from embedrec.errors import TargetNotMet
from embedrec.experiments.step import NO_KEY, StepContext, TableStep, fingerprints
from embedrec.progress import Report
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import Artifact
from embedrec.storage.versions import link_artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.records import read_refreshes
from embedrec.workflows.refresh.run import refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.refresh.steps import Computing

RECORD = "refresh.json"  # steps and drift
_FOLDER = "refreshed"  # of the workspaces, in that of the experiment


@dataclass(frozen=True, kw_only=True)
class Refresh(TableStep):
    """[[refresh]], `embedrec refresh`: also the keys of `RefreshSettings`, whose gate is off unless `gate = true`.

    The experiment's own artifacts stay as they are: the refreshed ones are in a workspace of their own, in
    `studies/NAME/refreshed/`. The next [[refresh]] continues with them.

    paths  files with new events
    name   of the refresh; by default its number
    """

    kind: ClassVar[str] = "refresh"
    paths: tuple[str, ...]
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, metadata=NO_KEY)
    models: tuple[str, ...] = field(default=(), metadata=NO_KEY)
    indexes: tuple[str, ...] = field(default=(), metadata=NO_KEY)
    before: str | None = field(default=None, metadata=NO_KEY)  # name of the refresh before

    @property
    def id(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def output(self) -> str:
        return self.id.replace(" ", "-")

    @cached_property
    def refreshing(self) -> RefreshSettings:
        """The settings of the refresh."""
        return build(RefreshSettings, {"gate": False, **self.options}, source=f"[[refresh]] {self.name}")

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.refreshing.get_params()

    def files(self) -> dict[str, str]:
        return fingerprints(self.paths)

    def path(self, context: StepContext) -> Path:
        return context.folder / self.output

    def workspace(self, context: StepContext) -> Workspace:
        """The workspace of the refreshed artifacts."""
        return refreshed_workspace(context, self.name)

    def run(self, context: StepContext, report: Report) -> None:
        workspace = self.workspace(context)
        if workspace.root.exists():
            atomic.remove_folder(workspace.root)
        before = context.workspace if self.before is None else refreshed_workspace(context, self.before)
        wanted = [("sessions", self.links.sessions)]
        wanted += [("model", name) for name in self.models] + [("index", name) for name in self.indexes]
        for kind, name in wanted:
            _link(before, workspace, before.find(kind, name))
        result = refresh(
            workspace,
            self.paths,
            self.refreshing,
            into=self.links.sessions,
            computing=Computing(context.threads, context.device),
            stage=lambda _: nullcontext(report),
        )
        if result.refused:
            raise TargetNotMet("; ".join(result.refused))
        steps = [{"step": s.step, "name": s.name, "seconds": s.seconds, **s.numbers} for s in result.steps]
        record = {"steps": steps, "refreshes": read_refreshes(workspace, self.links.sessions)}
        with artifacts.writing(self.path(context), "refresh", {"name": self.name}) as draft:
            draft.path(RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def refreshed_workspace(context: StepContext, name: str) -> Workspace:
    """The workspace of the artifacts that a [[refresh]] of an experiment wrote."""
    return Workspace(context.folder / _FOLDER / name)


def refresh_records(context: StepContext, name: str) -> list[dict[str, Any]]:
    """The records of a finished [[refresh]], see `workflows.refresh.records`."""
    artifact = artifacts.read(context.folder / f"refresh-{name}", "refresh")
    records: list[dict[str, Any]] = artifact.json(RECORD)["refreshes"]
    return records


def _link(source: Workspace, target: Workspace, artifact: Artifact) -> None:
    """Put an artifact, and the parts of a composite model, into another workspace, by hard links where possible."""
    for entry in artifact.about.get("parts", {}).values() if artifact.kind == "model" else ():
        part = source.version("model", entry["name"], entry["fingerprint"])
        if part is not None:
            link_artifact(part, target.root / artifacts.FOLDERS["model"] / entry["name"])
    link_artifact(artifact, target.folder(artifact.kind, artifact.name))
