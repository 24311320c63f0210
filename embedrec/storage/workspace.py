"""A workspace: the folder that holds the artifacts of a project.

WORKSPACE/sessions/NAME   WORKSPACE/models/NAME   WORKSPACE/indexes/NAME
WORKSPACE/checkpoints/NAME of models whose training was interrupted
WORKSPACE/versions/NUMBER/{sessions,models,indexes}/NAME of earlier versions, see `versions`
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from embedrec.errors import ArtifactError, SettingsError, did_you_mean, reason
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS, JOURNAL, VERSIONS, Artifact

_ALL_FOLDERS = {**FOLDERS, "checkpoint": "checkpoints"}
_OWN = (artifacts.MANIFEST, "vocab.parquet")  # every artifact has both; a damaged one has at least one of them
_MADE_BY = {
    "sessions": "embedrec prepare SOURCE PATH",
    "model": "embedrec train word2vec",
    "index": "embedrec build-index",
}


@dataclass(frozen=True)
class Workspace:
    """The artifacts below `root`, a path or its text.

    >>> from embedrec import Workspace
    >>> Workspace("music").folder("model", "word2vec").as_posix()
    'music/models/word2vec'
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @classmethod
    def of(cls, artifact: Artifact) -> Workspace:
        """The workspace that an artifact is in, which may be a version."""
        from embedrec.storage.versions import workspace_root

        return Workspace(workspace_root(artifact.folder))

    def folder(self, kind: str, name: str) -> Path:
        """The folder of an artifact, existing or not, by kind ("sessions", "model", "index", "checkpoint") and name.

        Raises ArtifactError for a name that leaves the workspace or is not a plain name.
        """
        if not artifacts.plain_name(name):
            raise ArtifactError(f"{name!r} cannot name an artifact; use letters, digits, '.', '_' and '-'")
        return self.root / _ALL_FOLDERS[kind] / name

    def inside(self, path: Path) -> Path:
        """The same path. Raises SettingsError if a symbolic link leads out of the workspace."""
        try:
            target = atomic.resolve_links(path)
            inside = target.is_relative_to(atomic.resolve_links(self.root))
        except OSError as e:  # such as circular links
            raise SettingsError(
                f"{path} cannot be resolved ({reason(e)}); remove the link or choose another path"
            ) from e
        if not inside:
            raise SettingsError(
                f"{path} is a link to {target}, outside the workspace; remove the link or choose another path"
            )
        return path

    def folders(self, kind: str) -> list[Path]:
        """The folders of the artifacts of a kind, readable or damaged, by name."""
        self._finish_switch()
        parent = self.root / FOLDERS[kind]
        atomic.sweep(parent)
        entries = parent.iterdir() if parent.is_dir() else iter(())
        return sorted(f for f in entries if not f.name.startswith(".") and _holds_artifact(f))

    def left_over(self) -> list[Path]:
        """Drafts of unknown state: the file system has no locks that would show whether a command still writes them."""
        return [path for folder in _ALL_FOLDERS.values() for path in atomic.sweep(self.root / folder)]

    def artifacts(self, kind: str) -> list[Artifact]:
        """The readable artifacts of a kind, oldest first; see `unreadable`."""
        return sorted(self._read(kind)[0], key=lambda a: (a.created, a.name))

    def unreadable(self, kind: str) -> dict[Path, ArtifactError]:
        """The folders of a kind whose manifest cannot be read, each with the error."""
        return self._read(kind)[1]

    def named(self, kind: str, name: str) -> Artifact | None:
        """The artifact of that name, or None if there is none; NAME@LABEL is a version, see `version_tags`.

        Raises ArtifactError if it cannot be read, or there is no such version.
        """
        plain, at, label = name.partition("@")
        if at and artifacts.plain_name(plain):
            from embedrec.storage.version_tags import find_version

            self._finish_switch()
            return find_version(self.root, kind, plain, label)
        folder = next((f for f in self.folders(kind) if f.name == name), None)
        return None if folder is None else artifacts.read(folder, kind)

    def version(self, kind: str, name: str, fingerprint: str) -> Artifact | None:
        """The artifact of a fingerprint: the current one of that name, a version of it, or one of another name.

        None if there is none. `name` may be that of a part of a composite model, "parts/NAME".
        """
        from embedrec.storage.versions import find_content

        self._finish_switch()
        return find_content(self.root, kind, name, fingerprint)

    def _finish_switch(self) -> None:
        """Complete a switch of artifacts that was interrupted, see `switch_journal.finish_switch`."""
        if os.path.lexists(self.root / VERSIONS / JOURNAL):
            from embedrec.storage.switch_journal import finish_switch

            finish_switch(self.root)

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
        """The artifact of that name, or the latest of its kind; NAME@LABEL is a version, see `version_tags`.

        of  an index of "items", "answers" or "sessions"; None for any

        Raises ArtifactError, with near misses or the command that makes one, if there is no readable artifact;
        SettingsError if the named index is of another kind of vectors.
        """
        named = None if name is None else self.named(kind, name)
        if named is not None:
            return _of(of, named)
        candidates = [a for a in self.artifacts(kind) if of in (None, a.about.get("of", "items"))]
        if name is None:
            if candidates:
                return candidates[-1]
            for error in self.unreadable(kind).values():
                raise error
        what = f"no {kind} artifact" + (f" is called {name!r}" if name is not None else "")
        names = [a.name for a in candidates]
        hint = did_you_mean(name, names) if name is not None else ""
        if not hint:
            hint = f"; available are {', '.join(names)}" if names else f"; make one with `{_MADE_BY[kind]}`"
        raise ArtifactError(f"{what} in {self.root / FOLDERS[kind]}{hint}")


def _holds_artifact(folder: Path) -> bool:
    """Whether a folder is an artifact, also a damaged or unreadable one."""
    try:
        return any((folder / own).exists() for own in _OWN)
    except OSError:
        return True


def _of(of: str | None, index: Artifact) -> Artifact:
    """The same index. Raises SettingsError for one of other vectors, see `Workspace.find`."""
    actual = index.about.get("of", "items")
    if of not in (None, actual):
        raise SettingsError(
            f"index {index.name} contains {actual}, not {of}; build one with `embedrec build-index --of {of}`"
        )
    return index
