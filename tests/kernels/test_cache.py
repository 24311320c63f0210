"""Caches of kernels compiled by another version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TYPES = "from typing import NamedTuple\n\n\nclass {name}(NamedTuple):\n    a: int\n"
KERNEL = "import numba\n\n\n@numba.njit(cache=True)\ndef first(pair):\n    return pair.a + 1\n"


def test_kernels_cached_with_a_removed_type_are_compiled_again(tmp_path: Path) -> None:
    """The cache index of compiled kernels names a removed type; the kernel is compiled again.

    -B, because both versions of the module have one size and often one time stamp in seconds: Python would load the
    bytecode of the old one.
    """
    (tmp_path / "kernel_of_test.py").write_text(KERNEL)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    for name in ("Old", "New"):
        (tmp_path / "types_of_test.py").write_text(TYPES.format(name=name))
        code = "import embedrec.kernels, kernel_of_test, types_of_test\n"
        code += f"print(kernel_of_test.first(types_of_test.{name}(1)))"
        done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, env=env, check=False)
        assert done.stdout == "2\n", done.stderr
    assert list((tmp_path / "cache").rglob("*.nbi"))
