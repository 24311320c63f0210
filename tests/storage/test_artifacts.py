"""Writing: whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import ArtifactError
from embedrec.index.build import build_index
from embedrec.index.serialization import load_index, save_index
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import load_model, save_model
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts, atomic
from embedrec.storage import atomic as file_lock
from embedrec.storage.atomic import Lock, lock
from embedrec.storage.workspace import Workspace
from tests.conftest import of_lists, read_only, some_embeddings
from tests.storage.drafts import DEAD, names, small_disk


def write(folder: Path, number: int, size: int = 10) -> None:
    """An artifact whose two files must hold the same number."""
    with artifacts.writing(folder, "model", {"number": number}) as draft:
        draft.array("a", np.full(size, number))
        draft.array("b", np.full(size, number))


def number_in(folder: Path) -> int:
    """The number that the artifact holds everywhere."""
    artifact = artifacts.read(folder)
    artifact.check()
    (number,) = {artifact.about["number"], *artifact.array("a").tolist(), *artifact.array("b").tolist()}
    return int(number)


@pytest.fixture(params=["exchange", "two renames"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to replace an artifact: the atomic one, and the one of systems without it."""
    if request.param == "two renames":
        monkeypatch.setattr(atomic, "exchange_folders", lambda a, b: False)
    return str(request.param)


# ------------------------------------------------------------------------------------------- writing


def test_a_written_artifact_is_read(tmp_path: Path) -> None:
    write(tmp_path / "x", 1)
    artifact = artifacts.read(tmp_path / "x", "model")
    assert (artifact.name, artifact.kind, artifact.about) == ("x", "model", {"number": 1})
    assert set(artifact.files) == {"a.npy", "b.npy"} and "a.npy" in artifact
    assert not artifact.array("a").flags.writeable
    assert names(tmp_path / "x") == ["a.npy", "b.npy", "manifest.json"]
    assert names(tmp_path) == ["x"]
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert manifest["format"] == artifacts.FORMAT == 1


def test_files_are_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def note(descriptor: int) -> None:
        opened = os.fstat(descriptor)
        name = next(p.name for p in (tmp_path, *tmp_path.rglob("*")) if os.path.samestat(p.stat(), opened))
        flushed.append(f"{name.split('.')[1] if name.startswith('.') else name} {names(tmp_path) == ['x']}")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write(tmp_path / "x", 1)
    assert flushed == ["a.npy False", "b.npy False", "manifest.json False", "x False", f"{tmp_path.name} True"]


def test_equal_content_has_equal_fingerprints(tmp_path: Path) -> None:
    for name, number in (("x", 1), ("y", 1), ("z", 2)):
        write(tmp_path / name, number)
    x, y, z = (artifacts.read(tmp_path / n) for n in "xyz")
    assert x.fingerprint == y.fingerprint != z.fingerprint
    assert x.created < y.created < z.created
    assert len({x.digest, y.digest, z.digest}) == 3


def test_a_new_artifact_replaces_the_old_one(tmp_path: Path, swap: str) -> None:
    for number in range(3):
        write(tmp_path / "x", number)
        assert number_in(tmp_path / "x") == number
        assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_an_error_while_writing_keeps_the_old_artifact(error: Any, tmp_path: Path, swap: str) -> None:
    for old in ([], ["x"]):
        with (
            pytest.raises(error if isinstance(error, type) else OSError),
            artifacts.writing(tmp_path / "x", "model", {}) as draft,
        ):
            draft.array("a", np.arange(3))
            raise error
        assert names(tmp_path) == old
        if not old:
            write(tmp_path / "x", 7)
    assert number_in(tmp_path / "x") == 7


def test_an_error_between_the_two_renames_restores_the_old_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x", 1)
    rename, place = Path.rename, tmp_path / "x"

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp" and target == place and not place.exists():
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(atomic, "exchange_folders", lambda a, b: False)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        write(place, 2)
    assert names(tmp_path) == ["x"]
    assert number_in(place) == 1


