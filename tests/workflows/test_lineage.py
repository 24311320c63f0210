"""What artifacts are made of."""

from __future__ import annotations

import numpy as np

from embedrec.data import Sessions
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.lineage import counts


def test_provenance_names_the_artifact_and_counts_its_content(prepared: Artifact) -> None:
    assert counts(Sessions.load(prepared)) == {k: prepared.about[k] for k in ("sessions", "items", "events")}
    assert np.isfinite(prepared.about["seconds"])
