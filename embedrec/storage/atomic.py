"""Atomic writes of files and folders: readers see the old content or the new, never a part.

A writer creates a hidden draft beside the target (`.NAME.PID-RANDOM.tmp`), flushes it to disk, and renames it. A kill
at any moment leaves the old content or the new; `sweep` removes drafts of killed writers.

A writer holds the lock of its draft (`file_lock`), which shows `sweep` that it is alive, also across containers. If
the file system has no locks, the draft's name ends in `.unlocked`, and `sweep` keeps it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedrec.storage.remote import ReadPath

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,9})-[0-9a-f]{8}\.(?P<what>tmp|old|unlocked)")
_LOCK = ".lock"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def atomic_file(path: Path, mode: str = "w", *, follow: bool = True) -> Iterator[IO[Any]]:
    """Open a file beside `path` for writing and rename it to `path` when the block ends without an error.

    follow  whether to replace the target of a symbolic link, and to write directly to special files (/dev/null, a
            pipe): for paths that users give. Files that a command names itself replace whatever exists
    """
    text = None if "b" in mode else "utf-8"
    if follow and path.exists() and not path.is_file():
        with path.open(mode, encoding=text, newline=text and "\n") as f:
            yield f
        return
    path = resolve_links(path) if follow and path.is_symlink() else path
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
    flush(path.parent)


def resolve_links(path: Path) -> Path:
    """The absolute path without symbolic links. Raises OSError for circular links, under every version of Python."""
    try:
        target = path.resolve()
        circular = any(part.is_symlink() for part in (target, *target.parents))
    except RuntimeError:  # up to Python 3.12
        circular = True
    if circular:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def no_check() -> None:
    """Accepts everything."""


@contextmanager
def atomic_folder(path: Path, check: Callable[[], None] = no_check) -> Iterator[Path]:
    """A hidden folder beside `path` to write files to; it replaces `path` when the block ends without an error.

    check  called just before, under the lock of the parent folder; if it raises, the old folder remains
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with _draft(path, folder=True) as (draft, _):
        try:
            yield draft
            for file in sorted(draft.iterdir()):
                flush(file)
            flush(draft)
            with locked(path.parent):
                check()
                _swap_in(draft, path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def remove_folder(path: Path) -> None:
    """Remove a folder, which readers see whole or not at all; what a kill leaves of it is removed by `sweep`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)  # another process may remove it too


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of a folder during a block; waits until it is free.

    Locks the folder itself, which leaves no file behind, or a hidden file in it if the file system only locks files
    that are open for writing (NFS). Does nothing if the file system has no locks. A draft is already locked by its
    writer.
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
def scratch_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path` for temporary files; it is removed after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with _draft(path, folder=True) as (folder, _):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> list[Path]:
    """Remove what killed writers left in `folder`; restore an old artifact that was moved aside.

    Returns drafts of unknown state: the file system has no locks that would show whether their writer is alive.
    """
    unknown = []
    for left in folder.iterdir() if folder.is_dir() else ():
        match = _LEFT.fullmatch(left.name)
        if match is None:
            continue
        with suppress(OSError):  # another process may remove it too, or the folder may be read-only: it stays hidden
            if _remove_or_restore(left, match) is Lock.UNKNOWN:
                unknown.append(left)
    return sorted(unknown)


def _remove_or_restore(left: Path, match: re.Match[str]) -> Lock:
    """Remove a draft, or restore an old artifact, unless another process holds its lock."""
    path = left.parent / match["name"]
    if match["what"] == "unlocked":
        return Lock.UNKNOWN
    if left.is_symlink():  # no writer makes one
        left.unlink()
        return Lock.TAKEN
    writable = left.is_file() and os.access(left, os.W_OK)  # NFS locks only files that are open for writing
    with _open_descriptor(left, os.O_RDWR if writable else os.O_RDONLY) as descriptor:
        taken = lock(descriptor)
        orphaned = match["what"] == "old" and not os.path.lexists(path)
        if orphaned and (taken is Lock.TAKEN or (taken is Lock.UNKNOWN and not _alive(int(match["pid"])))):
            left.rename(path)
            return Lock.TAKEN
        if taken is Lock.TAKEN and is_same_file(descriptor, left):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
    return taken


@contextmanager
def _draft(path: Path, *, folder: bool) -> Iterator[tuple[Path, int]]:
    """A new hidden file or folder beside `path`, and the descriptor that holds its lock."""
    while True:
        beside = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        descriptor = _create(beside, folder=folder)
        try:
            taken = lock(descriptor, wait=True)  # a process that cleans up may hold it until it has removed it
            if taken is Lock.UNKNOWN:
                beside = beside.rename(beside.with_suffix(".unlocked"))
            if is_same_file(descriptor, beside):
                yield beside, descriptor
                return
        finally:
            os.close(descriptor)


def _create(beside: Path, *, folder: bool) -> int:
    """The descriptor of a new file or folder."""
    if not folder:
        return os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    while True:
        beside.mkdir()
        with suppress(FileNotFoundError):  # a process that cleans up has removed it
            return os.open(beside, os.O_RDONLY | os.O_CLOEXEC)


def no_link(path: str, flags: int) -> int:
    """An opener for `open` that does not follow symbolic links: for files that a command names itself."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` another name of a file, or a copy if that is impossible: on another file system, on one without
    hard links, for a file of another user. Raises OSError.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copyfile(source, target, follow_symlinks=False)


def other_file(folder: Path, own: Callable[[Path], set[str]]) -> str | None:
    """The first file of a folder that is not one of its own; None if there is none, or no folder.

    own  the names of the files that belong to the folder. If another writer replaces the folder in between, both are
         read again, so that old files are never compared with new names
    """
    while True:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # no new folder has its number
            try:
                names, known = {file.name for file in folder.iterdir()}, own(folder)
                other = min(names - known, default=None)
                if other is None or os.path.samestat(os.fstat(descriptor), folder.stat()):
                    return other
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            if not folder.exists():
                return None


def sha256(path: ReadPath) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@contextmanager
def _open_descriptor(path: Path, flags: int) -> Iterator[int]:
    """The descriptor of a file or folder; does not follow links and does not wait for pipes."""
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


def flush(path: Path) -> None:
    """Write what the system still holds of a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap_in(new: Path, path: Path) -> None:
    """Rename the folder `new` to `path`; an old folder is exchanged in the same step and removed afterwards."""
    try:
        new.rename(path)  # also replaces an empty folder
    except OSError as e:
        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if exchange_folders(new, path):
            shutil.rmtree(new, ignore_errors=True)
        else:
            _swap_in_two_steps(new, path)
    flush(path.parent)


def _swap_in_two_steps(new: Path, path: Path) -> None:
    """Without an atomic exchange: `sweep` restores the old folder after a kill between the two renames."""
    aside = new.with_suffix(".old")
    with _open_descriptor(path, os.O_RDONLY) as descriptor:
        lock(descriptor, wait=True)  # no other process restores it in the meantime
        try:
            path.rename(aside)
            new.rename(path)
        except BaseException:
            if aside.exists() and not path.exists():
                aside.rename(path)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def exchange_folders(a: Path, b: Path) -> bool:
    """Exchange two folders atomically (Linux renameat2); False if the system or file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(b))


_HELD = (errno.EWOULDBLOCK, errno.EAGAIN)


class Lock(Enum):
    """The result of an attempt to lock."""

    TAKEN = "taken"
    HELD = "held by another process"
    UNKNOWN = "unknown: the file system has no locks"


def lock(descriptor: int, *, wait: bool = False) -> Lock:
    """Lock an open file or folder until the descriptor is closed or the process ends.

    wait  whether to wait until the lock is free
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        return Lock.HELD if e.errno in _HELD else Lock.UNKNOWN
    return Lock.TAKEN


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether `path` still is the open file: neither removed nor replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
