"""The files that an experiment reads and writes, checked before any step runs."""

from __future__ import annotations

from collections.abc import Iterable
from glob import has_magic
from pathlib import Path, PurePath

from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.experiments.step import Experiment, StepContext
from embedrec.storage.artifacts import FOLDERS, VERSIONS
from embedrec.tabular.globs import expand_glob

FOLDER = "studies"  # in a workspace
_OTHERS = ("checkpoints", VERSIONS, FOLDER, "grids", "tuning", "refreshes", ".refresh")
_RESERVED = (*FOLDERS.values(), *_OTHERS)  # folders of a workspace


def check_file(file: str, where: str) -> None:
    """Raises SettingsError for an output outside the workspace, or in a folder of its artifacts."""
    path = PurePath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in file:
        raise SettingsError(
            f"file in {where} must be a path inside the workspace, such as out/similar.txt, but is {file!r}"
        )
    if path.parts[0] in _RESERVED:
        raise SettingsError(
            f"file in {where} is {file!r}, but {path.parts[0]}/ is reserved for artifacts; choose another folder"
        )


def check_apart(files: Iterable[str]) -> None:
    """Raises SettingsError for two outputs that are the same file, or of which one is a folder of the other."""
    earlier: dict[PurePath, str] = {}
    for file in files:
        path = PurePath(file)
        for other, name in earlier.items():
            if path == other:
                raise SettingsError(f"two outputs of the experiment are the file {path}; rename one of them")
            if path in other.parents or other in path.parents:
                raise SettingsError(f"an output cannot be inside another: {name!r} and {file!r}; rename one of them")
        earlier[path] = file


def check_files(experiment: Experiment, context: StepContext) -> None:
    """Check that the inputs exist and that no output replaces one.

    Raises DataError for missing inputs, and SettingsError for an output that would replace an input, or that lies
    outside the workspace because of a link.
    """
    for path in experiment.data:
        _check_exists(path)
    inputs = {experiment.file.resolve(), *(Path(path).resolve() for path in experiment.data)}
    for step in experiment.steps:
        output = context.workspace.inside(step.path(context))
        if output.resolve() in inputs:
            raise SettingsError(f"step {step.id} would overwrite {output}, an input of the experiment; rename it")


def _check_exists(pattern: str) -> None:
    path = Path(pattern)
    if path.exists() or (has_magic(pattern) and expand_glob(pattern)):
        return
    if has_magic(pattern):
        raise DataError(f"no file matches {pattern} in [prepare]; check the path")
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, siblings) or "; check the path"
    raise DataError(f"no file or folder {pattern}, which [prepare] reads{hint}")
