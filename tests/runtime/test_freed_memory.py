"""Freed memory is given back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import re
from pathlib import Path
from embedrec.runtime.freed_memory import return_freed_memory

def resident():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

pieces = [bytes(2000) for _ in range(50_000)]
kept = pieces[::50]  # between those that are freed
del pieces
before = resident()
return_freed_memory()
assert len(kept) == 1000
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_freed_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout) > 50
