"""A workspace before a refresh, made once and copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.storage.workspace import Workspace
from tests.workflows.refresh.nights import copy_of, first_night, night_file


@pytest.fixture(scope="session")
def shop_root(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return first_night(tmp_path_factory.mktemp("shop") / "w")


@pytest.fixture
def shop(shop_root: Workspace, tmp_path: Path) -> Workspace:
    """The workspace of the first nights."""
    return copy_of(shop_root, tmp_path / "w")


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """The file of the next night."""
    return night_file(tmp_path)
