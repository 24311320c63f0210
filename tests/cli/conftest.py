"""The command line, run in this process, and workspaces to run it on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedrec.cli.main import main
from embedrec.datasets.synthetic import World, make_world, write_mpd
from embedrec.index import autotune, measure
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from tests.cli.evaluation_cases import CLICK_LISTS, SPLIT_NOTES
from tests.cli.experiment_cases import EXPERIMENT, EXPERIMENT_LISTS
from tests.conftest import some_embeddings
from tests.publish.conftest import postgres, postgres_url, redis, redis_url  # noqa: F401


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """stdout as a table of TAB separated cells."""
        return [line.split("\t") for line in self.out.splitlines()]


Run = Callable[..., CommandResult]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, as `run("similar", "a")`: its exit code, stdout and stderr."""

    def run(*args: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["embedrec", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as error:
            main()
        message = capsys.readouterr()
        assert isinstance(error.value.code, int)
        return CommandResult(error.value.code, message.out, message.err)

    return run


def succeed(run: Run, *args: object) -> CommandResult:
    """The result of a command that must succeed."""
    result = run(*args)
    assert result.code == 0, result.err
    return result


def fails(run: Run, *args: object, code: int = 1) -> str:
    """The error message of a command that must fail, without "embedrec: "; stdout must be empty."""
    result = run(*args)
    assert result.code == code, result.out + result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    return result.err.splitlines()[-1].removeprefix("embedrec: ")


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
    """A workspace of six vectors named by their directions, in a flat index."""
    (tmp_path / "compass.txt").write_text(VECTORS)
    succeed(run, "vectors", "import", tmp_path / "compass.txt", "--workspace", tmp_path)
    succeed(run, "build-index", "--type", "flat", "--workspace", tmp_path)
    return tmp_path


LOG = "session,item\n" + "".join(f"{s},{i}\n" for s, items in enumerate(["abc", "abc", "abd", "de"]) for i in items)


@pytest.fixture
def counted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, and the current folder, of four sessions and the counts of their pairs."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    succeed(run, "prepare", "table", "log.csv")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    return tmp_path


@pytest.fixture
def damaged_model(counted: Path) -> Path:
    """`counted`, and beside its model the model `torn`, whose manifest is damaged and which sorts last."""
    shutil.copytree("models/cooccurrence", "models/torn")
    Path("models/torn/manifest.json").write_text("{")
    return counted


@pytest.fixture
def clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """A workspace, and the current folder, of twelve sessions with an event a minute."""
    monkeypatch.chdir(tmp_path)
    rows, minute = ["session,item,time"], 0
    for s, items in enumerate(CLICK_LISTS):
        for item in items:
            rows.append(f"s{s},{item},2024-05-01T00:{minute:02}:00")
            minute += 1
    (tmp_path / "clicks.csv").write_text("\n".join(rows) + "\n")
    succeed(run, "prepare", "table", "clicks.csv")
    return tmp_path


@pytest.fixture
def split(clicks: Path, run: Run) -> Path:
    """`clicks` with the last sessions held out: b → a, ba → d, and so on."""
    result = succeed(run, "split", "time:share=.25")
    assert result.out == "9\t4\t25\t3\t9\n"
    assert result.err == SPLIT_NOTES + "wrote sessions clicks-time (sessions/clicks-time)\n"
    return clicks


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder with study.toml and a folder of data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    rows = [f"{s},{item}" for s, items in enumerate(EXPERIMENT_LISTS) for item in items]
    (tmp_path / "data" / "plays.csv").write_text("\n".join(["session,item", *rows]) + "\n")
    (tmp_path / "study.toml").write_text(EXPERIMENT)
    return tmp_path


SHOP_LISTS = ["abc", "abd", "cab", "xy", "yx", "xyz"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """A workspace, and the current folder, of six sessions (an event an hour) and a model of sequential rules."""
    monkeypatch.chdir(tmp_path)
    rows = ["session,item,item_name,time"]
    for s, items in enumerate(SHOP_LISTS):
        rows += [f"s{s},{i},The {i.upper()},2024-05-0{s + 1}T{h:02}:00:00" for h, i in enumerate(items)]
    (tmp_path / "shop.csv").write_text("\n".join(rows) + "\n")
    succeed(run, "prepare", "table", "shop.csv")
    succeed(run, "train", "sr")
    return tmp_path


@pytest.fixture
def shop_vectors(shop: Path, run: Run) -> Path:
    """`shop` with a model of vectors, trained last."""
    settings = ["dim=4", "epochs=60", "min_count=1", "sample=0"]
    succeed(run, "train", "word2vec", *(word for s in settings for word in ("--set", s)), "--threads", 1)
    return shop


@pytest.fixture
def vectors_700(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """A workspace, and the current folder, with a model of 700 vectors, which are enough to tune an index."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(autotune, "MAX_EXACT", 300)
    monkeypatch.setattr(autotune, "MAX_VISITED", 0)
    monkeypatch.setattr(measure, "SINGLE_QUERIES", 20)
    embeddings = some_embeddings(700, 8)
    save_vectors(embeddings, tmp_path / "v.parquet")
    succeed(run, "vectors", "import", "v.parquet")
    return embeddings


BIG_LOG = "session,item\n" + "".join(
    f"{s},{i}\n" for s, items in enumerate(["abc", "abc", "abd", "de", "ace"]) for i in items
)
SMALL_LOG = "session,item\n" + "".join(f"{s},{i}\n" for s, items in enumerate(["xy", "xyz", "yz"]) for i in items)
SVD = ("svd", "--set", "dim=2", "--set", "min_count=1")


@pytest.fixture
def two_logs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of a large data set with a model and an index, and a second, small one with counts only."""
    monkeypatch.chdir(tmp_path)
    Path("big.csv").write_text(BIG_LOG)
    Path("small.csv").write_text(SMALL_LOG)
    succeed(run, "prepare", "table", "big.csv")
    succeed(run, "train", *SVD)
    succeed(run, "build-index", "--type", "flat")
    succeed(run, "prepare", "table", "small.csv")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
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
