"""Compiled hot loops (numba) as functions of plain arrays."""

import os
import sys
import warnings
from typing import Any

_FILE = ".numba_config.yaml"  # numba's settings in the current folder, see `load_numba`


def load_numba() -> None:
    """Import numba without its settings file in the current folder.

    The file may name a folder of compiled kernels, which numba unpickles: a workspace from somebody else could run
    code. Environment variables (NUMBA_…) do what the file does. Where a program imports numba before embedrec, numba
    has read the file already, and nothing changes.
    """
    if "numba" in sys.modules or not os.path.lexists(_FILE):
        return
    yaml = sys.modules.get("yaml")
    sys.modules["yaml"] = None  # type: ignore[assignment]  # numba reads the file with it, while it is imported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is a file, and no yaml
            from numba.core import config
    finally:
        del sys.modules["yaml"]
        if yaml is not None:
            sys.modules["yaml"] = yaml
    config._config_fname = os.devnull  # numba looks again whenever it compiles


def recompile_what_cannot_be_read() -> None:
    """Make numba compile kernels again where it cannot read its index of those that were compiled before.

    An index names the types of arguments. After an upgrade that renames one, reading it raises AttributeError or
    ImportError before numba compares the time stamp that says it is out of date.
    """
    from numba.core.caching import IndexDataCacheFile

    read = IndexDataCacheFile._load_index

    def read_or_none(file: IndexDataCacheFile) -> Any:
        try:
            return read(file)
        except (AttributeError, ImportError):
            return {}

    IndexDataCacheFile._load_index = read_or_none


load_numba()
recompile_what_cannot_be_read()
