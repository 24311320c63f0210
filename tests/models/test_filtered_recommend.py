"""Recommendations among some of the items, from models of vectors, lists, counts and past sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import SettingsError
from embedrec.models import filtered_recommend, recipe_class
from embedrec.models.filtered_recommend import recommend_filtered
from tests.conftest import LISTS, of_lists, tiny_sessions

SETTINGS: dict[str, dict[str, object]] = {
    "word2vec": {"min_count": 1, "dim": 4, "epochs": 1, "sample": 0},
    "mf": {"dim": 3, "epochs": 1},
    "popular": {},
    "ar": {},
    "cooccurrence": {},
    "vsknn": {},
}
MODELS = {name: recipe_class(name)(**given).fit(tiny_sessions(), seed=1) for name, given in SETTINGS.items()}


@pytest.mark.parametrize("name", list(MODELS))
@given(st.sets(st.integers(0, 5)), st.integers(1, 6), st.booleans())
def test_filtered_results_equal_all_results_without_the_others(
    name: str, some: set[int], k: int, exclude_seen: bool
) -> None:
    model, histories = MODELS[name], of_lists(LISTS)
    n = len(model.vocab)
    allowed = np.array(sorted(row for row in some if row < n), dtype=np.int64)
    k = min(k, n)
    mask = np.isin(np.arange(n), allowed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filtered_recommend, "BLOCK_RESULTS", 7)
        results = recommend_filtered(model, histories, k, exclude_seen=exclude_seen, allowed=allowed[::-1])
    whole = model.recommend(histories, n, exclude_seen=exclude_seen)
    for q in range(len(histories)):
        wanted = [row for row in whole.rows[q].tolist() if row in set(allowed.tolist())][:k]
        assert results.rows[q].tolist() == wanted + [-1] * (k - len(wanted))
        np.testing.assert_allclose(
            results.scores[q][: len(wanted)], whole.scores[q][np.isin(whole.rows[q], wanted)], 1e-5
        )
    again = recommend_filtered(model, histories, k, exclude_seen=exclude_seen, allowed=mask)
    assert (again.rows == results.rows).all()
    plain = recommend_filtered(model, histories, k, exclude_seen=exclude_seen)
    assert (plain.rows == model.recommend(histories, k, exclude_seen=exclude_seen).rows).all()


def test_wrong_filters_are_refused() -> None:
    for model in MODELS.values():
        with pytest.raises(SettingsError, match="allowed rows must be between"):
            recommend_filtered(model, of_lists(["ab"]), 1, allowed=np.array([99]))
        with pytest.raises(SettingsError, match="k must be between 1 and"):
            recommend_filtered(model, of_lists(["ab"]), 99, allowed=np.array([0]))