def test_a_manifest_that_is_not_json_keeps_the_old_artifact(tmp_path: Path) -> None:
    write(tmp_path / "x", 1)
    for odd in (float("nan"), {1, 2}, np.int64(3)):
        with pytest.raises((ValueError, TypeError)), artifacts.writing(tmp_path / "x", "model", {"odd": odd}):
            pass
    assert number_in(tmp_path / "x") == 1
    assert names(tmp_path) == ["x"]


def test_a_manifest_may_contain_paths_that_are_not_unicode(tmp_path: Path) -> None:
    about = {"paths": [os.fsdecode(b"/data/\xff.json"), "/data/Björk.json"]}
    with artifacts.writing(tmp_path / "x", "model", about):
        pass
    assert artifacts.read(tmp_path / "x").about == about
    assert "Björk" in (tmp_path / "x" / "manifest.json").read_bytes().decode(errors="replace")


@pytest.mark.parametrize("name", [".hidden", "a b", "a/../b c", "é", "a\n", ""])
def test_names_with_other_characters_are_refused(name: str, tmp_path: Path) -> None:
    with (
        pytest.raises(ArtifactError, match="cannot name an artifact"),
        artifacts.writing(Path(f"{tmp_path}/{name}") if name else Path("/"), "model", {}),
    ):
        pass
    assert names(tmp_path) == []
    with (
        pytest.raises(ArtifactError, match="not a plain file name"),
        artifacts.writing(tmp_path / "x", "model", {}) as draft,
    ):
        draft.path("../x")


def test_other_files_and_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    write(tmp_path / "x", 1)  # an empty folder is in nobody's way
    assert number_in(tmp_path / "x") == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(
        ArtifactError, match=r"mine is not an artifact: it contains other files \(thesis.txt\); move it away"
    ):
        write(tmp_path / "mine", 1)
    (tmp_path / "file").write_text("work")
    with pytest.raises(ArtifactError, match="file is a file; move it away or choose another name"):
        write(tmp_path / "file", 1)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert names(tmp_path) == ["file", "mine", "x"]


def test_a_link_to_an_artifact_is_kept(tmp_path: Path, swap: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "x").symlink_to("disk/big")
    for number in range(2):
        write(tmp_path / "x", number)
        assert (tmp_path / "x").is_symlink()
        assert number_in(tmp_path / "x") == number_in(tmp_path / "disk" / "big") == number
    assert names(tmp_path) == ["disk", "x"]
    assert names(tmp_path / "disk") == ["big"]


def test_simultaneous_writers_leave_one_artifact(tmp_path: Path) -> None:
    failed: list[Exception] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 15):
                write(tmp_path / "x", number)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert number_in(tmp_path / "x") % 100 == 14
    assert names(tmp_path) == ["x"]


def test_simultaneous_updates_are_all_applied(tmp_path: Path, swap: str) -> None:
    """Several read an artifact and replace it by what they make of it: what stands there at the end has all of it."""
    write(tmp_path / "x", 0)
    succeeded = []

    def work() -> None:
        for _ in range(12):
            try:
                before = artifacts.read(tmp_path / "x")
                with artifacts.writing(tmp_path / "x", "sessions", {"number": 1}, made_from=before) as draft:
                    draft.about["count"] = before.about.get("count", 0) + 1
            except ArtifactError as e:  # between two renames there is none
                assert "another process changed" in str(e) or swap == "two renames"
            else:
                succeeded.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert artifacts.read(tmp_path / "x").about["count"] == len(succeeded) >= 12
    assert names(tmp_path) == ["x"]


def test_an_artifact_is_checked_while_another_writer_replaces_it(tmp_path: Path, swap: str) -> None:
    """Neither that the folder is missing for a moment, nor old files beside a new manifest, is taken for a fault."""
    folder, done = tmp_path / "x", threading.Event()
    write(folder, 0)

    def replace() -> None:
        try:
            for number in range(40):
                with artifacts.writing(folder, "model", {}) as draft:
                    for name in range(8):
                        draft.array(f"file{number % 2}{name}", np.zeros(1))
        finally:
            done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        while not done.is_set():
            artifacts.check_place(folder)
    finally:
        writer.join()
    (folder / "notes.txt").touch()
    with pytest.raises(ArtifactError, match=r"it contains other files \(notes.txt\)"):
        artifacts.check_place(folder)


