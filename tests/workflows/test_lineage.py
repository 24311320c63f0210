"""What artifacts are made of."""

from __future__ import annotations

import numpy as np

from embedrec.data import Sessions
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.lineage import counts


def test_counts_of_sessions_equal_those_of_the_manifest(prepared: Artifact) -> None:
    assert counts(Sessions.load(prepared)) == {k: prepared.about[k] for k in ("sessions", "items", "events")}
    assert np.isfinite(prepared.about["seconds"])
