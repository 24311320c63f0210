"""One announcement when kernels are compiled, none when a cache has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from embedrec.runtime import Announcement

KERNEL = "import numba\n\n\n@numba.njit(cache=True)\ndef increased(number):\n    return number + 1\n"
CODE = """\
from embedrec.runtime import announcement
announcement.announce = lambda: print("compiling")
import embedrec.kernels, kernel_of_test
print(kernel_of_test.increased(1), kernel_of_test.increased(1.5))
"""


def test_an_announcement_is_made_once() -> None:
    announcement, made = Announcement(), []
    announcement.start()
    assert not announcement.done
    announcement.announce = lambda: made.append("compiling")
    announcement.start()
    announcement.start()
    assert made == ["compiling"] and announcement.done


def test_cached_kernels_are_not_announced(tmp_path: Path) -> None:
    (tmp_path / "kernel_of_test.py").write_text(KERNEL)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", CODE]
    cold, warm = (subprocess.run(command, capture_output=True, text=True, env=env, check=True) for _ in range(2))
    assert cold.stdout == "compiling\n2 2.5\n"
    assert warm.stdout == "2 2.5\n"
