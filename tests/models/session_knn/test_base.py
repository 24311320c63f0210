"""Fitting of session kNN, and its inverted index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.variants import SKNN, SSCF
from tests.models.session_knn.random_sessions import long_histories, long_tail_sessions


@pytest.mark.parametrize("sample", [1, 7, 100, 1000, 0])
@pytest.mark.parametrize("recipe", [SKNN(), SSCF()], ids=["sets", "counts"])
def test_candidates_are_the_newest(recipe: SessionKnn, sample: int) -> None:
    train = long_tail_sessions()
    asked = long_histories(800, 100)
    numbers = replace(recipe, sample=sample).fit(train).neighbours(asked, len(train))[0]
    held = train.matrix() > 0
    for q in range(len(asked)):
        sharing = np.flatnonzero(held[:, np.unique(asked[q])].sum(axis=1)) if len(asked[q]) else []
        assert sorted(numbers[q][numbers[q] >= 0]) == list(sharing)[-sample:]
