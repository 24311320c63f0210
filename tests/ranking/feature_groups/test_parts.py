"""Names of the features of lists; their values are tested with the kernel."""

from __future__ import annotations

from embedrec.ranking.feature_groups.parts import PartFeatures


def test_names() -> None:
    group = PartFeatures(("sr", "mf"))
    assert group.names[:4] == ("rank of sr", "score of sr", "relative score of sr", "rank of mf")
    assert group.names[6:] == ("best rank", "reciprocal ranks")
    assert group.arrays == {}
