"""Scores of parts with vectors for every candidate."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.baselines.popular import Popular
from embedrec.models.imported import Vectors
from embedrec.ranking.candidates import ModelLists, merge_lists
from embedrec.ranking.feature_groups.queries import QueryFeatures
from embedrec.ranking.features import FeatureTables
from tests.conftest import of_lists


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_scores_are_those_of_the_list_of_the_part(metric: str) -> None:
    sessions = of_lists(["abcdef", "fedcba"])
    known = Vocab(sessions.vocab.ids[[4, 0, 2, 1]])
    vectors = np.random.default_rng(0).normal(size=(4, 19)).astype(np.float32)
    model = Vectors(metric=metric).from_arrays(known, {"items": vectors})  # type: ignore[arg-type]
    parts = [("popular", Popular().fit(sessions)), ("mine", model)]
    (group,) = QueryFeatures.of(sessions.vocab, parts)
    assert group.names == ("query score of mine",) and not group.arrays
    histories = of_lists(["ab", "", "f", "cab"], sessions.vocab)
    everything = np.tile(np.arange(6, dtype=np.int32), (4, 1))
    queries = model.encoder(histories.reindex(known))
    lists = [
        ModelLists(everything, np.zeros((4, 6), np.float32)),
        ModelLists(everything[:, :0], np.zeros((4, 0), np.float32), queries),
    ]
    tables = FeatureTables.fit(sessions, parts)
    column = tables.compute(histories, merge_lists(lists))[:, tables.names.index("query score of mine")].reshape(4, 6)
    topk = model.recommend(histories, 4, exclude_seen=False)
    for q in range(4):
        expected = np.full(6, np.nan)
        expected[sessions.vocab.rows_of(known.ids[topk.rows[q]])] = topk.scores[q]
        np.testing.assert_allclose(column[q], expected, rtol=1e-5, atol=1e-6)


def test_candidates_without_queries_of_a_part_with_vectors() -> None:
    sessions = of_lists(["abc"])
    model = Vectors().from_arrays(sessions.vocab, {"items": np.eye(3, dtype=np.float32)})
    tables = FeatureTables.fit(sessions, [("mine", model)])
    candidates = merge_lists([ModelLists(np.array([[2, 1]]), np.zeros((1, 2), np.float32))])
    with pytest.raises(DataError, match="the candidates lack the queries of the part mine, which has vectors"):
        tables.compute(of_lists(["a"], sessions.vocab), candidates)