def test_an_update_of_a_changed_artifact_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x", 1)
    before = artifacts.read(tmp_path / "x")
    write(tmp_path / "x", 2)
    with artifacts.writing(tmp_path / "y", "sessions", {}, made_from=before):
        pass
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link"):
        with (
            pytest.raises(ArtifactError, match="another process changed"),
            artifacts.writing(tmp_path / name, "sessions", {}, made_from=before),
        ):
            pass
    assert number_in(tmp_path / "x") == 2


def test_an_artifact_that_another_needs_must_be_unchanged(tmp_path: Path) -> None:
    write(tmp_path / "x", 1)
    needed = artifacts.read(tmp_path / "x")
    with artifacts.writing(tmp_path / "y", "sessions", {}, needs=[needed]):
        pass
    with (
        pytest.raises(ArtifactError, match="another process changed"),
        artifacts.writing(tmp_path / "z", "sessions", {}, needs=[needed]),
    ):
        write(tmp_path / "x", 2)
    assert not artifacts.is_same(needed) and artifacts.is_same(artifacts.read(tmp_path / "x"))
    assert (tmp_path / "y").exists() and not (tmp_path / "z").exists()


@pytest.mark.parametrize(("lockable", "left"), [("files", [".lock", "x"]), ("nothing", [".lock", "x"])])
def test_folders_that_cannot_be_locked_are_refused(
    lockable: str, left: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS locks files that are open for writing only, and some file systems lock nothing."""
    flock = file_lock.fcntl.flock

    def of_files(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) or lockable == "nothing":
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, how)

    monkeypatch.setattr(file_lock.fcntl, "flock", of_files)
    for number in (1, 2):
        write(tmp_path / "x", number)
        assert number_in(tmp_path / "x") == number
    assert names(tmp_path) == left


def test_an_artifact_can_be_written_inside_a_draft(tmp_path: Path) -> None:
    """The folder above it is locked by the same process."""
    with atomic.scratch_folder(tmp_path / "x") as folder:
        for number in (1, 2):
            write(folder / "y", number)
            assert number_in(folder / "y") == number


# ------------------------------------------------------------------------------------------- kills

WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
from embedrec.storage import artifacts, atomic

def write(folder, number):
    with artifacts.writing(folder, "model", {"number": number}) as draft:
        draft.array("a", np.full(3000, number))
        draft.array("b", np.full(3000, number))

place = Path(sys.argv[1])
if sys.argv[2] == "two renames":
    atomic.exchange_folders = lambda a, b: False
"""

LOOP = """
number = 0
while True:
    number += 1
    write(place, number)
    print("wrote", number, flush=True)
"""

BETWEEN = """
rename = Path.rename
def kill(self, target):
    done = rename(self, target)
    if target.suffix == ".old":
        os.kill(os.getpid(), signal.SIGKILL)
    return done
Path.rename = kill
write(place, 2)
"""


@pytest.mark.parametrize("how", ["exchange", "two renames"])
def test_killed_writers_leave_a_complete_artifact(how: str, tmp_path: Path) -> None:
    """Twenty kills in all, at moments that nobody chose, while one artifact after the other is written."""
    rng = random.Random(how)
    places = [tmp_path / str(i) / "x" for i in range(10)]
    for place in places:
        write(place, 0)
        writer = subprocess.Popen([sys.executable, "-c", WRITER + LOOP, place, how], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"wrote 1\n"
        time.sleep(rng.uniform(0, 0.05))
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        wrote = 1 + len(writer.stdout.readlines())
        writer.stdout.close()
        atomic.sweep(place.parent)
        assert names(place.parent) == ["x"]
        assert number_in(place) in (wrote, wrote + 1)


def test_the_next_writer_removes_drafts_of_dead_writers(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / f".{name}.{DEAD}-00000000.tmp").mkdir()
        (tmp_path / f".{name}.{DEAD}-00000001.tmp").write_text("half a file")
    write(tmp_path / "x", 1)
    assert names(tmp_path) == ["x"]
    (tmp_path / f".y.{DEAD}-00000001.tmp").write_text("half a file")
    with atomic.atomic_file(tmp_path / "y") as f:
        f.write("y")
    assert names(tmp_path) == ["x", "y"]


def test_a_scratch_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / f".x.{DEAD}-00000000.tmp").mkdir()
    with atomic.scratch_folder(tmp_path / "x") as folder:
        (folder / "file").write_text("moved")
        assert names(tmp_path) == [folder.name] and folder.name.startswith(".x.")
        write(tmp_path / "y", 1)  # which sweeps
        (folder / "file").rename(tmp_path / "file")
    with pytest.raises(KeyboardInterrupt), atomic.scratch_folder(tmp_path / "new" / "x") as folder:
        (folder / "file").write_text("half a file")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["file", "new", "y"] and names(tmp_path / "new") == []


def test_a_kill_between_the_two_renames_is_repaired(tmp_path: Path) -> None:
    write(tmp_path / "x", 1)
    killed = subprocess.run([sys.executable, "-c", WRITER + BETWEEN, tmp_path / "x", "two renames"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(n.rsplit(".", 1)[-1] for n in names(tmp_path)) == ["old", "tmp"]
    with pytest.raises(ArtifactError, match="is not an artifact"):
        artifacts.read(tmp_path / "x")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["x"]
    assert number_in(tmp_path / "x") == 1


def test_a_draft_removed_before_it_is_locked_is_created_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making a folder and locking it, another process may take it for one that was left."""
    calls = []

    def late(descriptor: int, *, wait: bool = False) -> Lock:
        if not calls:
            calls.append(1)
            assert atomic.sweep(tmp_path) == []
            assert names(tmp_path) == []
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(atomic, "lock", late)
    write(tmp_path / "x", 1)
    assert calls and names(tmp_path) == ["x"] and number_in(tmp_path / "x") == 1


def test_drafts_are_kept_on_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that may live is removed; an old artifact is put back where its writer is dead here."""

    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    left = [tmp_path / f".x.{DEAD}-00000000.tmp", tmp_path / f".x.{DEAD}-00000001.unlocked"]
    for path in left:
        path.mkdir()
    assert atomic.sweep(tmp_path) == left
    with atomic.scratch_folder(tmp_path / "y") as folder:
        assert folder.name.endswith(".unlocked") and folder.is_dir()
        assert atomic.sweep(tmp_path) == [*left, folder]
    monkeypatch.setattr(atomic, "exchange_folders", lambda a, b: False)
    write(tmp_path / "x", 1)
    write(tmp_path / "x", 2)
    assert number_in(tmp_path / "x") == 2 and names(tmp_path) == [".lock", *(path.name for path in left), "x"]
    (tmp_path / "x").rename(tmp_path / f".x.{DEAD}-00000002.old")
    assert atomic.sweep(tmp_path) == left and number_in(tmp_path / "x") == 2


def test_sweep_restores_one_old_artifact(tmp_path: Path) -> None:
    for i in range(2):
        write(tmp_path / "x", i)
        (tmp_path / "x").rename(tmp_path / f".x.{DEAD}-0000000{i}.old")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["x"]
    (tmp_path / "x").rename(tmp_path / f".x.{DEAD}-00000000.old")
    write(tmp_path / "x", 9)
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["x"]
    assert number_in(tmp_path / "x") == 9
    atomic.sweep(tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------- a full disk


def saver(kind: str, n: int) -> Callable[[Path], None]:
    """What writes an artifact of n items."""
    sessions = of_lists([[f"i{r}" for r in range(n)]])
    if kind == "sessions":
        return lambda place: sessions.save(place, {"n": n})
    if kind == "model":
        model = Popular().fit(sessions)
        return lambda place: save_model(model, place, {"n": n})
    index = build_index(some_embeddings(n, 2), "flat")
    return lambda place: save_index(index, place, {"n": n})


@pytest.mark.parametrize("kind", ["sessions", "model", "index"])
def test_a_full_disk_keeps_the_old_artifact(kind: str, tmp_path: Path) -> None:
    place, save = tmp_path / "x", saver(kind, 1000)
    saver(kind, 5)(place)
    with small_disk(), pytest.raises(OSError, match="File too large"):
        save(place)
    assert names(tmp_path) == ["x"]
    artifact = artifacts.read(place, kind)
    artifact.check()
    assert artifact.about["n"] == 5
    {"sessions": Sessions.load, "model": load_model, "index": load_index}[kind](artifact)


def test_every_failed_write_of_an_array_is_an_error() -> None:
    """numpy.save does not: what fits into its own buffer is lost without a word."""
    for size in (1, 100, 100_000):
        with pytest.raises(OSError, match="No space left on device"), Path("/dev/full").open("wb") as f:
            artifacts.write_array(f, np.arange(size))


def test_arrays_are_written_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "BLOCK_BYTES", 7)
    array = np.arange(30.0).reshape(5, 6)
    with (tmp_path / "x.npy").open("wb") as f:
        artifacts.write_array(f, array)
    np.save(tmp_path / "y.npy", array)
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "y.npy").read_bytes()


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.float32([1, -0.0]), np.array(5), np.arange(10)[::2]]
)
def test_arrays_equal_those_of_numpy_save(array: np.ndarray, tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as f:
        artifacts.write_array(f, read_only(array))
    back = np.load(tmp_path / "a.npy")
    assert back.dtype == array.dtype and back.tolist() == array.tolist()
    assert back.flags.c_contiguous


def test_every_failed_write_of_an_index_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAISS writes through its own buffer, and only says on stderr that closing the file failed."""
    index = build_index(some_embeddings(5, 2), "flat")
    monkeypatch.setattr(
        artifacts.Draft, "path", lambda self, name: Path("/dev/full") if "faiss" in name else self.folder / name
    )
    with pytest.raises(OSError, match="No space left on device"):
        save_index(index, tmp_path / "x", {})
    assert names(tmp_path) == []


# ------------------------------------------------------------------------------------------- readers


def test_an_artifact_replaced_while_it_is_read_is_old_or_an_error(tmp_path: Path, swap: str) -> None:
    """Whoever opened the old one gets the old, or is told; never some files of each."""
    embeddings = some_embeddings(5, 2)
    place = tmp_path / "x"
    save_index(build_index(embeddings, "flat"), place, {})
    opened = artifacts.read(place)
    arrays = {name: opened.path(name) for name in opened.files}  # checked already
    assert len(arrays) == 3
    loaded = load_index(opened)
    before = loaded.search(embeddings.vectors, 3)
    save_index(build_index(some_embeddings(5, 2, seed=1), "flat"), place, {})
    with pytest.raises(ArtifactError, match="was replaced while it was read; try again"):
        load_index(opened)
    after = loaded.search(embeddings.vectors, 3)  # what was loaded stays what it was
    assert (before.rows == after.rows).all() and (before.scores == after.scores).all()
    with pytest.raises(ArtifactError):
        artifacts.read(tmp_path / "nowhere")


def test_readers_see_complete_artifacts_while_one_writes(tmp_path: Path, swap: str) -> None:
    """Sessions of one letter each: a mixture would not load, or hold two letters."""
    place, done, failed = tmp_path / "x", threading.Event(), []
    variants = [of_lists([[letter] * 2] * (3 + i)) for i, letter in enumerate("ab")]
    variants[0].save(place, {})

    def read() -> None:
        while not done.is_set():
            try:
                sessions = Sessions.load(artifacts.read(place))
                if len(sessions) != 3 + "ab".index(sessions.vocab.ids[0]):
                    failed.append(len(sessions))
            except ArtifactError as e:
                if "replaced" not in str(e) and "is not an artifact" not in str(e):
                    failed.append(e)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for i in range(40):
        variants[i % 2].save(place, {})
    done.set()
    for reader in readers:
        reader.join()
    assert failed == []


# ------------------------------------------------------------------------------------------- single files


def test_the_command_line_reports_a_full_disk_in_one_sentence(tmp_path: Path) -> None:
    save_model(Popular().fit(of_lists([["a", "b"]])), tmp_path / "models" / "x", {"seconds": 0.0})
    (tmp_path / "v.txt").write_text("".join(f"i{i} {i} 1\n" for i in range(2000)))
    ran = subprocess.run(
        [sys.executable, "-m", "embedrec", "vectors", "import", "v.txt", "--name", "x"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("embedrec: operating system error: ") and ran.stderr.count("\n") == 1
    assert names(tmp_path / "models") == ["x"]
    assert load_model(artifacts.read(tmp_path / "models" / "x")).vocab.ids.tolist() == ["a", "b"]


# ---------------------------------------------------------------------------------------------- paths for artifacts


def test_artifacts_are_opened_by_path_string_or_object(tmp_path: Path) -> None:
    sessions = of_lists([["a", "b"], ["b", "c"]])
    model = Popular().fit(sessions)
    save_model(model, str(tmp_path / "m"), {})
    with artifacts.writing(tmp_path / "s", "sessions", {}) as draft:
        sessions.write(draft)
    save_index(build_index(some_embeddings(20, 4), "flat"), str(tmp_path / "i"), {})
    for given in (tmp_path / "m", str(tmp_path / "m"), artifacts.read(tmp_path / "m")):
        assert load_model(given).vocab.ids.tolist() == ["a", "b", "c"]
    for given in (tmp_path / "s", str(tmp_path / "s"), artifacts.read(tmp_path / "s")):
        assert Sessions.load(given).vocab.ids.tolist() == ["a", "b", "c"]
        assert HeldOut.load(given) is None
    for given in (tmp_path / "i", str(tmp_path / "i"), artifacts.read(tmp_path / "i")):
        assert len(load_index(given)) == 20
    assert Workspace(str(tmp_path)).root == tmp_path  # type: ignore[arg-type]


@pytest.mark.parametrize("load", [load_model, load_index, Sessions.load, HeldOut.load])
def test_an_artifact_of_another_kind_is_refused(tmp_path: Path, load: Callable[..., Any]) -> None:
    with artifacts.writing(tmp_path / "x", "other", {}):
        pass
    for given in (str(tmp_path / "x"), artifacts.read(tmp_path / "x")):
        with pytest.raises(
            ArtifactError, match=r"x is of kind other, but an artifact of kind (model|index|sessions) is needed"
        ):
            load(given)
    with pytest.raises(ArtifactError, match="is not an artifact of embedrec"):
        load(str(tmp_path / "nothing"))


def test_files_of_another_artifact_are_taken_over_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x", 1)
    x = artifacts.read(tmp_path / "x")
    monkeypatch.setattr(artifacts, "sha256", lambda path: pytest.fail(f"{path} was read"))
    with artifacts.writing(tmp_path / "y", "model", x.about) as draft:
        for name in x.files:
            draft.link(x, name)
    monkeypatch.undo()
    y = artifacts.read(tmp_path / "y")
    assert (y.files, y.fingerprint) == (x.files, x.fingerprint) and number_in(y.folder) == 1
    assert (y.folder / "a.npy").samefile(x.folder / "a.npy")
    (x.folder / "b.npy").unlink()
    (x.folder / "b.npy").write_bytes(b"short")
    for name, message in (("b.npy", "is damaged .it is no file of"), ("c.npy", "is missing")):
        x.files.setdefault("c.npy", x.files["a.npy"])
        with pytest.raises(ArtifactError, match=message), artifacts.writing(tmp_path / "z", "model", {}) as draft:
            draft.link(x, name)
    assert number_in(y.folder) == 1


def test_what_is_derived_from_an_artifact_is_no_foreign_file(tmp_path: Path) -> None:
    write(tmp_path / "x", 1)
    (tmp_path / "x" / artifacts.DERIVED).mkdir()
    artifacts.read(tmp_path / "x").check()
    write(tmp_path / "x", 2)
    assert number_in(tmp_path / "x") == 2 and not (tmp_path / "x" / artifacts.DERIVED).exists()
