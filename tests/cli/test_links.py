"""Symbolic links in a workspace: commands write no file outside it and empty no other folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import SettingsError
from embedrec.storage import checksum_cache
from embedrec.storage.workspace import Workspace
from tests.cli.conftest import LOG, Run, succeed

STUDY = """\
[prepare]
source = "table"
paths = ["{data}/log.csv"]
[[train]]
model = "cooccurrence"
[[export]]
model = "cooccurrence"
file = "out/x.txt"
n = 2
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder beside the workspace `tmp_path / "ws"`, with a file that commands must not change."""
    (tmp_path / "ws").mkdir()
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    return tmp_path / "elsewhere"


def run_experiment(run: Run, elsewhere: Path) -> str:
    folder = elsewhere.parent
    result = run("run", folder / "study.toml", "--data", folder, "--workspace", folder / "ws", "--threads", 1)
    assert {f.name: f.read_text() for f in elsewhere.iterdir()} == {"mine": "mine"}
    assert (result.code == 0) == ("embedrec: " not in result.err)
    return result.err.splitlines()[-1]


@pytest.mark.parametrize("link", ["out", "out/x.txt", "studies", "studies/study", "circle"])
def test_output_of_an_experiment_stays_in_the_workspace(link: str, run: Run, elsewhere: Path) -> None:
    path = elsewhere.parent / "ws" / ("out" if link == "circle" else link)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to({"out/x.txt": elsewhere / "mine", "circle": path}.get(link, elsewhere))
    message = run_experiment(run, elsewhere)
    assert message.startswith("embedrec: ") and "remove the link or choose another path" in message


@pytest.mark.parametrize("name", [".lock", "steps"])
def test_records_of_an_experiment_follow_no_link(name: str, run: Run, elsewhere: Path) -> None:
    """The lock file and the step records of an experiment."""
    assert not run_experiment(run, elsewhere).startswith("embedrec: ")
    folder = elsewhere.parent / "ws" / "studies" / "study"
    for file in [folder / ".lock"] if name == ".lock" else list((folder / "steps").iterdir()):
        file.unlink()
        file.symlink_to(elsewhere / "mine")
    message = run_experiment(run, elsewhere)
    if name == ".lock":
        assert message.startswith("embedrec: ")
    else:
        assert all(file.is_file() and not file.is_symlink() for file in (folder / "steps").iterdir())


def test_an_unfinished_export_follows_no_link(run: Run, counted: Path) -> None:
    """The folder of an unfinished export is emptied before it is used."""
    (counted / "mine").mkdir()
    (counted / "mine" / "file").write_text("mine")
    (counted / ".x.txt.work").symlink_to("mine")
    result = run("export", "x.txt", "-n", "2")
    assert (
        result.code == 1 and ".x.txt.work is a link, but exports store unfinished work there; remove it" in result.err
    )
    assert (counted / "mine" / "file").read_text() == "mine"
    (counted / ".x.txt.work").unlink()
    (counted / ".x.txt.work").mkdir()
    (counted / ".x.txt.work" / "lock").symlink_to("../mine/file")
    assert run("export", "x.txt", "-n", "2").code == 1
    assert (counted / "mine" / "file").read_text() == "mine"
    (counted / ".x.txt.work" / "lock").unlink()
    assert succeed(run, "export", "x.txt", "-n", "2").out == ""
    assert (counted / "x.txt").is_file()


def test_the_checksum_cache_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "vectors.npy").write_text("vectors")
    (tmp_path / "mine").write_text("mine")
    monkeypatch.setattr(checksum_cache, "SETTLED_NANOSECONDS", -(2**62))
    states = {"vectors.npy": checksum_cache.state(tmp_path / "x" / "vectors.npy")}
    (tmp_path / "x" / checksum_cache.FILE).symlink_to(tmp_path / "mine")
    checksum_cache.remember(tmp_path / "x", "digest", "check", states)
    assert (tmp_path / "mine").read_text() == "mine"
    (tmp_path / "x" / checksum_cache.FILE).unlink()
    checksum_cache.remember(tmp_path / "x", "digest", "check", states)
    assert checksum_cache.known(tmp_path / "x", "digest", "check", ["vectors.npy"])


def test_tuning_and_grids_stay_in_the_workspace(
    run: Run, counted: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("away")
    for folder in ("tuning", "grids"):
        Path(folder).symlink_to(outside)
    words = ["--sessions", "log", "--split", "last-item", "--at", "2"]
    for result in (
        run("tune", "sr", "--trials", "1", *words),
        run("evaluate", "sknn", *words, "--grid", "--neighbours", "2"),
    ):
        assert result.code == 1 and "is a link to " in result.err
    assert list(outside.iterdir()) == []


def test_only_paths_inside_the_workspace_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "ws" / "in").mkdir(parents=True)
    (tmp_path / "ws" / "also").symlink_to("in")
    (tmp_path / "ws" / "up").symlink_to("..")
    (tmp_path / "name").symlink_to("ws")
    for root in ("ws", "name"):
        workspace = Workspace(tmp_path / root)
        for inside in ("a/b", "in/b", "also/b"):
            assert workspace.inside(workspace.root / inside) == workspace.root / inside
        with pytest.raises(SettingsError, match="outside the workspace"):
            workspace.inside(workspace.root / "up" / "b")
