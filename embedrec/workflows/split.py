"""Split a sessions artifact into a training and a held-out part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedrec.config import settings_of
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.splitting.holdout import has_held_out
from embedrec.splitting.leakage import check_leaks
from embedrec.splitting.rules import (
    Rule,
    Split,
    Time,
    WarmTime,
)
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.lineage import counts, provenance


def split_sessions(rule: Rule, sessions: Sessions, *, seed: int = 0) -> tuple[Split, list[str]]:
    """The parts, and the results of the leak check, one sentence each. Raises DataError for a leak."""
    split = rule.split(sessions, seed=seed)
    return split, check_leaks(*split, in_time=isinstance(rule, Time | WarmTime))


def write_split(source: Artifact, folder: Path, rule: Rule, *, seed: int = 0) -> tuple[Artifact, list[str]]:
    """Split a sessions artifact and write both parts as the sessions artifact `folder`; also returns the results of the
    leak check.

    Raises DataError if the artifact has a held-out part already, or the rule does not suit it.
    """
    check_split(source, folder)
    split, checked = split_sessions(rule, Sessions.load(source), seed=seed)
    test = split.test
    about = about_split(source, rule, seed, checked, counts(split.train), len(test), len(test.sessions.items))
    with artifacts.writing(folder, "sessions", about, made_from=source) as draft:
        split.train.write(draft)
        split.test.write(draft)
    return artifacts.read(folder, "sessions"), checked


def check_split(source: Artifact, folder: Path) -> None:
    """Raises DataError if the artifact has a held-out part already, ArtifactError if `folder` cannot be written."""
    artifacts.check_place(folder)
    if has_held_out(source):
        raise DataError(f"sessions {source.name} have a held-out part already; split the sessions they were made from")


def about_split(
    source: Artifact,
    rule: Rule,
    seed: int,
    checked: list[str],
    train: Mapping[str, int],
    test_sessions: int,
    test_events: int,
) -> dict[str, Any]:
    """The manifest of a split artifact; `train` is what `counts` says of the training part."""
    return {
        "of": provenance(source),
        "split": {"rule": rule.name, "settings": settings_of(rule), "seed": seed, "checked": checked},
        **train,
        "test_sessions": test_sessions,
        "test_events": test_events,
    }
