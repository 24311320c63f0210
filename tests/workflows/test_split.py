"""The split of a sessions artifact."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from embedrec.data import Sessions
from embedrec.errors import ArtifactError, DataError
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import WarmTime
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.evaluate import (
    open_evaluation_task,
)
from embedrec.workflows.lineage import counts, provenance
from embedrec.workflows.split import write_split
from tests.workflows.toy_sessions import same, world


def test_a_split_artifact_contains_both_parts(source: Artifact, tmp_path: Path) -> None:
    rule = WarmTime(share=0.3, min_rating=2)
    artifact, checked = write_split(source, tmp_path / "w", rule, seed=5)
    train, test = rule.split(world())
    held_out = HeldOut.load(artifact)
    assert held_out is not None and same(Sessions.load(artifact), train) and same(held_out.sessions, test.sessions)
    assert held_out.given.tolist() == test.given.tolist()
    assert artifact.about == {
        "of": provenance(source),
        "split": {"rule": "warm-time", "settings": dataclasses.asdict(rule), "seed": 5, "checked": checked},
        **counts(train),
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
    }
    assert checked[-1] == "all training events are before all held-out events"
    assert open_evaluation_task(artifact).protocol == "users"
    with pytest.raises(DataError) as error:
        write_split(artifact, tmp_path / "x", rule)
    message = "sessions w have a held-out part already; split the sessions they were made from"
    assert str(error.value) == message
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        write_split(source, tmp_path / "a b", rule)
