"""The protocol of scorers: every scorer's contributions add up to its scores."""

from __future__ import annotations

import numpy as np

from embedrec.ranking.candidates import ModelLists, merge_lists
from embedrec.ranking.fusion import FusionScorer
from embedrec.ranking.scorer import Scorer
from tests.conftest import of_lists, read_only


def test_contributions_add_up_to_scores() -> None:
    rng = np.random.default_rng(0)
    lists = [
        ModelLists(np.argsort(rng.random((5, 30)), axis=1)[:, :8], -np.sort(-rng.random((5, 8)).astype(np.float32)))
        for _ in range(3)
    ]
    candidates, histories = merge_lists(lists), of_lists([[]] * 5)
    weights = read_only(np.array([0.2, 0.5, 0.3], np.float32))
    for by_rank in (False, True):
        scorer: Scorer = FusionScorer(("a", "b", "c"), weights, by_rank, 60.0)
        names, parts = scorer.contributions(histories, candidates)
        assert names == ("a", "b", "c")
        np.testing.assert_allclose(parts.sum(axis=1), scorer.scores(histories, candidates), rtol=1e-6)
        assert (parts >= 0).all() and ((parts == 0) == (candidates.ranks < 0)).all()
