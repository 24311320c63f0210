"""`recommend` and `neighbours`: exactly what they print, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run, fails, walked


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


def test_faiss_proposes(shop: Path, run: Run) -> None:
    """Of six sessions all are proposed: the answers are the exact ones."""
    walked(run, "train", "sknn", "--name", "exact")
    trained = walked(run, "train", "sknn", "--set", "candidates=ann", "--set", "dim=16")
    assert "candidates asked=0 candidates=1000 nprobe=0" in trained.err
    for command in (("recommend", "a", "b"), ("neighbours", "a", "b")):
        assert walked(run, *command, "--model", "sknn").out == walked(run, *command, "--model", "exact").out
    said = json.loads((shop / "models" / "sknn" / "manifest.json").read_text())["about"]
    assert said["candidates"]["candidates"] == 1000 and said["settings"]["candidates"] == "ann"


def test_recommend_and_export_through_an_index_of_answers(shop_vectors: Path, run: Run) -> None:
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
