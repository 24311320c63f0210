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


def test_written_and_read(source: Artifact, tmp_path: Path) -> None:
    rule = WarmTime(share=0.3, min_rating=2)
    done, checked = write_split(source, tmp_path / "w", rule, seed=5)
    train, test = rule.split(world())
    held = HeldOut.load(done)
    assert held is not None and same(Sessions.load(done), train) and same(held.sessions, test.sessions)
    assert held.given.tolist() == test.given.tolist()
    assert done.about == {
        "of": provenance(source),
        "split": {"rule": "warm-time", "settings": dataclasses.asdict(rule), "seed": 5, "checked": checked},
        **counts(train),
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
    }
    assert checked[-1] == "all training events are before all held-out events"
    assert open_evaluation_task(done).protocol == "users"
    with pytest.raises(DataError) as error:
        write_split(done, tmp_path / "x", rule)
    message = "sessions w have a held-out part already; split the sessions they were made from"
    assert str(error.value) == message
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        write_split(source, tmp_path / "a b", rule)
