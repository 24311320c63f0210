"""GRU4Rec: a step of training by plain formulas, streams against sessions, inputs, features, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.models.gru4rec.recipe import GRU4Rec, RecurrentModel
from tests.conftest import tiny_sessions
from tests.models.gru4rec.toy_learner import SMALL, with_features
from tests.training.toy import clustered_sessions


@pytest.mark.parametrize("settings", [
    {}, {"loss": "cross-entropy"}, {"loss": "bpr", "elu": 0.0}, {"input": "embedding", "layers": "16,12"},
    {"input": "onehot", "loss": "cross-entropy", "logq": 1.0}, {"optimizer": "adam", "learning_rate": 0.02},
    {"input": "content"}, {"input": "content-mlp"}, {"regularisation": 1e-4},
])  # fmt: skip
def test_items_of_the_same_sessions_are_recommended(settings: Any) -> None:
    sessions = with_features(clustered_sessions(180))
    given = {"layers": "16", "embedding_dropout": 0.1, "hidden_dropout": 0.1, "epochs": 8, "n_sample": 20, "batch": 16,
             "learning_rate": 0.1, **settings}  # fmt: skip
    curve: list[float] = []

    def report(event: str, **numbers: Any) -> None:
        if event == "epoch":
            curve.append(numbers["loss"])

    model = GRU4Rec(**{**SMALL, **given}).fit(sessions, seed=2, report=report)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    answer = model.recommend(sessions, 3, exclude_seen=False).rows
    assert (groups[answer] == groups[sessions.items[sessions.offsets[:-1]]][:, None]).mean() > 0.9
    assert curve[-1] < curve[0]


def test_a_live_session_has_the_results_of_its_history() -> None:
    sessions = clustered_sessions(60)
    model = GRU4Rec(**SMALL).fit(sessions, seed=0)
    assert isinstance(model, RecurrentModel)
    lists = sessions.take(np.flatnonzero(sessions.lengths >= 3)[:4])
    state = model.start(4)
    for place in range(3):
        state = model.step(state, np.array([lists[s][place] for s in range(4)]))
        results = model.searcher.search(state.queries, 5)
        want = model.recommend(lists.take(np.arange(4), np.full(4, place + 1)), 5, exclude_seen=False)
        assert (results.rows == want.rows).all()
        np.testing.assert_allclose(results.scores, want.scores, rtol=1e-4, atol=1e-5)


def test_scale_norms_ignores_the_bias_of_states() -> None:
    sessions = clustered_sessions(60)
    model = GRU4Rec(**SMALL).fit(sessions, seed=0)
    assert model.embeddings.dim == 8 and model.answers.dim == 9
    np.testing.assert_array_equal(model.answers.vectors[:, :8], model.embeddings.vectors)
    answer = model.scale_norms(1.0).recommend(sessions, 30, exclude_seen=False)
    want = model.embeddings.vectors @ model.encoder(sessions)[:, :8].T
    np.testing.assert_allclose(answer.scores, -np.sort(-want.T, axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"input": "onehot", "layers": "3,5"}, {"input": "embedding"}])
def test_arrays_that_do_not_fit_are_refused(settings: Any) -> None:
    model = GRU4Rec(**{**SMALL, **settings}).fit(tiny_sessions(), seed=0)
    for name, array in model.arrays.items():
        for wrong in (array[:-1], array[..., :-1]):
            with pytest.raises(DataError):
                model.recipe.from_arrays(model.vocab, {**model.arrays, name: wrong})
    less = {name: array for name, array in model.arrays.items() if name != "hidden0"}
    with pytest.raises(DataError, match="hidden0 of a gru4rec model must have shape"):
        model.recipe.from_arrays(model.vocab, less)
