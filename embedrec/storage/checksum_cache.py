"""A cache of checks that large files passed, kept beside them, so that they are not read again.

The file `.checked` of a folder records which checks a file passed and its state: size, modification times of content
and inode, inode, and device. Writing, replacing or copying a file changes its state. A file modified within the last
two seconds is not recorded, because a further change might not show in its times. Anyone who can write to the folder
can forge this file, as they can forge the checksums.

Damage below the file system does not change the state: `embedrec verify` always reads everything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedrec.errors import decoded_or_none
from embedrec.storage.atomic import no_link

FILE = ".checked"
LARGE = 4 << 20  # bytes; smaller files are read in milliseconds
SETTLED_NANOSECONDS = 2_000_000_000  # nanoseconds after which a modification shows in a file's times


def state(path: Path) -> list[int]:
    """A file's identity and version, as numbers. Raises OSError."""
    info = path.lstat()
    return [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_dev]


def known(folder: Path, digest: str, check: str, names: Sequence[str]) -> bool:
    """Whether these files passed a check in their current state.

    digest  of the manifest; results recorded under another manifest do not count
    """
    states = _read(folder, digest).get(check, {})
    try:
        return all(states.get(name) == state(folder / name) for name in names)
    except OSError:
        return False


def remember(folder: Path, digest: str, check: str, before: dict[str, list[int]]) -> None:
    """Record that files passed a check; `before` is their state when it began. Does nothing in a read-only folder."""
    with suppress(OSError):
        now = time.time_ns()
        same = all(state(folder / name) == was for name, was in before.items())
        if not same or any(now - max(was[1:3]) < SETTLED_NANOSECONDS for was in before.values()):
            return
        checks = _read(folder, digest)
        checks[check] = {**checks.get(check, {}), **before}
        # one small write; an incomplete one is not valid JSON and is ignored
        with open(folder / FILE, "w", encoding="utf-8", opener=no_link) as out:
            out.write(json.dumps({"digest": digest, "checks": checks}))


def _read(folder: Path, digest: str) -> dict[str, Any]:
    cache = decoded_or_none(lambda: json.loads((folder / FILE).read_bytes()))
    checks: Any = cache.get("checks") if isinstance(cache, dict) and cache.get("digest") == digest else {}
    whole = isinstance(checks, dict) and all(isinstance(files, dict) for files in checks.values())
    return dict(checks) if whole else {}
