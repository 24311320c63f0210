"""`embedrec items`, and items of one name in other commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedrec.data import Vocab
from embedrec.workflows.items import Catalogue, search_catalogue
from tests.cli.conftest import Run, succeed

LOG = """session,item
1,t1
1,t2
2,t1
2,t3
3,t4
3,t1
4,t2
4,t5
"""
TRACKS = """item,title,artist,year,genre
t1,Dream Run,Scissor Sisters,2004,pop
t2,Dream Run,Röyksopp,2001,electronic
t3,Dream Run,,,
t4,Jóga,Björk,1997,pop
t5,Running,No Doubt,2003,rock
"""


@pytest.fixture
def tracks(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    Path("tracks.csv").write_text(TRACKS.replace("title", "name"))
    succeed(run, "prepare", "table", "log.csv", "--item-features", "tracks.csv")
    succeed(run, "train", "cooccurrence")
    succeed(run, "train", "sknn")
    return tmp_path


def test_ambiguous_names_list_their_items(run: Run, tracks: Path) -> None:
    message = "'Dream Run' may mean 3 items (t1 (Dream Run; artist=Scissor Sisters"
    for command in (("similar",), ("recommend", "--model", "sknn"), ("neighbours", "--model", "sknn")):
        result = run(*command, "Dream Run")
        assert result.code == 1 and message in result.err and "t2 (Dream Run; artist=Röyksopp" in result.err, result.err
        assert "year=2004" in result.err and "t3 (Dream Run)" in result.err


def test_items_are_found_by_parts_of_names(run: Run, tracks: Path) -> None:
    result = succeed(run, "items", "DREAM")
    assert [row[:3] for row in result.rows] == [
        ["t1", "Dream Run", "3"],
        ["t2", "Dream Run", "2"],
        ["t3", "Dream Run", "1"],
    ]
    assert "artist=Scissor Sisters" in result.rows[0][3] and "year=2004" in result.rows[0][3]
    assert [row[0] for row in succeed(run, "items", "joga").rows] == ["t4"]
    assert [row[0] for row in succeed(run, "items", "t5").rows] == ["t5"]
    result = succeed(run, "items", "run", "-n", 1)
    assert len(result.rows) == 1 and "showing 1 of 4 items; -n shows more" in result.err
    record = json.loads(succeed(run, "items", "Running", "--json").out)
    assert (record["item"], record["count"], record["features"]["artist"], record["features"]["year"]) == (
        "t5",
        1,
        "No Doubt",
        2003,
    )
    assert [row[0] for row in succeed(run, "items", "Running", "--model", "cooccurrence").rows] == ["t5"]


def test_items_are_found_despite_typos(run: Run, tracks: Path) -> None:
    for query, result in (("Draem", ["t1", "t2", "t3"]), ("runing", ["t5"]), ("dreem run", ["t1", "t2", "t3"])):
        printed = succeed(run, "items", query)
        assert [row[0] for row in printed.rows] == result, query
        assert f"no item contains {query!r}; similar items follow" in printed.err
    printed = run("items", "xyzzy")
    assert (printed.code, printed.out) == (1, "") and "no item matches 'xyzzy' among the 5" in printed.err
    assert run("items", "a", "--model", "cooccurrence", "--sessions", "log").code == 2


def test_exact_matches_of_integer_ids_are_first() -> None:
    assert search_catalogue(Catalogue(Vocab([10, 1, 210])), "10").rows.tolist() == [0, 2]
