"""What was found of large files, remembered beside them, so that it need not be found again.

A folder's `.checked` says of a file which checks it passed, and in which state: size, times of the last change of
content and of the inode, the inode, and the device. Whatever writes into a file, replaces it, or copies it makes
another state. A file that was changed within the last two seconds may be changed again without its times telling, so
that nothing is remembered of it. Whoever can write the folder could forge this, as they could the checksums.

Damage of a disk below the file system changes no state: `embedrec verify` always reads everything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedrec.runtime.decoding import decoded_or_none
from embedrec.storage.atomic import no_link

FILE = ".checked"
LARGE = 4 << 20  # bytes of files that are worth it: smaller ones are read in milliseconds
_SETTLED = 2_000_000_000  # nanoseconds after which a change of a file shows in its times


def state(path: Path) -> list[int]:
    """What tells a file from any other, and from itself before it was changed. Raises OSError."""
    info = path.lstat()
    return [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_dev]


def known(folder: Path, digest: str, check: str, names: Sequence[str]) -> bool:
    """Whether these files passed a check as they are now.

    digest  of the manifest: what was found under another one is not known
    """
    said = _read(folder, digest).get(check, {})
    try:
        return all(said.get(name) == state(folder / name) for name in names)
    except OSError:
        return False


def remember(folder: Path, digest: str, check: str, before: dict[str, list[int]]) -> None:
    """That files passed a check; `before` is their state when it began. Nothing where the folder cannot be written."""
    with suppress(OSError):
        now = time.time_ns()
        same = all(state(folder / name) == was for name, was in before.items())
        if not same or any(now - max(was[1:3]) < _SETTLED for was in before.values()):
            return
        checks = _read(folder, digest)
        checks[check] = {**checks.get(check, {}), **before}
        # in one small write; a torn one is no JSON, and says nothing
        with open(folder / FILE, "w", encoding="utf-8", opener=no_link) as out:
            out.write(json.dumps({"digest": digest, "checks": checks}))


def _read(folder: Path, digest: str) -> dict[str, Any]:
    said = decoded_or_none(lambda: json.loads((folder / FILE).read_bytes()))
    checks: Any = said.get("checks") if isinstance(said, dict) and said.get("digest") == digest else {}
    whole = isinstance(checks, dict) and all(isinstance(files, dict) for files in checks.values())
    return dict(checks) if whole else {}
