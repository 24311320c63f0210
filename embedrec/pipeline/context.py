"""What the steps of a pipeline share."""

from __future__ import annotations

import shutil
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from embedrec.errors import ArtifactError, SettingsError, did_you_mean
from embedrec.pipeline.progress_display import show_progress
from embedrec.progress import Report
from embedrec.runtime import available_cores
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.lineage import stale
from embedrec.storage.workspace import Workspace
from embedrec.tabular.frame_table import naming_arguments
from embedrec.tabular.frames import as_arguments


class TemporaryFolder:
    """A folder that is removed when nothing refers to this object any more, or when Python ends."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="embedrec-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True)
class PipelineContext:
    """The workspace of a pipeline, the number of threads, and whether progress is shown.

    temporary  the folder of a pipeline without a workspace; it is removed when no step refers to it any more
    """

    workspace: Workspace
    threads: int
    progress: bool | None = None
    temporary: TemporaryFolder | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, workspace: Workspace | str | Path | None, threads: int | None = None, progress: bool | None = None
    ) -> PipelineContext:
        """The context of a workspace or its folder; None makes a temporary folder. Threads: None for all cores."""
        count = available_cores() if threads is None else threads
        if count < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads!r}")
        if isinstance(workspace, Workspace):
            return cls(workspace, count, progress)
        if workspace is not None:
            return cls(Workspace(Path(workspace)), count, progress)
        temporary = TemporaryFolder()
        return cls(Workspace(temporary.path), count, progress, temporary)

    def folder(self, kind: str, name: str | None, default: str) -> Path:
        """The folder of a new artifact.

        name  None uses the default, as the command line does; in a temporary folder the first "default-2", "default-3",
              … that is free, so that earlier steps keep their artifacts
        """
        if name is None and self.temporary is not None:
            taken, number = {folder.name for folder in self.workspace.folders(kind)}, 1
            name = default
            while name in taken:
                number += 1
                name = f"{default}-{number}"
        return self.workspace.folder(kind, name or default)

    @contextmanager
    def running(self, what: str) -> Iterator[Report]:
        """A block that runs a workflow: its report is shown; errors and notes name arguments in place of options."""
        with naming_arguments(), show_progress(what, self.progress) as show:

            def report(event: str, **numbers: Any) -> None:
                if event == "note":
                    numbers["message"] = as_arguments(numbers["message"])
                show(event, **numbers)

            yield report


@dataclass(frozen=True, eq=False)
class Step:
    """An artifact of a pipeline.

    artifact  what the step wrote, or `open` found
    context   the workspace and how it is used
    """

    artifact: Artifact
    context: PipelineContext = field(repr=False)
    _opened: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """The name of the artifact in the workspace."""
        return self.artifact.name

    @property
    def workspace(self) -> Workspace:
        """The workspace, which the command line can use, too."""
        return self.context.workspace

    def opened(self, key: Any, load: Any) -> Any:
        """What `load()` returns, loaded once per key. Raises ArtifactError if the artifact was replaced since."""
        folder = self.artifact.folder
        if artifacts.read(folder, self.artifact.kind).fingerprint != self.artifact.fingerprint:
            raise ArtifactError(
                f"{self.artifact.kind} {self.name} was replaced after this object was made; "
                f"open the new one with {type(self).__name__}.open({str(self.workspace.root)!r}, {self.name!r})"
            )
        if key not in self._opened:
            self._opened[key] = load()
        return self._opened[key]


def open_step(
    kind: str, workspace: Workspace | str | Path, name: str | None, progress: bool | None
) -> tuple[Artifact, PipelineContext]:
    """The artifact of that name, or the latest; a stale one with a warning. Raises ArtifactError if there is none."""
    context = PipelineContext.of(workspace, progress=progress)
    with naming_arguments():
        artifact = context.workspace.find(kind, name)
    warn_if_stale(context, artifact)
    return artifact, context


def warn_if_stale(context: PipelineContext, artifact: Artifact) -> None:
    """A Python warning if the sources of an artifact have changed since it was made."""
    if (why := stale(context.workspace, artifact)) is not None:
        warnings.warn(f"{artifact.kind} {artifact.name} is stale: {why}", UserWarning, stacklevel=4)


def split_options(given: Mapping[str, Any], parts: Mapping[str, Iterable[str]], what: str) -> dict[str, dict[str, Any]]:
    """The options of each part.

    parts  part → names of its options; a name of several parts goes to the first

    Raises SettingsError, with near misses, for a name that no part has; `what` is what the options belong to.
    """
    known = {name: part for part, names in reversed(list(parts.items())) for name in names}
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"; valid are {', '.join(sorted(known))}"
            raise SettingsError(f"{what} has no argument {name!r}{hint}")
    return {part: {name: value for name, value in given.items() if known[name] == part} for part in parts}


def with_threads(context: PipelineContext, threads: int | None) -> PipelineContext:
    """The context with another number of threads, unless that is None."""
    return context if threads is None else replace(context, threads=threads)
