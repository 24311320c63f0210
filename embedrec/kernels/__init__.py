"""Compiled hot loops (numba) as functions of plain arrays."""

import os
import sys
import warnings
from typing import Any

from embedrec.runtime import announcement

_FILE = ".numba_config.yaml"  # numba's settings in the current folder, see `load_numba`


def load_numba() -> None:
    """Import numba without its settings file in the current folder.

    The file may name a cache folder of compiled kernels, which numba unpickles: an untrusted workspace could run code.
    Environment variables (NUMBA_…) offer the same settings. If a program imports numba before embedrec, numba has
    read the file already.
    """
    if "numba" in sys.modules or not os.path.lexists(_FILE):
        return
    yaml = sys.modules.get("yaml")
    sys.modules["yaml"] = None  # type: ignore[assignment]  # numba reads the file with yaml at import
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a settings file without yaml
            from numba.core import config
    finally:
        del sys.modules["yaml"]
        if yaml is not None:
            sys.modules["yaml"] = yaml
    config._config_fname = os.devnull  # numba reads the file again at each compilation


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


def announce_compilation() -> None:
    """Make numba tell `runtime.Announcement` when it compiles; kernels from its cache are not compiled."""
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            announcement.start()

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Listener())


load_numba()
ignore_unreadable_caches()
announce_compilation()
