"""The command line, run in this process, and workspaces to run it on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedrec.cli.main import main
from embedrec.datasets.synthetic import World, make_world, write_mpd
from tests.publish.conftest import postgres, postgres_url, redis, redis_url  # noqa: F401


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """stdout as a table of TAB separated cells."""
        return [line.split("\t") for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("similar", "a")` as the shell would: exit code, stdout, stderr."""

    def run(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["embedrec", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, said.out, said.err)

    return run


def walked(run: Run, *args: object) -> Ran:
    """A command that must succeed."""
    ran = run(*args)
    assert ran.code == 0, ran.err
    return ran


VECTORS = """\
6 2
north 0 1
north-east 0.6 0.8
east 1 0
south-east 0.8 -0.6
south 0 -1
west -1 0
"""


@pytest.fixture
def compass(tmp_path: Path, run: Run) -> Path:
    """A workspace of six vectors whose neighbours can be read off a compass, in a flat index."""
    (tmp_path / "compass.txt").write_text(VECTORS)
    walked(run, "vectors", "import", tmp_path / "compass.txt", "--workspace", tmp_path)
    walked(run, "build-index", "--type", "flat", "--workspace", tmp_path)
    return tmp_path


LOG = "session,item\n" + "".join(f"{s},{i}\n" for s, items in enumerate(["abc", "abc", "abd", "de"]) for i in items)


@pytest.fixture
def counted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, and the current folder, of four sessions and the counts of their pairs."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    walked(run, "prepare", "table", "log.csv")
    walked(run, "train", "cooccurrence", "--set", "measure=raw")
    return tmp_path


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(seed=3, genres=5, artists_per_genre=12, playlists=400)


@pytest.fixture(scope="session")
def playlists(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of playlist files of a small generated world."""
    folder = tmp_path_factory.mktemp("mpd")
    write_mpd(world, folder)
    return folder
