"""Check artifacts: every file, and what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError
from embedrec.models.serialization import load_model
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact


def verify_artifact(folder: Path) -> str | None:
    """What is wrong with the artifact in `folder`: checksums of all files, then opening it; None when all is well."""
    from embedrec.index.serialization import load_index

    openers: dict[str, Callable[[Artifact], Any]] = {
        "sessions": _load_parts,
        "model": load_model,
        "index": load_index,
    }
    try:
        artifact = artifacts.read(folder)
        artifact.check()
        if artifact.kind not in openers:
            return f"{folder} is of the unknown kind {artifact.kind!r}; write the artifact again"
        openers[artifact.kind](artifact)
    except ArtifactError as e:
        return str(e)
    except OSError as e:
        return f"{folder} cannot be read ({e.strerror})"
    return None


def verify_recall(source: Artifact) -> tuple[str, bool]:
    """What an index artifact finds of the exact answers to fresh questions, in words; and whether that is enough.

    Asked are items that were not asked when it was built, as far as the catalogue goes. It is not enough when the upper
    end of the interval lies below what was promised, or, of an index without a promise, below the lower end of what was
    measured.
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
    kind = "measured" if target is None else "promised"
    if recall.high < least:
        return f"{message}, below the {stated:g} that was {kind}; build the index again", False
    return f"ok, {message}, {stated:g} {kind}", True


def _load_parts(source: Artifact) -> tuple[Sessions, HeldOut | None]:
    return Sessions.load(source), HeldOut.load(source)
