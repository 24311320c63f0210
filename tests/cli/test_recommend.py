"""`recommend` and `neighbours`: exactly what they print, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, walked
from tests.cli.test_bad_input import fails

LISTS = ["abc", "abd", "cab", "xy", "yx", "xyz"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """The current folder, a workspace with six sessions (an event an hour) and a model of rules."""
    monkeypatch.chdir(tmp_path)
    rows = ["session,item,item_name,time"]
    for s, items in enumerate(LISTS):
        rows += [f"s{s},{i},The {i.upper()},2024-05-0{s + 1}T{h:02}:00:00" for h, i in enumerate(items)]
    (tmp_path / "shop.csv").write_text("\n".join(rows) + "\n")
    walked(run, "prepare", "table", "shop.csv")
    walked(run, "train", "sr")
    return tmp_path


@pytest.fixture
def vectors(shop: Path, run: Run) -> Path:
    """The same with a model of vectors, trained last."""
    settings = ["dim=4", "epochs=60", "min_count=1", "sample=0"]
    walked(run, "train", "word2vec", *(word for s in settings for word in ("--set", s)), "--threads", 1)
    return shop


def test_recommend(shop: Path, run: Run) -> None:
    ran = walked(run, "recommend", "b", "a")
    assert ran.out == "1\tc\t0.5000\tThe C\n2\td\t0.5000\tThe D\n"
    assert ran.err == "using model sr (models/sr)\n"
    assert walked(run, "recommend", "The B", "the a", "-n", 1).out == "1\tc\t0.5000\tThe C\n"
    seen = walked(run, "recommend", "a", "--seen", "-n", 2, "--json").out.splitlines()
    assert json.loads(seen[0]) == {"rank": 1, "item": "b", "score": 3.0, "name": "The B"}


def test_recommend_refuses_what_is_not_there(shop: Path, run: Run) -> None:
    assert "no item 'q' among the 7 of the vocabulary" in fails(run, "recommend", "q")
    said = fails(run, "recommend", "a", "--model", "srr")
    assert said == "no model artifact is called 'srr' in models; did you mean 'sr'?"


def test_neighbours_of_items_and_of_a_session(vectors: Path, run: Run) -> None:
    ran = walked(run, "neighbours", "x", "z", "-n", 3)
    assert ran.rows[0][1] == "s5"
    assert {row[1] for row in ran.rows} == {"s3", "s4", "s5"}
    assert ran.rows[0][3:] == ["2024-05-06T02:00:00+00:00", "2", "The X | The Y | The Z"]
    assert ran.err == "using model word2vec (models/word2vec)\nusing sessions shop (sessions/shop)\n"
    of = walked(run, "neighbours", "--session", "s3", "--json").out.splitlines()
    found = [json.loads(line) for line in of]
    assert len(found) == 5 and found[0]["session"] == "s4"  # itself is left out
    assert found[0]["items"] == ["y", "x"] and found[0]["shared"] == 2


def test_through_an_index_it_is_the_same(vectors: Path, run: Run) -> None:
    exact = walked(run, "neighbours", "a", "b", "--model", "word2vec")
    built = walked(run, "build-index", "--of", "sessions", "--type", "flat")
    assert built.rows[0][:3] == ["word2vec-sessions-flat", "Flat", "6"]
    through = walked(run, "neighbours", "a", "b")
    assert through.out == exact.out
    assert through.err.startswith("using index word2vec-sessions-flat (indexes/word2vec-sessions-flat)\n")


def test_an_index_of_sessions_is_not_taken_for_one_of_items(vectors: Path, run: Run) -> None:
    walked(run, "build-index", "--type", "flat")
    walked(run, "build-index", "--of", "sessions", "--type", "flat")
    assert walked(run, "similar", "a", "-n", 1).err == "using index word2vec-flat (indexes/word2vec-flat)\n"
    assert "index word2vec-flat holds items" in fails(run, "neighbours", "a", "--index", "word2vec-flat")


def test_neighbours_refuses_what_does_not_fit(vectors: Path, run: Run) -> None:
    assert "give either ITEM... or --session" in fails(run, "neighbours", code=2)
    assert "give either ITEM... or --session" in fails(run, "neighbours", "a", "--session", "s1", code=2)
    assert "no training session has the id 's9'; check it" in fails(run, "neighbours", "--session", "s9")
    assert "model sr (sr) has no vectors" in fails(run, "neighbours", "a", "--model", "sr")
    walked(run, "prepare", "table", "shop.csv", "--min-length", 3)
    assert "sessions shop have changed since model word2vec was trained on them" in fails(run, "neighbours", "a")


def test_why(shop: Path, run: Run) -> None:
    """The sessions named hold the item and are nearest first; s0 is "abc", s1 "abd", s2 "cab"."""
    walked(run, "train", "sknn")
    ran = walked(run, "recommend", "a", "b", "--why", "--model", "sknn")
    assert [(row[1], row[4]) for row in ran.rows] == [("c", "s2 (0.8165) s0 (0.8165)"), ("d", "s1 (0.8165)")]
    found = json.loads(walked(run, "recommend", "a", "b", "--why", "--json").out.splitlines()[1])
    assert (found["item"], found["why"]) == ("d", [{"session": "s1", "similarity": 0.8165}])
    assert fails(run, "recommend", "a", "--why", "--model", "sr") == (
        "--why needs a session-kNN model; sr is a model of sr"
    )
    near = walked(run, "neighbours", "a", "b", "-n", 2, "--model", "sknn")
    assert [row[1:3] for row in near.rows] == [["s2", "0.8165"], ["s1", "0.8165"]]


def test_why_similar(vectors: Path, run: Run) -> None:
    """Of the sessions that hold both, the smallest first; y and x are together in s3 "xy", s4 "yx", s5 "xyz"."""
    walked(run, "build-index", "--type", "flat")
    ran = walked(run, "similar", "x", "-n", 1, "--why")
    assert ran.rows[0][2] in ("y", "z")
    found = [json.loads(line) for line in walked(run, "similar", "x", "--why", "--json").out.splitlines()]
    said = {record["similar"]: record["why"] for record in found}
    assert said["y"] == [
        {"session": "s4", "similarity": 1.0},
        {"session": "s3", "similarity": 1.0},
        {"session": "s5", "similarity": 0.8165},
    ]
    assert said["z"] == [{"session": "s5", "similarity": 0.8165}] and said["a"] == []
    assert "using sessions shop (sessions/shop)" in ran.err


def test_sessions_weighted_otherwise(vectors: Path, run: Run) -> None:
    """With a small decay the last item alone says which sessions are near."""
    settings = ("--set", "decay=.001", "--set", "plays=once")
    built = walked(run, "build-index", "--of", "sessions", "--type", "flat", *settings)
    assert built.rows[0][1] == "Flat"
    ends = {row[1]: float(row[2]) for row in walked(run, "neighbours", "z", "-n", 6).rows}
    assert ends["s5"] == 1.0 and max(v for s, v in ends.items() if s != "s5") < 1.0
    assert "unknown setting 'decoy' in --set; did you mean 'decay'?" in fails(
        run, "build-index", "--of", "sessions", "--set", "decoy=1"
    )
    said = fails(run, "build-index", "--set", "idf=1")
    assert said == "--set weighs events of session vectors, but items are indexed; leave --set out"


def test_faiss_proposes(shop: Path, run: Run) -> None:
    """Of six sessions all are proposed: the answers are the exact ones."""
    walked(run, "train", "sknn", "--name", "exact")
    trained = walked(run, "train", "sknn", "--set", "candidates=ann", "--set", "dim=16")
    assert "candidates asked=0 candidates=1000 nprobe=0" in trained.err
    for command in (("recommend", "a", "b"), ("neighbours", "a", "b")):
        assert walked(run, *command, "--model", "sknn").out == walked(run, *command, "--model", "exact").out
    said = json.loads((shop / "models" / "sknn" / "manifest.json").read_text())["about"]
    assert said["candidates"]["candidates"] == 1000 and said["settings"]["candidates"] == "ann"


def test_the_dial(vectors: Path, run: Run) -> None:
    """0 is the cosine, 1 the dot product; an index of dialled vectors finds what the dialled model does."""
    exact = walked(run, "similar", "a", "--model", "word2vec", "--popularity", 1).out
    assert exact != walked(run, "similar", "a", "--model", "word2vec", "--popularity", 0).out
    assert walked(run, "similar", "a", "--model", "word2vec", "--popularity", 0).out == (
        walked(run, "similar", "a", "--model", "word2vec").out
    )
    walked(run, "build-index", "--type", "flat", "--popularity", 1, "--name", "dialled")
    assert walked(run, "similar", "a", "--index", "dialled").out == exact
    walked(run, "export", "dialled.txt", "--index", "dialled")
    walked(run, "export", "model.txt", "--model", "word2vec", "--popularity", 1)
    assert (vectors / "dialled.txt").read_text() == (vectors / "model.txt").read_text()
    whole = walked(run, "recommend", "a", "--popularity", 1).rows
    cosine = walked(run, "recommend", "a", "--popularity", 0).rows
    assert {row[1] for row in whole} == {row[1] for row in cosine}
    assert [row[2] for row in whole] != [row[2] for row in cosine]
    assert fails(run, "similar", "a", "--index", "dialled", "--popularity", 1) == (
        "--popularity cannot change the existing index dialled; name a model with --model, or rebuild the index with "
        "`embedrec build-index --popularity`"
    )
    assert "model sr (sr) has no vectors; leave --popularity out" in fails(
        run, "recommend", "a", "--model", "sr", "--popularity", 1
    )
    assert "leave --of sessions or --metric out" in fails(run, "build-index", "--popularity", 1, "--metric", "dot")


def test_recommend_and_export_through_an_index_of_answers(vectors: Path, run: Run) -> None:
    exact = walked(run, "recommend", "a", "b", "-n", 3, "--model", "word2vec")
    built = walked(run, "build-index", "--of", "answers", "--type", "flat")
    assert built.rows[0][:3] == ["word2vec-answers-flat", "Flat", "7"]
    through = walked(run, "recommend", "a", "b", "-n", 3, "--index", "word2vec-answers-flat")
    assert through.out == exact.out
    assert through.err == (
        "using index word2vec-answers-flat (indexes/word2vec-answers-flat)\nusing model word2vec (models/word2vec)\n"
    )
    given = ["export", "-", "--of", "recommendations", "--histories", "shop.csv", "-n", 2]
    exported = walked(run, *given, "--model", "word2vec").out
    assert walked(run, *given, "--index", "word2vec-answers-flat").out == exported
    both = run("recommend", "a", "--model", "word2vec", "--index", "word2vec-answers-flat")
    assert both.code == 2 and "an index knows its model; leave out --model or --index" in both.err
    assert "no index artifact" in fails(run, "similar", "a", "--index", "word2vec-flat")
    assert "index word2vec-answers-flat holds answers" in fails(run, "similar", "a", "--index", "word2vec-answers-flat")
