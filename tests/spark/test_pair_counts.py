"""Neighbours of items that several parts count; more is in test_fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.models import recipe_class
from embedrec.spark import pair_counts
from tests.spark.test_fit import SPLIT, fitted, random_sessions

pytestmark = pytest.mark.spark


def test_neighbours_of_a_split_item_are_scored_in_blocks(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, folder = random_sessions(), tmp_path / "sessions"
    sessions.save(folder, {})
    monkeypatch.setattr(pair_counts, "_BLOCK_ROWS", 16)
    recipe = recipe_class("cooccurrence")(top=20)
    model = fitted(spark, recipe, folder, size=SPLIT)
    for name, array in recipe.fit(sessions).arrays.items():
        assert model.arrays[name].tobytes() == array.tobytes()
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    assert spark.conf.get(name) == "65536"  # as before
