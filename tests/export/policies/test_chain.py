"""The order of policies."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from embedrec.data.features import Categories, Features
from embedrec.export.policies.backfill import BackOff
from embedrec.export.policies.chain import build_chain
from embedrec.export.policies.rerank import Csls, Discount, Diversity, mean_scores
from embedrec.export.policies.session_index import index_sessions
from embedrec.export.policies.settings import Policies
from embedrec.export.policies.thresholds import MinEvidence, MinScore, Mutual, cap_feature
from embedrec.export.resume import ResumableExport
from tests.export.lists import as_lists, inputs_of, lists_of
from tests.export.policies.cases import ITEMS, LISTS, SEEDS, N, logs


def test_policies_are_applied_in_order(tmp_path: Path) -> None:
    """The chain of all policies equals their application one by one; caps also apply to results of back-off."""
    sessions, source = logs(), lists_of(LISTS)
    codes = (np.arange(N) % 4).astype(np.int32)
    features = Features(ITEMS, categorical={"artist": Categories(codes, np.array([*"abcd"], dtype=object))})
    inputs = inputs_of(ITEMS, sessions, features)
    policies = Policies(-0.5, 1, True, 3, 0.2, {"artist": 2}, 0.3, True)
    stored = ResumableExport(tmp_path).lists(
        "candidates", N, 12, lambda parts: (source.block(part, 12) for part in parts)
    )
    chain = build_chain(policies, 5, stored, inputs)
    result, counts = LISTS, np.bincount(sessions.items, minlength=N)
    capped = cap_feature(2, "artist", features, ITEMS)
    for policy in (
        MinScore(-0.5),
        MinEvidence(1, index_sessions(sessions, ITEMS)),
        Mutual(LISTS.rows.astype(np.int32)),
        Csls(mean_scores([LISTS.scores], 3)),
        Discount(0.2, counts),
        capped,
        Diversity(0.3, 5, np.zeros((0, 0), np.float32), index_sessions(sessions, ITEMS)),
        BackOff(5, 12, counts, index_sessions(sessions, ITEMS)),
        capped,
    ):
        result = policy.apply(SEEDS, result)
    lists = chain.apply(SEEDS, LISTS)
    assert np.array_equal(lists.rows, result.rows[:, :5])
    assert max(Counter(codes[row] for row, _ in results).most_common(1)[0][1] for results in as_lists(lists)) == 2
    assert policies.describe() == (
        "min-score -0.5, min-evidence 1, mutual, csls 3, discount 0.2, cap artist=2, mmr 0.3, back-off"
    )
