"""Verify artifacts: checksums and content of all files, and the recall of indexes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError
from embedrec.models.base import Model
from embedrec.models.serialization import find_part, load_model, part_artifacts, part_folder
from embedrec.progress import Report, quiet
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS, PARTS, Artifact
from embedrec.storage.lineage import stale
from embedrec.storage.workspace import Workspace
from embedrec.workflows.info import artifacts_named, no_artifact


@dataclass(frozen=True)
class Verdict:
    """The verdict on an artifact: "ok", with the recall of an index and why it is stale, or what is wrong with it.

    kind  the folder of its kind, such as "models"; "parts" for a part of a composite model, named "MODEL: PART", with
          the fingerprint in the verdict
    """

    kind: str
    name: str
    verdict: str


@dataclass(frozen=True)
class Verification:
    """The verdicts on artifacts.

    damaged   number of artifacts that are damaged
    measured  number of indexes whose recall was measured
    missed    number of these whose recall is too low
    """

    verdicts: list[Verdict]
    damaged: int
    measured: int
    missed: int

    def check(self) -> None:
        """Raises ArtifactError if an artifact is damaged, or an index has too low a recall."""
        if self.damaged:
            count = sum(verdict.kind != PARTS for verdict in self.verdicts)
            raise ArtifactError(f"{self.damaged} of {count} artifacts are damaged; create them again")
        if self.missed:
            raise ArtifactError(
                f"{self.missed} of {self.measured} indexes have lower recall than their target; rebuild them"
            )


def verify_workspace(
    workspace: Workspace, name: str | None = None, *, recall: bool = False, report: Report = quiet
) -> Verification:
    """Verify all artifacts of a workspace, or those of a name or a version, NAME@VERSION.

    recall  also measure the recall of indexes again

    Raises ArtifactError if no artifact has the name.
    """
    if name is not None and "@" in name:
        folders = [artifact.folder for artifact in artifacts_named(workspace, name)]
    else:
        folders = [f for kind in FOLDERS for f in workspace.folders(kind) if name in (None, f.name)]
    if name is not None and not folders:
        raise no_artifact(workspace, name)
    verdicts: list[Verdict] = []
    damaged, recalls = 0, []
    for number, folder in enumerate(folders, 1):
        verdict = verify_artifact(folder)
        if verdict is not None:
            damaged += 1
        else:
            verdict = "ok"
            if recall and folder.parent.name == FOLDERS["index"]:
                verdict, met = verify_recall(artifacts.read(folder, "index"))
                recalls.append(met)
            why = stale(workspace, artifacts.read(folder))
            verdict += "" if why is None else f", but stale: {why}"
        verdicts += [Verdict(folder.parent.name, folder.name, verdict), *verify_parts(folder)]
        report("progress", done=number, total=len(folders), unit="artifacts")
    return Verification(verdicts, damaged, len(recalls), recalls.count(False))


def verify_artifact(folder: Path) -> str | None:
    """What is wrong with the artifact in `folder`, after checking checksums and loading it; None if it is intact."""
    from embedrec.index.serialization import load_index

    openers: dict[str, Callable[[Artifact], Any]] = {
        "sessions": _load_parts,
        "model": _load_with_parts,
        "index": load_index,
    }
    try:
        artifact = artifacts.read(folder)
        artifact.check()
        if artifact.kind not in openers:
            return f"{folder} has the unknown kind {artifact.kind!r}; write the artifact again"
        openers[artifact.kind](artifact)
    except ArtifactError as e:
        return str(e)
    except OSError as e:
        return f"{folder} cannot be read ({e.strerror})"
    return None


def verify_parts(folder: Path) -> list[Verdict]:
    """The verdicts on what the composite model in `folder` needs; none for other artifacts and unreadable ones."""
    try:
        artifact = artifacts.read(folder)
        entries = artifact.about.get("parts", {}) if artifact.kind == "model" else {}
        return [
            Verdict(PARTS, f"{artifact.name}: {entry['name']}", _verify_part(artifact, **entry))
            for entry in entries.values()
        ]
    except (ArtifactError, OSError):
        return []


def _verify_part(artifact: Artifact, name: str, fingerprint: str) -> str:
    """Whether a part is intact and the one that the model was trained with."""
    try:
        part = find_part(artifact, name, fingerprint)
        if part is None:
            folder = part_folder(artifact, name)
            if not folder.exists():
                return f"missing, fingerprint {fingerprint}"
            other = artifacts.read(folder, "model")
            return f"another, fingerprint {other.fingerprint} in place of {fingerprint}"
        part.check()
    except ArtifactError as e:
        return str(e)
    return f"ok, fingerprint {fingerprint}"


def _load_with_parts(source: Artifact) -> Model:
    """A model after checking its parts. Raises ArtifactError if one is missing, damaged or another."""
    for part in part_artifacts(source).values():
        part.check()
    return load_model(source)


def verify_recall(source: Artifact) -> tuple[str, bool]:
    """The recall of an index artifact on new queries as a message, and whether it is high enough.

    The queries are items other than those of the first measurement, if the catalogue is large enough. The recall is too
    low if the upper end of its interval is below the target, or for an index without a target, below the lower end of
    the first measurement.
    """
    from embedrec.index.measure import recall_sample
    from embedrec.index.serialization import load_index, load_queries

    index = load_index(source)
    measurements, target = index.measurements, index.measurements.get("promise")
    k, stated = (20, measurements.get("recall@20", 0.0)) if target is None else (target["k"], target["recall"])
    least = measurements.get("recall_low", stated) if target is None else stated
    queries = load_queries(source)
    sample = recall_sample(index.embeddings, queries, int(source.about.get("seed", 0)) + 1, k=k)
    fresh = "items" if queries is None else "histories"
    recall = sample.recall_of(index)
    message = f"recall@{k} {recall.mean:.4f} on {len(sample.queries):,} fresh {fresh}"
    kind = "recall when built" if target is None else "target"
    if recall.high < least:
        return f"{message}, below the {kind} of {stated:g}; rebuild the index", False
    return f"ok, {message}; {kind} {stated:g}", True


def _load_parts(source: Artifact) -> tuple[Sessions, HeldOut | None]:
    return Sessions.load(source), HeldOut.load(source)
