"""Settings of matrix factorisation."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.config import settings_of
from embedrec.errors import SettingsError
from embedrec.models.factorization.mf import MatrixFactorisation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of als, logistic, bpr, but is 'hinge'"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
        ({"unobserved": 0.0}, "unobserved must be between 1e-06 and 1e"),
        ({"regularisation": 0.0}, "regularisation must be between 1e-09 and 1e"),
        ({"nu": float("nan")}, "nu must be between 0 and 2, but is nan"),
        ({"plays": "twice"}, "plays must be one of each, once, log, but is 'twice'"),
        ({"deviation": -1.0}, "deviation must be between"),
        ({"steps": 0}, "steps must be between 1 and 1000, but is 0"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"decay": 0.0}, "decay must be between"),
        ({"popularity": 1.5}, "popularity must be between 0 and 1, but is 1.5"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MatrixFactorisation(**settings)


def test_defaults_depend_on_the_loss() -> None:
    als, bpr = MatrixFactorisation(), MatrixFactorisation(loss="bpr")
    assert als.epochs is None and als.training_settings.epochs == 3 and als.training_settings.popularity == 0.5
    assert bpr.value("popularity") == 0 and MatrixFactorisation(loss="bpr", popularity=1.0).value("popularity") == 1
    for loss in ("logistic", "bpr"):
        filled = settings_of(MatrixFactorisation(loss=loss).training_settings)
        assert [key for key, value in filled.items() if value is None] == ["patience", "clip"]
    assert MatrixFactorisation(loss="bpr", epochs=2).training_settings.epochs == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negatives": 0}, "negatives must be between 1 and 10000, but is 0"),
        ({"ns_exponent": float("nan")}, "ns_exponent must be between -100 and 100, but is nan"),
        ({"learning_rate": 0.0}, "learning_rate must be between 1e-09 and 10, but is 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be between 0 and 100, but is -1.0"),
        ({"batch": 0}, "batch must be at least 1, but is 0"),
        ({"schedule": "steep"}, "schedule must be one of constant, linear, one-cycle, but is 'steep'"),
    ],
)
def test_pairwise_settings_out_of_bounds_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MatrixFactorisation(loss="bpr", **settings)
