"""A workspace: the folder in which the artifacts of a project live, and which of them is the latest.

WORKSPACE/sessions/NAME   WORKSPACE/models/NAME   WORKSPACE/indexes/NAME
WORKSPACE/checkpoints/NAME of models whose training was interrupted
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedrec.errors import ArtifactError, SettingsError, did_you_mean, reason
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import Artifact

FOLDERS = {"sessions": "sessions", "model": "models", "index": "indexes"}
_PLACES = {**FOLDERS, "checkpoint": "checkpoints"}
_OWN = (artifacts.MANIFEST, "vocab.parquet")  # every artifact has both, a damaged one at least one of them
_MADE_BY = {
    "sessions": "embedrec prepare SOURCE PATH",
    "model": "embedrec train word2vec",
    "index": "embedrec build-index",
}


@dataclass(frozen=True)
class Workspace:
    """The artifacts below `root`, a path or its text."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    def folder(self, kind: str, name: str) -> Path:
        """Where the artifact of that kind ("sessions", "model", "index", "checkpoint") and name lies, or would lie.

        Raises ArtifactError for a name that leaves the workspace or is no plain name.
        """
        if not artifacts.plain_name(name):
            raise ArtifactError(f"{name!r} cannot name an artifact; use letters, digits, '.', '_' and '-'")
        return self.root / _PLACES[kind] / name

    def inside(self, path: Path) -> Path:
        """The same path. Raises SettingsError where a link leads from it out of the workspace."""
        try:
            place = path.resolve()
            inside = place.is_relative_to(self.root.resolve())
        except (OSError, RuntimeError) as e:  # such as links that lead in a circle
            raise SettingsError(f"{path} leads nowhere ({reason(e)}); remove the link, or name another place") from e
        if not inside:
            raise SettingsError(
                f"{path} leads out of the workspace, through a link to {place}; remove the link, or name another place"
            )
        return path

    def folders(self, kind: str) -> list[Path]:
        """The folders that hold, or should hold, the artifacts of a kind, by name; others are passed over."""
        parent = self.root / FOLDERS[kind]
        atomic.sweep(parent)
        found = parent.iterdir() if parent.is_dir() else iter(())
        return sorted(f for f in found if not f.name.startswith(".") and _holds_artifact(f))

    def left_over(self) -> list[Path]:
        """Hidden files and folders that a command writes, or left when it was killed: the file system has no locks
        that would tell, so that nobody removes them."""
        return [path for place in _PLACES.values() for path in atomic.sweep(self.root / place)]

    def artifacts(self, kind: str) -> list[Artifact]:
        """The artifacts of a kind that can be read, the oldest first; see `unreadable`."""
        return sorted(self._read(kind)[0], key=lambda a: (a.created, a.name))

    def unreadable(self, kind: str) -> dict[Path, ArtifactError]:
        """The folders of a kind whose manifest cannot be read, each with why."""
        return self._read(kind)[1]

    def named(self, kind: str, name: str) -> Artifact | None:
        """The artifact of that name, None where there is none. Raises ArtifactError when it cannot be read."""
        folder = next((f for f in self.folders(kind) if f.name == name), None)
        return None if folder is None else artifacts.read(folder, kind)

    def _read(self, kind: str) -> tuple[list[Artifact], dict[Path, ArtifactError]]:
        read: list[Artifact] = []
        failed: dict[Path, ArtifactError] = {}
        for folder in self.folders(kind):
            try:
                read.append(artifacts.read(folder, kind))
            except ArtifactError as e:
                failed[folder] = e
        return read, failed

    def find(self, kind: str, name: str | None = None, *, of: str | None = None) -> Artifact:
        """The artifact of that name, or the latest of its kind.

        of  an index of "items", "answers" or "sessions"; of any where it is None

        Raises ArtifactError, with near misses or the command that makes one, when there is none, or none that can be
        read; SettingsError when that of the name is an index of something else.
        """
        chosen = None if name is None else self.named(kind, name)
        if chosen is not None:
            return _of(of, chosen)
        found = [a for a in self.artifacts(kind) if of in (None, a.about.get("of", "items"))]
        if name is None:
            if found:
                return found[-1]
            for failed in self.unreadable(kind).values():
                raise failed
        what = f"no {kind} artifact" + (f" is called {name!r}" if name is not None else "")
        names = [a.name for a in found]
        hint = did_you_mean(name, names) if name is not None else ""
        if not hint:
            hint = f"; there are {', '.join(names)}" if names else f"; make one with `{_MADE_BY[kind]}`"
        raise ArtifactError(f"{what} in {self.root / FOLDERS[kind]}{hint}")


def _holds_artifact(folder: Path) -> bool:
    """Whether a folder holds, or should hold, an artifact; one that may not be looked into should."""
    try:
        return any((folder / own).exists() for own in _OWN)
    except OSError:
        return True


def _of(of: str | None, index: Artifact) -> Artifact:
    """The same. Raises SettingsError for an index of something else, see `Workspace.find`."""
    said = index.about.get("of", "items")
    if of not in (None, said):
        raise SettingsError(f"index {index.name} is one of {said}; build one with `embedrec build-index --of {of}`")
    return index
