"""Files and folders that appear whole or not at all.

What is written goes into a hidden file or folder beside its place (`.NAME.PID-RANDOM.tmp`), is flushed to disk, and
takes the place in one rename. A kill at any moment leaves the old one or the new one; `sweep` removes what is left.

A writer holds the lock of what it writes (`locks`), which tells `sweep` that it lives, in whichever container. Where
the file system has no locks the name ends in `.unlocked`, and `sweep` leaves it.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from embedrec.storage.file_lock import Lock, lock, still_there

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,9})-[0-9a-f]{8}\.(?P<what>tmp|old|unlocked)")
_LOCK = ".lock"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def atomic_file(path: Path, mode: str = "w", *, follow: bool = True) -> Iterator[IO[Any]]:
    """Open a file beside `path` for writing and rename it to `path` when the block ends without an error.

    follow  whether a link stays, and the file it names is replaced, and what exists and is no regular file (/dev/null,
            a pipe) is written straight through: so it is with files that users name. Files that a command names
            itself take the place of whatever stands there
    """
    text = None if "b" in mode else "utf-8"
    if follow and path.exists() and not path.is_file():
        with path.open(mode, encoding=text, newline=text and "\n") as f:
            yield f
        return
    path = path.resolve() if follow and path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with _draft(path, folder=False) as (beside, descriptor):
        try:
            with open(os.dup(descriptor), mode, encoding=text, newline=text and "\n") as f:  # noqa: PTH123
                yield f
                f.flush()
                os.fsync(f.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    _flush(path.parent)


def no_check() -> None:
    """Lets everything pass."""


@contextmanager
def atomic_folder(place: Path, check: Callable[[], None] = no_check) -> Iterator[Path]:
    """A hidden folder beside `place` to write files into; it takes the place when the block ends without an error.

    check  called just before; where it raises, the old folder stays. No other process replaces anything beside `place`
           between the two
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    sweep(place.parent)
    with _draft(place, folder=True) as (draft, _):
        try:
            yield draft
            for file in sorted(draft.iterdir()):
                _flush(file)
            _flush(draft)
            with locked(place.parent):
                check()
                _swap_in(draft, place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """For a block that no other process or thread enters for the same folder meanwhile; waits until it may.

    The folder itself is locked, so that nothing is left behind; where its file system locks only files that are open
    for writing (NFS), a hidden file in it. A file system without locks locks nothing. A draft is its writer's alone,
    and locked already.
    """
    if _LEFT.fullmatch(folder.name):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if lock(descriptor, wait=True) is Lock.UNKNOWN:
            os.close(descriptor)
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place` for files that are moved elsewhere or not needed after the block."""
    place.parent.mkdir(parents=True, exist_ok=True)
    sweep(place.parent)
    with _draft(place, folder=True) as (folder, _):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> list[Path]:
    """Remove what killed writers left in `folder`; put back an old artifact that was moved aside.

    Returns what may be written or may be left: the file system has no locks that would tell.
    """
    unknown = []
    for left in folder.iterdir() if folder.is_dir() else ():
        match = _LEFT.fullmatch(left.name)
        if match is None:
            continue
        with suppress(OSError):  # another process may sweep too, or the folder be read-only: it lies there, hidden
            if _swept(left, match) is Lock.UNKNOWN:
                unknown.append(left)
    return sorted(unknown)


def _swept(left: Path, match: re.Match[str]) -> Lock:
    """Remove a draft, or put it back, where nobody holds its lock."""
    place = left.parent / match["name"]
    if match["what"] == "unlocked":
        return Lock.UNKNOWN
    if left.is_symlink():  # which no writer makes
        left.unlink()
        return Lock.TAKEN
    written = left.is_file() and os.access(left, os.W_OK)  # as NFS wants files that are locked to be open
    with _opened(left, os.O_RDWR if written else os.O_RDONLY) as descriptor:
        taken = lock(descriptor)
        back = match["what"] == "old" and not os.path.lexists(place)
        if back and (taken is Lock.TAKEN or (taken is Lock.UNKNOWN and not _alive(int(match["pid"])))):
            left.rename(place)
            return Lock.TAKEN
        if taken is Lock.TAKEN and still_there(descriptor, left):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
    return taken


@contextmanager
def _draft(path: Path, *, folder: bool) -> Iterator[tuple[Path, int]]:
    """A new hidden file or folder beside `path`, and its descriptor, which holds its lock."""
    while True:
        beside = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        descriptor = _made(beside, folder=folder)
        try:
            taken = lock(descriptor, wait=True)  # another process that sweeps may hold it until it has removed it
            if taken is Lock.UNKNOWN:
                beside = beside.rename(beside.with_suffix(".unlocked"))
            if still_there(descriptor, beside):
                yield beside, descriptor
                return
        finally:
            os.close(descriptor)


def _made(beside: Path, *, folder: bool) -> int:
    """The descriptor of a new file or folder."""
    if not folder:
        return os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    while True:
        beside.mkdir()
        with suppress(FileNotFoundError):  # another process that sweeps was faster
            return os.open(beside, os.O_RDONLY | os.O_CLOEXEC)


def no_link(path: str, flags: int) -> int:
    """An opener of `open` for files that a command names itself: it follows no link to another file."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def other_file(folder: Path, own: Callable[[Path], set[str]]) -> str | None:
    """The first file in a folder that is not among its own; None where there is none, or no folder.

    own  the names that belong to what the folder holds. Where another writer replaces the folder between the two
         looks, both are taken again, so that the old files are never compared with the new names
    """
    while True:
        try:
            before = folder.stat()
            names, known = {file.name for file in folder.iterdir()}, own(folder)
            other = min(names - known, default=None)
            if other is None or os.path.samestat(before, folder.stat()):
                return other
        except FileNotFoundError:
            if not folder.exists():
                return None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """The descriptor of a file or folder, which is no link; a pipe is not waited for."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap_in(new: Path, place: Path) -> None:
    """Put the folder `new` at `place`; the old one, if any, goes in the same step and is removed after it."""
    try:
        new.rename(place)  # also onto an empty folder
    except OSError as e:
        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _exchange(new, place):
            shutil.rmtree(new, ignore_errors=True)
        else:
            _swap_in_two_steps(new, place)
    _flush(place.parent)


def _swap_in_two_steps(new: Path, place: Path) -> None:
    """Without an atomic exchange: `sweep` puts the old folder back after a kill between the two renames."""
    aside = new.with_suffix(".old")
    with _opened(place, os.O_RDONLY) as descriptor:
        lock(descriptor, wait=True)  # nobody puts it back meanwhile
        try:
            place.rename(aside)
            new.rename(place)
        except BaseException:
            if aside.exists() and not place.exists():
                aside.rename(place)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step (Linux renameat2); False where system or file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(b))
