"""Whether FAISS may read a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from embedrec.errors import DataError, reason
from embedrec.faiss_file import UnknownTypeError, look_through
from embedrec.interpreters import command

_LONG = 600  # seconds after which an attempt is given up
_TRY = """\
import sys
import faiss
import numpy
faiss.omp_set_num_threads(1)
index = faiss.read_index(sys.argv[1], faiss.IO_FLAG_MMAP_IFC)
queries = numpy.random.default_rng(0).normal(size=(16, index.d)).astype(numpy.float32)
for k in (1, min(100, index.ntotal)):
    index.search(queries, k)
"""


def check_file(path: Path, labels: int) -> None:
    """Raises DataError for a file that FAISS must not read in this process.

    labels  how many labels there may be

    The types that have names, and most others, are walked through, see `faiss_file`. Others, of which the fields are
    not known here, another process opens and searches first, so that only that one crashes.
    """
    try:
        look_through(path, labels)
    except UnknownTypeError:
        _try_elsewhere(path)


def _try_elsewhere(path: Path) -> None:
    """Open and search in another process; raises DataError when it does not come through."""
    try:
        done = subprocess.run(command("-c", _TRY, str(path)), capture_output=True, timeout=_LONG, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise DataError(
            f"{path.name} is of a type that is tried in another process first, which failed: {reason(e)}"
        ) from e
    if done.returncode < 0:
        raise DataError(f"{path.name} crashed the process that tried to open and search it")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DataError(f"FAISS cannot open {path.name}: {said[-1] if said else 'it does not say why'}")
