"""Compiled hot loops (numba) as functions of plain arrays."""

import os
import sys
import warnings
from typing import Any

from embedrec.kernels.kernel_cache import ignore_unreadable_caches, stamp_imported_kernels
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
stamp_imported_kernels(__path__)
announce_compilation()
