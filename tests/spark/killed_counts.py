"""Models fitted on Spark while executors are killed, for `test_fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data import Sessions
from embedrec.models import recipe_class
from embedrec.models.serialization import load_model, save_model
from embedrec.spark.fit import FitContext, fit_on_spark
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.written_parts import staging
from embedrec.storage.memory_budget import spill
from tests.spark.killed import killing

SIZES = {"cooccurrence": 600, "sr": 12_000, "mf": 900}  # mentions of a part
SETTINGS: dict[str, dict[str, Any]] = {"mf": {"epochs": 1}}


def recipe(name: str) -> Any:
    return recipe_class(name)(**SETTINGS.get(name, {}))


def fit_all(spark: Any, folder: Path, kills: int) -> int:
    """Fit and save all recipes, while executors are killed; returns how many were."""
    with killing(kills, 1, 4, seed=1) as killed:
        for name, size in SIZES.items():
            target = folder / "models" / name
            with open_sessions(spark, folder / "sessions", size=400) as frame, staging(spark, target) as parts:
                model = fit_on_spark(recipe(name), frame, FitContext(parts, spill(folder), size=size))
                save_model(model, target, {})
    return len(killed)


def check(folder: Path) -> None:
    """Compare with one machine; no parts are left."""
    sessions = Sessions.load(folder / "sessions")
    assert sorted(path.name for path in (folder / "models").iterdir()) == sorted(SIZES)
    for name in SIZES:
        local, model = recipe(name).fit(sessions), load_model(folder / "models" / name)
        for array, values in local.arrays.items():
            assert np.asarray(model.arrays[array]).tobytes() == np.asarray(values).tobytes(), (name, array)
