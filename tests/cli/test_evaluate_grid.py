"""`evaluate --grid`: exactly what it prints and writes, that it resumes, and how it fails."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from embedrec.cli.shared.progress_bar import Progress
from embedrec.evaluation import neighbour_grid
from embedrec.storage import artifacts
from tests.cli.conftest import Run, fails, succeed

# the first two sessions of each user train, the third is held out
LISTS = {"u": ["abc", "abd", "abc"], "v": ["bd", "adb", "bda"], "w": ["ca", "ab", "cax"]}
GRID = ("evaluate", "sscf", "--grid", "--split", "user-share:share=.5")
SMALL = (*GRID, "--neighbours", "3,1", "--at", "2,1")


@pytest.fixture
def plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """The current folder, a workspace with nine sessions of three users, without times."""
    monkeypatch.chdir(tmp_path)
    rows = ["session,user,item"]
    for user, lists in LISTS.items():
        rows += [f"{user}{s},{user},{item}" for s, items in enumerate(lists) for item in items]
    (tmp_path / "plays.csv").write_text("\n".join(rows) + "\n")
    succeed(run, "prepare", "table", "plays.csv", "--user", "user")
    return tmp_path


NOTES = """\
using sessions plays (sessions/plays)
split user-share:share=0.5: 6 training sessions, 3 in the test part
leak check: all 4 items of the training vocabulary are in training sessions
leak check: none of the 3 held-out sessions has the id of a training session
leak check: 1 of 3 held-out sessions of 3 items or more equal a training session item by item
leak check: there are no times, so the order of training and held-out events was not checked
protocol next: the next item after every prefix of every held-out session; 6 test cases
all 4 items ranked; ties conservative; seen items removed; unknown targets count as misses
"""
EXPANDED = "sub-sessions: 6 training sessions became 9 rows of 21 events\n"
TRAINED = "model sscf: trained now on the training part\n"
WROTE = "wrote grid plays-sscf (grids/plays-sscf): grid.csv, grid.svg\n"
# The rows are ab abc ab abd bd ad adb ca ab; where two are equally near, the later one is the nearer. The questions:
#   a → b  the nearest is ab: b first; the three nearest are ab ca ad: b and c and d are equal, b is the last of them
#   ab → c  the nearest three are ab ab ab, and hold nothing else
#   b → d  the nearest is ab: nothing; the three are ab bd ab: a before d
#   bd → a  the nearest is bd: nothing; the three are bd adb abd: a
#   c → a  the nearest is ca: a; the three are ca abc: a is first
#   ca → x  is not known
TABLE = """\
1\t1\t0.3333\t0.3333
1\t2\t0.3333\t0.3333
3\t1\t0.3333\t0.3333
3\t2\t0.5000\t0.4167
"""


def test_cells_are_tab_separated_in_a_pipe(run: Run, plays: Path) -> None:
    result = succeed(run, *SMALL)
    assert result.out == TABLE
    assert result.err == NOTES + EXPANDED + TRAINED + WROTE


def test_the_table_the_plot_and_the_manifest_are_written(run: Run, plays: Path) -> None:
    printed = succeed(run, *SMALL, "--json")
    folder = plays / "grids" / "plays-sscf"
    assert sorted(f.name for f in folder.iterdir()) == ["grid.csv", "grid.svg", "manifest.json"]
    assert [f.name for f in folder.parent.iterdir()] == ["plays-sscf"]  # finished parts are gone
    lines = [json.loads(line) for line in printed.out.splitlines()]
    with (folder / "grid.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["neighbours", "k", "hit_rate", "mrr"]
    assert [{key: float(row[key]) for key in row} for row in rows] == [
        {key: line[key] for key in rows[0]} for line in lines
    ]
    result = artifacts.read(folder, "grid")
    result.check()
    seconds = [line.pop("seconds") for line in lines]
    record = {key: value for key, value in lines[0].items() if key not in rows[0]}
    assert record == {
        "model": "sscf", "origin": "trained now on the training part", "sessions": "plays",
        "split": "user-share:share=0.5", "part": "test", "protocol": "next", "ties": "conservative", "seen": "removed",
        "unknown": "miss", "train_sessions": 6, "train_events": 15, "catalogue": 4, "test_sessions": 3,
        "source": artifacts.read(plays / "sessions" / "plays").fingerprint, "sub_sessions": True, "rows": 9,
        "questions": 6,
    }  # fmt: skip
    assert (
        result.about["seconds"] == seconds[0] and result.about["neighbours"] == [1, 3] and result.about["at"] == [1, 2]
    )
    assert result.about["settings"]["center"] == "all" and result.about["seed"] == 0
    plot = (folder / "grid.svg").read_text()
    assert plot.startswith("<?xml") and plot.rstrip().endswith("</svg>")
    elsewhere = succeed(run, *SMALL, "--out", "results/first")
    assert elsewhere.out == TABLE
    assert elsewhere.err.endswith("wrote grid first (results/first): grid.csv, grid.svg\n")
    assert (plays / "results" / "first" / "grid.csv").read_text() == (folder / "grid.csv").read_text()


@pytest.mark.parametrize("model", ["sscf", "vsknn", "mine"])
def test_cells_equal_the_metrics_of_evaluate(model: str, run: Run, plays: Path) -> None:
    succeed(run, "train", "vmis", "--name", "mine", "--set", "last_items=1")
    options = ("--split", "random:share=.4", "--at", "1,2,3", "--ties", "median", "--seen", "keep", "--json")
    result = succeed(run, "evaluate", model, "--grid", "--whole-sessions", *options, "--neighbours", "1,2,5")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [(line["neighbours"], line["k"]) for line in lines] == [(n, k) for n in (1, 2, 5) for k in (1, 2, 3)]
    for line in lines:
        given = ("--set", f"neighbours={line['neighbours']}", "--draws", 0)
        evaluated = json.loads(succeed(run, "evaluate", model, *options, *given).out)
        assert (line["hit_rate"], line["mrr"]) == (evaluated[f"hit_rate@{line['k']}"], evaluated[f"mrr@{line['k']}"])
    assert "sub-sessions: " not in result.err


def test_the_grid_of_the_article_is_the_default(run: Run, playlists: Path, tmp_path: Path) -> None:
    succeed(run, "prepare", "mpd", playlists, "--workspace", tmp_path)
    result = succeed(run, "evaluate", "sscf", "--grid", "--split", "random", "--workspace", tmp_path)
    assert [row[:2] for row in result.rows] == [
        [str(n), str(k)] for n in (10, 25, 50, 75, 100, 125, 150) for k in (10, 20, 30, 40, 50)
    ]
    assert all(0 < float(mrr) < float(hit_rate) < 1 for _, _, hit_rate, mrr in result.rows)


# ------------------------------------------------------------------------------------------- ended and resumed


def test_an_interrupted_grid_resumes(run: Run, plays: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour_grid, "BLOCK_CASES", 1)
    options = (*SMALL, "--threads", 1)
    events: list[int] = []

    def interrupt(self: Progress, event: str, **numbers: Any) -> None:
        events.append(numbers["done"])
        if len(events) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "__call__", interrupt)
        result = run(*options)
    assert (result.code, result.out) == (130, "")
    assert not (plays / "grids" / "plays-sscf").exists()
    other = succeed(run, *options, "--ties", "standard", "--out", "other")
    assert "resumed" not in other.err and other.out != TABLE
    (folder,) = (plays / "grids" / ".parts").iterdir()
    assert sorted(f.name for f in folder.iterdir()) == [f"{q}-{q + 1}.part" for q in range(4)]
    (folder / "1-2.part").write_bytes(b"torn")
    result = succeed(run, *options)
    assert result.out == TABLE
    resumed = "resumed: 3 of 6 test cases were evaluated before\n"
    assert result.err == NOTES + EXPANDED + TRAINED + resumed + WROTE
    assert not (plays / "grids" / ".parts").exists()
    assert succeed(run, *options).err == NOTES + EXPANDED + TRAINED + WROTE


# ---------------------------------------------------------------------------------------------------- mistakes


def test_missing_matplotlib_is_an_error_before_training(run: Run, plays: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(*SMALL)
    message = "embedrec: the plot needs the package matplotlib; install it with `pip install 'embedrec[plots]'`\n"
    assert (result.code, result.out, result.err) == (1, "", message)  # before anything is split or trained
    assert not (plays / "grids").exists()
    succeed(run, "evaluate", "sscf", "--at", "2")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            "sscf --grid --neighbours 0,5",
            "numbers of neighbours must be positive integers, such as 5,10,20, not",
        ),
        ("sscf --grid --at x", "lengths of lists must be positive integers, such as 5,10,20, not 'x'"),
        (
            "sscf --grid --set neighbours=5",
            "--grid takes the numbers of neighbours from --neighbours; leave out --set",
        ),
        ("sscf --grid --protocol similar", "--grid evaluates next items; leave out --protocol similar"),
        ("sscf --grid --by length", "--grid measures hit rate and MRR of exact search only; leave out --by"),
        ("sscf --grid --save-run r", "--grid measures hit rate and MRR of exact search only; leave out --save-run"),
        ("sscf --grid --draws 5", "--grid measures hit rate and MRR of exact search only; leave out --draws"),
        ("sscf --neighbours 5", "--neighbours needs --grid; leave out --neighbours"),
        (
            "sscf --whole-sessions",
            "--sub-sessions/--whole-sessions needs --grid; leave out --sub-sessions/--whole-sessions",
        ),
        ("sscf --out x", "--out needs --grid; leave out --out"),
        ("--grid", "give either MODEL or --run"),
        ("--run r --grid", "--grid has no effect on a saved run; leave it out"),
        ("--run r --set days=3", "--set has no effect on a saved run; leave it out"),
    ],
)
def test_options_that_exclude_each_other_are_refused(args: str, message: str, run: Run, plays: Path) -> None:
    assert message in fails(run, "evaluate", *args.split(), code=2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("ssfc", "no model is called 'ssfc'; did you mean 'sscf'"),
        ("popular", "a grid needs a session-kNN model; popular is not one; choose from sknn, vsknn, stan, "),
        ("counted", "a grid needs a session-kNN model; counted is not one; choose from sknn, vsknn, stan, "),
        ("sscf --set centre=all", "unknown setting 'centre' in --set; did you mean 'center'?"),
        ("sscf", "lists of 50 are longer than the catalogue of 4 items; use shorter ones"),
        (
            "wsknn --set recommend_any=true --at 2",
            "wsknn fills its lists with random items, so its results have no rank",
        ),
        ("sscf --out plays.csv", "plays.csv is a file; move it away or choose another name"),
        (
            "sscf --out sessions",
            "sessions is not an artifact: it contains other files (plays); move it away or choose another",
        ),
        ("sscf --sessions play", "no sessions artifact is called 'play' in sessions; did you mean 'plays'?"),
    ],
)
def test_invalid_requests_are_refused(args: str, message: str, run: Run, plays: Path) -> None:
    succeed(run, "train", "popular", "--name", "counted")
    name, *options = args.split()
    lengths = () if "--at" in args or args == "sscf" else ("--at", "2")
    error = fails(run, "evaluate", name, "--grid", "--split", "user-share:share=.5", *options, *lengths)
    assert error.startswith(message)
    assert not (plays / "grids" / "plays-sscf").exists()
