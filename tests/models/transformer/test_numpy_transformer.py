"""Queries without torch against torch's; prefixes of each other are computed once, with the same result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.models.transformer import numpy_transformer
from tests.conftest import of_lists
from tests.models.transformer.toy_learner import NETWORKS, torch_queries
from tests.training.toy import clustered_sessions


@pytest.mark.parametrize("settings", NETWORKS)
def test_queries_without_torch_are_those_of_torch(settings: Any) -> None:
    learner, histories, queries = torch_queries(**settings)
    np.testing.assert_allclose(learner.model().encoder(histories), queries, rtol=1e-5, atol=1e-5)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, histories, queries = torch_queries()
    monkeypatch.setattr(numpy_transformer, "BLOCK_TOKENS", 5)
    monkeypatch.setattr(numpy_transformer, "BLOCK_SESSIONS", 7)
    np.testing.assert_allclose(learner.model().encoder(histories), queries, rtol=1e-5, atol=1e-5)


def test_shared_prefixes() -> None:
    histories = of_lists(["ab", "abc", "", "b", "abd", "abc", "ba"])
    whole, end_of = numpy_transformer.shared_prefixes(histories.items, histories.offsets[:-1], histories.lengths)
    assert end_of[2] == -1
    for history, other in enumerate(end_of):
        assert other < 0 or histories[other][: len(histories[history])].tolist() == histories[history].tolist()
    assert len(whole) == 3 and set(end_of[end_of >= 0].tolist()) == set(whole.tolist())
    assert {"".join(histories.vocab.ids[histories[w]].tolist()) for w in whole} == {"abc", "abd", "ba"}


def test_unknown_users_and_empty_histories() -> None:
    learner, histories, _ = torch_queries(users=True)
    model = learner.model()
    some = histories.take(np.arange(4))
    strange = type(some)(some.offsets, some.items, some.vocab, some.ids, users=np.array(["nobody"] * 4, dtype=object))
    plain = type(some)(some.offsets, some.items, some.vocab, some.ids)
    np.testing.assert_array_equal(model.encoder(strange), model.encoder(plain))
    assert (model.encoder(some) != model.encoder(plain)).any()
    empty = clustered_sessions(40).take(np.arange(2), np.zeros(2, dtype=np.int64))
    known = model.encoder(empty)
    np.testing.assert_array_equal(known, model.arrays["users"][learner.user_ids.rows_of(empty.users)])  # type: ignore[union-attr, arg-type]
