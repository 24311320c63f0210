"""Files of FAISS are read, and changed, for the first time in another process, which may crash."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from embedrec.errors import DataError, reason
from embedrec.runtime.child_interpreters import command
from embedrec.vectors.faiss_file_check import UnknownTypeError, look_through, look_through_content

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


# What an index that cannot be changed says of it is said again where it is to be changed.
_CHANGE = """\
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


def check_file(path: Path, labels: int) -> None:
    """Raises DataError for a file that FAISS must not read in this process.

    labels  how many labels there may be

    The types that have names, and most others, are walked through, see `faiss_file`. Others, of which the fields are
    not known here, another process opens and searches first, so that only that one crashes.
    """
    try:
        look_through(path, labels)
    except UnknownTypeError:
        _try_elsewhere(_TRY, path, "open and search")


def check_changes(content: np.ndarray, labels: int) -> None:
    """Raises DataError for an index, as FAISS serialises it (m,) uint8, to which FAISS must not add in this process.

    labels  how many labels there may be

    Of types that are walked through, `check_file` knows all that only adding looks at. To others, another process adds
    first.
    """
    try:
        look_through_content(content, labels, "it")
    except UnknownTypeError:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "index.faiss"
            path.write_bytes(content.tobytes())
            _try_elsewhere(_CHANGE, path, "change")


def _try_elsewhere(script: str, path: Path, what: str) -> None:
    """Try a file in another process; raises DataError when it does not come through."""
    try:
        done = subprocess.run(command("-c", script, str(path)), capture_output=True, timeout=_LONG, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise DataError(
            f"{path.name} is of a type that is tried in another process first, which failed: {reason(e)}"
        ) from e
    if done.returncode < 0:
        raise DataError(f"{path.name} crashed the process that tried to {what} it")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise DataError(
            f"FAISS cannot {what.partition(' ')[0]} {path.name}: {lines[-1] if lines else 'it does not say why'}"
        )
