"""The cache of compiled kernels: what numba must compile again after an upgrade."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_IMPORT = re.compile(rb"^(?:from|import) embedrec\.kernels\.(\w+)", re.MULTILINE)


def ignore_unreadable_caches() -> None:
    """Make numba recompile kernels whose cache index it cannot read.

    An index names the types of arguments. After an upgrade that renames a type, reading the index raises AttributeError
    or ImportError before numba compares the time stamp.
    """
    from numba.core.caching import IndexDataCacheFile

    read = IndexDataCacheFile._load_index

    def read_or_none(file: IndexDataCacheFile) -> Any:
        try:
            return read(file)
        except (AttributeError, ImportError):
            return {}

    IndexDataCacheFile._load_index = read_or_none


def stamp_imported_kernels(folders: Iterable[str]) -> None:
    """Make numba recompile kernels that call others, or use their constants, when the files of these change.

    folders  of the package `embedrec.kernels`

    The code of a called kernel is part of the compiled one, but numba compares the stamp of one file only.
    """
    from numba.core.caching import _SourceFileBackedLocatorMixin

    own = _SourceFileBackedLocatorMixin.get_source_stamp

    def stamp(locator: Any) -> Any:
        files = imported_kernels(Path(locator._py_file), tuple(map(Path, folders)))
        return (own(locator), *((status.st_mtime, status.st_size) for status in map(os.stat, files)))

    _SourceFileBackedLocatorMixin.get_source_stamp = stamp


@cache
def imported_kernels(file: Path, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The other files in the folders of `embedrec.kernels` that a file there imports, also through each other."""
    if file.parent not in folders:
        return ()
    known, left = set(), [file]
    while left:
        for name in _IMPORT.findall(left.pop().read_bytes()):
            paths = (folder / f"{name.decode()}.py" for folder in folders)
            new = [path for path in paths if path.is_file() and path not in known]
            known.update(new)
            left += new
    return tuple(sorted(known - {file}))
