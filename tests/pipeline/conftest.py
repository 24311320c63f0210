"""A log of visits, and the pipeline of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from embedrec.pipeline.prepare import prepare
from embedrec.pipeline.steps import PreparedSessions
from tests.cli.conftest import run  # noqa: F401

SMALL: dict[str, Any] = {"epochs": 3, "dim": 8, "min_count": 1}
COLUMNS: dict[str, Any] = {"session": "visit", "item": "sku", "time": "at", "title": "label"}


def visits() -> pd.DataFrame:
    """60 visits of 5 of 20 items, which are of two groups."""
    rows = [
        (f"v{visit}", item, f"Item {item}", 1_700_000_000 + visit * 1000 + k)
        for visit in range(60)
        for k in range(5)
        for item in [f"i{(visit * 7 + k * 3) % 10 + visit % 2 * 10:02}"]
    ]
    return pd.DataFrame(rows, columns=["visit", "sku", "label", "at"])


def features() -> pd.DataFrame:
    """Years of the items: 2000 + number."""
    return pd.DataFrame({"sku": [f"i{n:02}" for n in range(20)], "year": range(2000, 2020)})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The visits as a file."""
    path = tmp_path / "visits.csv"
    visits().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def prepared() -> PreparedSessions:
    return prepare(visits(), item_features=features(), threads=1, **COLUMNS)
