"""Settings of GRU4Rec."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.models.gru4rec.recipe import GRU4Rec


@pytest.mark.parametrize(("settings", "message"), [
    ({"layers": ""}, 'a recurrent network needs a layer; set layers as in "256"'),
    ({"layers": "4,x"}, "layers must be whole numbers"),
    ({"loss": "hinge"}, "loss must be one of bpr-max, bpr, cross-entropy, but is 'hinge'"),
    ({"input": "x"}, "input must be one of constrained, embedding, onehot, content, content-mlp, but is 'x'"),
    ({"momentum": 1.0}, "momentum must be between 0 and 0.9999, but is 1.0"),
    ({"embedding_dropout": float("nan")}, "embedding_dropout must be between 0 and 0.99, but is nan"),
    ({"batch": 0}, "batch must be at least 1, but is 0"),
])  # fmt: skip
def test_settings_that_are_not_allowed(settings: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        GRU4Rec(**settings)
