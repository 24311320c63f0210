"""The files that a study reads and writes: checked before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from glob import has_magic
from pathlib import Path, PurePath

from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.experiments.step import StepContext, Study
from embedrec.readers.tabular.globs import matching
from embedrec.storage.workspace import FOLDERS

FOLDER = "studies"  # in a workspace
_OWN = (*FOLDERS.values(), "checkpoints", FOLDER, "grids", "tuning")  # of a workspace


def check_file(file: str, where: str) -> None:
    """Raises SettingsError for an output that would not lie in the workspace, or among its artifacts."""
    path = PurePath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in file:
        raise SettingsError(
            f"file in {where} must be a path inside the workspace, such as out/similar.txt, but is {file!r}"
        )
    if path.parts[0] in _OWN:
        raise SettingsError(
            f"file in {where} is {file!r}, but {path.parts[0]}/ holds what the workspace keeps; name another place"
        )


def check_apart(files: Iterable[str]) -> None:
    """Raises SettingsError for two outputs that are one file, or of which one is a folder of the other."""
    seen: dict[PurePath, str] = {}
    for file in files:
        path = PurePath(file)
        for there, before in seen.items():
            if path == there:
                raise SettingsError(f"two outputs of the study are the file {path}; give one of them another name")
            if path in there.parents or there in path.parents:
                raise SettingsError(f"an output cannot lie in another: {before!r} and {file!r}; rename one of them")
        seen[path] = file


def check_files(study: Study, place: StepContext) -> None:
    """Before a study is carried out: what it reads is there, and is none of what it writes.

    Raises DataError for data that are not there, and SettingsError for an output that would replace what is read, or
    lie outside of the workspace, where a link leads.
    """
    for path in study.data:
        _check_there(path)
    read = {study.file.resolve(), *(Path(path).resolve() for path in study.data)}
    for step in study.steps:
        target = place.workspace.inside(step.place(place))
        if target.resolve() in read:
            raise SettingsError(f"step {step.name} would write over {target}, which the study is read from; rename it")


def _check_there(given: str) -> None:
    path = Path(given)
    if path.exists() or (has_magic(given) and matching(given)):
        return
    if has_magic(given):
        raise DataError(f"no file fits {given}, which [prepare] names; check the path")
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = did_you_mean(path.name, siblings) or "; check the path"
    raise DataError(f"there is no file or folder {given}, which [prepare] names{near}")
