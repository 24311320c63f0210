"""Neural collaborative filtering: what it learns and which input it rejects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.factorization.neural_cf import NeuralCF
from tests.conftest import of_lists, tiny_sessions


def test_items_of_the_same_sessions_are_nearest() -> None:
    lists = ["abc", "acb", "bca", "xyz", "zyx", "yzx"] * 10
    sessions = of_lists(lists)
    events: list[dict[str, Any]] = []
    recipe = NeuralCF(dim=8, layers="8", batch=32, epochs=60, learning_rate=0.02, weight_decay=0.0)
    model = recipe.fit(sessions, seed=1, report=lambda event, **numbers: events.append({"event": event, **numbers}))
    losses = [t["loss"] for t in events if t["event"] == "epoch"]
    assert len(losses) == 60 and losses[-1] < losses[0] / 3
    near = model.embeddings.search(model.embeddings.vectors, 3).ids()
    assert [set(row) for row in near] == [set("abc") if i in "abc" else set("xyz") for i in sessions.vocab.ids]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ""}, "a perceptron needs a layer"),
        ({"layers": "50,x"}, "layers must be whole numbers"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"negatives": 0}, "negatives must be between 1 and 10000, but is 0"),
        ({"weight_decay": float("nan")}, "weight_decay must be between 0 and 100, but is nan"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        NeuralCF(**settings)


def test_no_training_data_is_an_error() -> None:
    with pytest.raises(DataError, match="min_count=9"):
        NeuralCF(min_count=9).fit(tiny_sessions())
    with pytest.raises(DataError):
        NeuralCF().fit(of_lists(["", ""], Vocab(["a"])))


def test_arrays_that_do_not_fit_are_refused() -> None:
    vocab = tiny_sessions().vocab
    with pytest.raises(DataError, match=r"items of a neural-cf model must have shape \(6, 3\), but is \(6, 4\)"):
        NeuralCF(dim=3).from_arrays(vocab, {"items": np.zeros((6, 4), dtype=np.float32)})
