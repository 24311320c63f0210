"""Versions of artifacts: earlier ones that are kept, and the current ones that have a number.

WORKSPACE/versions/NUMBER/{sessions,models,indexes}/NAME is an artifact, as WORKSPACE/{sessions,models,indexes}/NAME
is. What one switch put in place has one number. Files are hard links where the file system has them: a version takes
no space as long as it is current, too. A version never changes.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import DERIVED, FOLDERS, MANIFEST, PARTS, VERSIONS, Artifact


def version_folder(root: Path, version: int, kind: str, name: str) -> Path:
    """The folder of a version of an artifact, existing or not. Raises ArtifactError for a bad name."""
    if not artifacts.plain_name(name):
        raise ArtifactError(f"{name!r} cannot name an artifact; use letters, digits, '.', '_' and '-'")
    return root / VERSIONS / str(version) / FOLDERS[kind] / name


def workspace_root(folder: Path) -> Path:
    """The workspace of the folder of an artifact, which may be a version."""
    root = folder.absolute().parents[1]
    return root.parents[1] if root.parent.name == VERSIONS and is_number(root.name) else root


def is_number(text: str) -> bool:
    """Whether a text is the number of a version."""
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) < 10


def numbers(root: Path) -> list[int]:
    """The numbers of all versions of a workspace, the newest first."""
    folder = root / VERSIONS
    entries = folder.iterdir() if folder.is_dir() else iter(())
    return sorted((int(entry.name) for entry in entries if is_number(entry.name)), reverse=True)


def kept_versions(root: Path, kind: str, name: str) -> Iterator[tuple[int, Artifact]]:
    """The versions of an artifact, with their numbers, the newest first; unreadable ones are passed over."""
    for number in numbers(root):
        folder = version_folder(root, number, kind, name)
        if folder.is_dir():
            artifact = readable(folder, kind)
            if artifact is not None:
                yield number, artifact


def version_of(root: Path, artifact: Artifact) -> int | None:
    """The number of the version that has the same content and description as an artifact; None if it has none."""
    kept = kept_versions(root, artifact.kind, artifact.name)
    return next((number for number, version in kept if version.digest == artifact.digest), None)


def readable(folder: Path, kind: str) -> Artifact | None:
    """The artifact in a folder; None if it is missing or unreadable."""
    try:
        return artifacts.read(folder, kind)
    except ArtifactError:
        return None


def find_content(root: Path, kind: str, name: str, fingerprint: str) -> Artifact | None:
    """The artifact of a fingerprint: the current one of the name, else its newest version, else one of another name.

    name  of an artifact, or "parts/NAME" for a part of a composite model. An artifact may have been renamed since
    """
    is_part = name.startswith(f"{PARTS}/")
    if not artifacts.plain_name(name.removeprefix(f"{PARTS}/")):
        return None
    current = root / FOLDERS[kind]
    kept = [root / VERSIONS / str(number) / FOLDERS[kind] for number in numbers(root)]
    named = [folder / name for folder in ([current] if is_part else [current, *kept])]
    others = (folder for holder in (current, current / PARTS, *kept) for folder in sorted(holder.glob("[!.]*")))
    for folder in chain(named, (folder for folder in others if folder not in named)):
        artifact = readable(folder, kind) if folder.is_dir() else None
        if artifact is not None and artifact.fingerprint == fingerprint:
            return artifact
    return None


def link_artifact(artifact: Artifact, folder: Path, check: Callable[[], None] = atomic.no_check) -> Artifact:
    """The same artifact in `folder`, by hard links, or copies where the file system has none; replaces what is there.

    check  see `atomic.atomic_folder`

    Raises ArtifactError if the artifact was replaced in the meantime, or a file of it is no plain file.
    """
    with atomic.atomic_folder(folder, check) as draft:
        _link_files(artifact, draft)
        derived_folder = artifact.folder / DERIVED
        for derived in () if derived_folder.is_symlink() else sorted(derived_folder.glob(f"[!.]*/{MANIFEST}")):
            _link_derived(derived.parent, draft / DERIVED / derived.parent.name)
        artifacts.check_same(artifact)
    return artifacts.read(folder, artifact.kind)


def _link_derived(source: Path, target: Path) -> None:
    """Take over what was computed from an artifact; what is damaged is left out, and computed again when needed."""
    try:
        derived = artifacts.read(source)
        target.mkdir(parents=True)
        _link_files(derived, target)
    except ArtifactError:
        shutil.rmtree(target, ignore_errors=True)


def _link_files(artifact: Artifact, folder: Path) -> None:
    for name in (MANIFEST, *artifact.files):
        _link(artifact.folder / name, folder / name)


def _link(source: Path, target: Path) -> None:
    try:
        plain = stat.S_ISREG(source.lstat().st_mode)
    except FileNotFoundError:
        raise ArtifactError(f"{source} is missing; write the artifact again") from None
    if not plain:
        raise ArtifactError(f"{source} is not a plain file; write the artifact again")
    atomic.link_or_copy(source, target)
