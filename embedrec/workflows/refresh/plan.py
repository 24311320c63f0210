"""What a refresh renews: sessions, the models that were trained on them, and the indexes of these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.models import MODELS
from embedrec.ranking.parts import COMPOSITES
from embedrec.storage import atomic
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.tabular.globs import expand_glob, files_below

_PREPARE = "make them with `embedrec prepare SOURCE PATH`"


@dataclass(frozen=True)
class RefreshPlan:
    """The artifacts that a refresh renews.

    sessions  as `embedrec prepare` made them
    models    trained on them; parts come before the composite models that have them
    indexes   of the models
    messages  what is left out
    """

    sessions: Artifact
    models: Sequence[Artifact]
    indexes: Sequence[Artifact]
    messages: list[str] = field(default_factory=list)

    @property
    def artifacts(self) -> list[Artifact]:
        """All artifacts, in the order in which they are renewed."""
        return [self.sessions, *self.models, *self.indexes]

    def identity(self) -> dict[str, str]:
        """Which artifacts these are, for the state of a refresh."""
        return {f"{one.kind} {one.name}": one.digest for one in self.artifacts}


def plan_refresh(workspace: Workspace, name: str | None = None) -> RefreshPlan:
    """What a refresh of these sessions renews.

    name  of the sessions; None takes the newest that `embedrec prepare` made of files

    Raises ArtifactError if there are none, SettingsError for sessions that are a split.
    """
    if name is None:
        prepared = [one for one in workspace.artifacts("sessions") if _is_prepared(one)]
        if not prepared:
            raise ArtifactError(f"no sessions in {workspace.root} were prepared from files; {_PREPARE}")
        sessions = prepared[-1]
    else:
        sessions = workspace.find("sessions", name)
        if not _is_prepared(sessions):
            raise SettingsError(f"sessions {name} were not prepared from files; name those that were with --into")
    messages, models = [], []
    for model in workspace.artifacts("model"):
        trained_on = (model.about.get("trained_on") or {}).get("name")
        if trained_on == sessions.name and model.about.get("recipe") in MODELS:
            models.append(model)
        elif trained_on is not None and _split_of(workspace, trained_on) == sessions.name:
            messages.append(
                f"model {model.name} is left as it is: it was trained on {trained_on}, a part of the sessions"
            )
    models.sort(key=lambda model: model.about["recipe"] in COMPOSITES)
    names = {model.name for model in models}
    indexes = [i for i in workspace.artifacts("index") if (i.about.get("indexed") or {}).get("name") in names]
    return RefreshPlan(sessions, models, indexes, messages)


def input_checksums(paths: Iterable[str | Path]) -> dict[str, str]:
    """The SHA-256 of each file of some files, folders and patterns, by path. Raises DataError if there is none."""
    checksums: dict[str, str] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = files_below(path)
        else:
            files = [path] if path.is_file() else [f for f in expand_glob(str(path)) if f.is_file()]
        if not files:
            raise DataError(f"{path} is no file, folder or pattern of files; check the path")
        checksums |= {str(file): atomic.sha256(file) for file in sorted(files)}
    return checksums


def _is_prepared(sessions: Artifact) -> bool:
    return bool(sessions.about.get("source")) and sessions.about.get("of") is None and bool(sessions.about.get("paths"))


def _split_of(workspace: Workspace, name: str) -> str | None:
    """The name of the sessions that sessions were split from."""
    named = workspace.named("sessions", name)
    of: Any = None if named is None else named.about.get("of")
    return of["name"] if isinstance(of, dict) else None
