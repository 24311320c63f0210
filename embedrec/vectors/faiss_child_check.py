"""Read, search or change the file of a FAISS index in a child process first, which may crash."""

from __future__ import annotations

import subprocess
from pathlib import Path

from embedrec.errors import DataError, reason
from embedrec.runtime.child_interpreters import command

_TIMEOUT = 600  # seconds

SEARCH_SCRIPT = """\
import sys
import faiss
import numpy
faiss.omp_set_num_threads(1)
index = faiss.read_index(sys.argv[1], faiss.IO_FLAG_MMAP_IFC)
queries = numpy.random.default_rng(0).normal(size=(16, index.d)).astype(numpy.float32)
for k in (1, min(100, index.ntotal)):
    index.search(queries, k)
"""

# A RuntimeError, such as that of a type that cannot be changed, recurs in the process that changes the index.
CHANGE_SCRIPT = """\
import sys
import faiss
import numpy
faiss.omp_set_num_threads(1)
index = faiss.read_index(sys.argv[1])
vectors = numpy.random.default_rng(0).normal(size=(1000, index.d)).astype(numpy.float32)
try:
    if isinstance(index, (faiss.IndexIVF, faiss.IndexFlatCodes)):
        index.remove_ids(numpy.arange(min(10, index.ntotal)))
    index.add(vectors)
    index.search(vectors[:16], min(100, index.ntotal))
except RuntimeError:
    pass
"""


def try_search(path: Path) -> None:
    """Open and search a file in a child process. Raises DataError if that fails."""
    _run(SEARCH_SCRIPT, path, "open and search")


def try_change(path: Path) -> None:
    """Remove and add vectors in a child process. Raises DataError if that fails."""
    _run(CHANGE_SCRIPT, path, "change")


def _run(script: str, path: Path, action: str) -> None:
    try:
        result = subprocess.run(command("-c", script, str(path)), capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise DataError(f"a child process cannot {action} {path.name}: {reason(e)}") from e
    if result.returncode < 0:
        raise DataError(f"{path.name} crashed the child process that tried to {action} it")
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        raise DataError(f"FAISS cannot {action} {path.name}: {lines[-1] if lines else 'no reason given'}")
