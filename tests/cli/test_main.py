"""The entry point: environment variables for libraries."""

from __future__ import annotations

import os

import pytest

from embedrec.cli import main as module


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_waiting_openmp_threads_yield_their_cores(
    given: dict[str, str], after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the user sets a variable."""
    environment = dict(given)
    monkeypatch.setattr(os, "environ", environment)
    module.limit_spinning()
    assert environment.get("GOMP_SPINCOUNT") == after
