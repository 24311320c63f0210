"""Settings of training with torch: bounds and learning rates."""

from __future__ import annotations

import pytest

from embedrec.errors import SettingsError
from embedrec.training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
        ({"batch": 0}, "batch must be at least 1, but is 0"),
        ({"patience": 0}, "patience must be at least 1, but is 0"),
        ({"clip": float("nan")}, "clip must be at least 1e-09, but is nan"),
        ({"watch": "auc"}, "watch must be one of recall@20, mrr@20, but is 'auc'"),
        ({"schedule": "cosine"}, "schedule must be one of constant, linear, one-cycle, but is 'cosine'"),
        ({"precision": "int8"}, "precision must be one of float32, bfloat16, float16, but is 'int8'"),
    ],
)
def test_invalid_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TrainingSettings(**settings)


def test_factors_of_the_learning_rate() -> None:
    assert [TrainingSettings().rate(share) for share in (0, 0.5, 1)] == [1, 1, 1]
    assert [TrainingSettings(schedule="linear").rate(share) for share in (0, 0.25, 1)] == [1, 0.75, 0]
    cycle = [TrainingSettings(schedule="one-cycle").rate(share) for share in (0, 0.15, 0.3, 0.65, 1)]
    assert cycle == pytest.approx([0.04, 0.5, 1, 0.5, 0])
