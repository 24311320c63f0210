"""The entry point: environment variables for libraries, and the line that kernels are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedrec.cli import main as module


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_waiting_openmp_threads_yield_their_cores(
    given: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that the user sets are kept."""
    environment = dict(given)
    monkeypatch.setattr(os, "environ", environment)
    module.limit_spinning()
    assert environment.get("GOMP_SPINCOUNT") == expected


def test_compiling_kernels_prints_one_line(shop: Path, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(module.__file__).parents[2]),
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "embedrec", "recommend", "a", "-n", "1", "--model", "sr"]
    cold, warm = (
        subprocess.run(command, cwd=shop, env=env, capture_output=True, text=True, check=True) for _ in range(2)
    )
    used = "using model sr (models/sr)\n"
    assert cold.stderr == f"{used}compiling kernels for this machine; later runs take them from a cache\n"
    assert warm.stderr == used and warm.stdout == cold.stdout != ""
