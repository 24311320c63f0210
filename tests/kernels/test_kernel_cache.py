"""Caches of kernels compiled by another version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import embedrec.kernels
from embedrec.kernels.kernel_cache import imported_kernels

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


INNER = "import numba\n\nSTEP = {step}\n\n\n@numba.njit(cache=True)\ndef add(a):\n    return a + STEP\n"
MIDDLE = "from embedrec.kernels.inner_of_test import add\n"
OUTER = """\
import numba

from embedrec.kernels.middle_of_test import add


@numba.njit(cache=True)
def twice(a):
    return add(add(a))
"""


def test_kernels_that_call_a_changed_one_are_compiled_again(tmp_path: Path) -> None:
    """The file of the kernel itself stays as it is; the changed one is imported by a third."""
    (tmp_path / "middle_of_test.py").write_text(MIDDLE)
    (tmp_path / "outer_of_test.py").write_text(OUTER)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    code = f"import embedrec.kernels\nembedrec.kernels.__path__.append({str(tmp_path)!r})\n"
    code += "from embedrec.kernels.outer_of_test import twice\nprint(twice(0), sum(twice.stats.cache_hits.values()))"
    for step, printed in ((1, "2 0\n"), (1, "2 1\n"), (10, "20 0\n")):
        (tmp_path / "inner_of_test.py").write_text(INNER.format(step=step))
        os.utime(tmp_path / "inner_of_test.py", (0, 0))  # so that an equal file has an equal stamp
        done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, env=env, check=False)
        assert done.stdout == printed, done.stderr


def test_imports_of_kernels_are_followed() -> None:
    kernels = Path(embedrec.kernels.__path__[0])
    files = imported_kernels(kernels / "pair_parts.py", (kernels,))
    assert [file.name for file in files] == ["pair_counts.py", "topk.py"]
    assert imported_kernels(kernels / "topk.py", (kernels,)) == ()
    assert imported_kernels(Path(__file__), (kernels,)) == ()
