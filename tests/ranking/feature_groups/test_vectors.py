"""Similarities by the item vectors of parts."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.baselines.popular import Popular
from embedrec.models.imported import Vectors
from embedrec.ranking.feature_groups.vectors import VectorFeatures
from tests.conftest import of_lists


def test_parts_with_vectors() -> None:
    sessions = of_lists(["ab"])
    vectors = Vectors().from_arrays(Vocab(["b", "x"]), {"items": np.array([[0, 2], [1, 1]], dtype=np.float32)})
    parts = [("popular", Popular().fit(sessions)), ("mine", vectors)]
    (group,) = VectorFeatures.fit(sessions.vocab, parts, timed=False)
    assert group.names == ("cosine of mine with last", "highest cosine of mine", "mean cosine of mine")
    b = int(sessions.vocab.rows_of(["b"])[0])
    assert group.rows.tolist() == [0 if row == b else -1 for row in range(2)]
    assert group.scale.tolist() == [0.5 if row == b else 0 for row in range(2)]
    assert [*group.arrays] == ["vectors.1.scale"]
    with pytest.raises(DataError, match="shape"):
        VectorFeatures.from_arrays(sessions.vocab, parts, {"vectors.1.scale": np.zeros(3, np.float32)}, timed=False)


def test_an_item_that_the_part_lacks_has_no_scale() -> None:
    sessions = of_lists(["ab"])
    vectors = Vectors().from_arrays(Vocab(["b"]), {"items": np.ones((1, 2), dtype=np.float32)})
    arrays = {"vectors.0.scale": np.ones(2, dtype=np.float32)}
    (group,) = VectorFeatures.from_arrays(sessions.vocab, [("mine", vectors)], arrays, timed=True)
    assert (group.scale > 0).tolist() == (group.rows >= 0).tolist()
    assert group.names[-1] == "mean cosine of mine by time"
