"""Atomic writes of files, hidden drafts, and their removal after a kill."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from embedrec.storage import atomic
from tests.storage.drafts import DEAD, names, small_disk


def test_a_file_is_complete_or_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic.atomic_file(path) as f:
        f.write("é\n")
    assert path.read_bytes() == "é\n".encode()
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), atomic.atomic_file(path, "wb") as f:
            f.write(b"half")
            raise error
    assert path.read_bytes() == "é\n".encode()
    assert names(path.parent) == ["a.txt"]


def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "a").symlink_to("disk/a")
    for text in ("1", "2"):
        with atomic.atomic_file(tmp_path / "a") as f:
            f.write(text)
        assert (tmp_path / "a").is_symlink()
        assert (tmp_path / "disk" / "a").read_text() == text
    assert names(tmp_path / "disk") == ["a"]


def test_circular_links_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for path in (tmp_path / "a", tmp_path / "a" / "file"):
        with pytest.raises(OSError, match="symbolic links"):
            atomic.resolve_links(path)
    with pytest.raises(OSError, match="symbolic links"), atomic.atomic_file(tmp_path / "a"):
        pass
    assert atomic.resolve_links(tmp_path / "absent") == (tmp_path / "absent").resolve()


def test_devices_and_pipes_are_written_directly(tmp_path: Path) -> None:
    before = Path("/dev/null").stat()
    with atomic.atomic_file(Path("/dev/null")) as f:
        f.write("gone")
    assert Path("/dev/null").stat().st_rdev == before.st_rdev
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    with atomic.atomic_file(pipe) as f:
        f.write("through")
    reader.join()
    assert received == ["through"]
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]
    with pytest.raises(OSError, match="No space left"), atomic.atomic_file(Path("/dev/full")) as f:
        f.write("too much")


def test_a_folder_of_that_name_fails_before_the_block(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), atomic.atomic_file(tmp_path):
        raise AssertionError("the block was run")
    assert names(tmp_path) == []


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    with atomic.atomic_file(tmp_path / "a") as f:
        f.write("old")
    with small_disk(), pytest.raises(OSError, match="File too large"), atomic.atomic_file(tmp_path / "a") as f:
        f.write("x" * 100_000)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_folder_replaces_the_old_one_and_keeps_it_after_an_error(tmp_path: Path) -> None:
    for text in ("1", "2"):
        with atomic.atomic_folder(tmp_path / "x") as draft:
            (draft / "a").write_text(text)
        assert names(tmp_path) == ["x"] and (tmp_path / "x" / "a").read_text() == text

    def refuse() -> None:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"), atomic.atomic_folder(tmp_path / "x", refuse) as draft:
        (draft / "a").write_text("3")
    assert names(tmp_path) == ["x"] and (tmp_path / "x" / "a").read_text() == "2"


def test_a_folder_is_removed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    atomic.remove_folder(tmp_path / "x")
    assert names(tmp_path) == ["y"]
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda path, **_: None)  # killed before it
    atomic.remove_folder(tmp_path / "y")
    monkeypatch.undo()
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(".y.")
    assert atomic.sweep(tmp_path) == [] and names(tmp_path) == []


def test_a_locked_folder_is_released_after_the_block(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with atomic.locked(tmp_path):
            assert atomic.lock(descriptor) is atomic.Lock.HELD
        assert atomic.lock(descriptor) is atomic.Lock.TAKEN
    finally:
        os.close(descriptor)
    assert names(tmp_path) == []


def test_other_files_of_a_folder_are_found(tmp_path: Path) -> None:
    assert atomic.other_file(tmp_path / "missing", lambda folder: set()) is None
    for name in ("a", "c", "b"):
        (tmp_path / name).write_text(name)
    assert atomic.other_file(tmp_path, lambda folder: {"a"}) == "b"
    assert atomic.other_file(tmp_path, lambda folder: {"a", "b", "c", "d"}) is None


def test_removed_and_replaced_files_are_detected(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    with (tmp_path / "a").open() as file:
        assert atomic.is_same_file(file.fileno(), tmp_path / "a")
        (tmp_path / "b").write_text("1")
        (tmp_path / "b").replace(tmp_path / "a")
        assert not atomic.is_same_file(file.fileno(), tmp_path / "a")
        (tmp_path / "a").unlink()
        assert not atomic.is_same_file(file.fileno(), tmp_path / "a")


def test_sweep_removes_only_drafts_of_dead_writers(tmp_path: Path) -> None:
    kept = [
        f".x.{10**30}-00000000.tmp",  # no process number
        ".x.1-0000.tmp",
        ".x.tmp",
        f"x.{DEAD}-00000000.tmp",
        f".x.{DEAD}-00000000.bak",
    ]
    for name in [*kept, f".x.{DEAD}-00000000.tmp"]:
        (tmp_path / name).write_text("")
    (tmp_path / f".y.{DEAD}-00000000.tmp").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "work").write_text("")
    (tmp_path / f".z.{DEAD}-00000000.tmp").symlink_to("away")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == sorted([*kept, "away"])
    assert names(tmp_path / "away") == ["work"]


def test_sweep_ignores_files_that_it_may_not_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / f".x.{DEAD}-00000000.tmp").write_text("")
    (tmp_path / f".y.{DEAD}-00000000.old").write_text("")
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "rename", refuse)
    atomic.sweep(tmp_path)
    assert len(names(tmp_path)) == 2


HELD = """
import sys, os
from pathlib import Path
from embedrec.storage import atomic
os.getpid = lambda: int(sys.argv[2])
make = {"file": atomic.atomic_file, "folder": atomic.atomic_folder, "scratch": atomic.scratch_folder}[sys.argv[3]]
with make(Path(sys.argv[1])) as out:
    print("began", flush=True)
    sys.stdin.readline()
    if sys.argv[3] == "folder":
        (out / "content").write_text("whole")
"""


@pytest.mark.parametrize("how", ["file", "folder", "scratch"])
@pytest.mark.parametrize("pid", [1, DEAD], ids=["number of a live process", "number of no process"])
def test_locked_drafts_of_other_containers_are_kept(how: str, pid: int, tmp_path: Path) -> None:
    """Process numbers differ there: a locked draft stays, whatever its number, and is removed after a kill."""
    words = [sys.executable, "-c", HELD, tmp_path / "x", str(pid), how]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "began\n"
        assert atomic.sweep(tmp_path) == []
        assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(f".x.{pid}-")
        writer.communicate("\n")
    assert writer.returncode == 0
    assert names(tmp_path) == ([] if how == "scratch" else ["x"])
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "began\n"
        assert len(names(tmp_path)) == (1 if how == "scratch" else 2)
        writer.kill()
    assert atomic.sweep(tmp_path) == []
    assert names(tmp_path) == ([] if how == "scratch" else ["x"])


def test_a_file_gets_a_second_name_or_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("content")
    atomic.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")

    def refuse(source: Path, target: Path, **given: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    atomic.link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "content" and not (tmp_path / "a").samefile(tmp_path / "c")
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        atomic.link_or_copy(tmp_path / "none", tmp_path / "d")
