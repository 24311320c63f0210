"""`embedrec recommend`: exactly what it prints, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run, fails, succeed


def test_recommendations_are_printed(shop: Path, run: Run) -> None:
    result = succeed(run, "recommend", "b", "a")
    assert result.out == "1\tc\t0.5000\tThe C\n2\td\t0.5000\tThe D\n"
    assert result.err == "using model sr (models/sr)\n"
    assert succeed(run, "recommend", "The B", "the a", "-n", 1).out == "1\tc\t0.5000\tThe C\n"
    with_seen = succeed(run, "recommend", "a", "--seen", "-n", 2, "--json").out.splitlines()
    assert json.loads(with_seen[0]) == {"rank": 1, "item": "b", "score": 3.0, "name": "The B"}


def test_invalid_requests_are_refused(shop: Path, run: Run) -> None:
    assert "no item 'q' among the 7 of the vocabulary" in fails(run, "recommend", "q")
    message = fails(run, "recommend", "a", "--model", "srr")
    assert message == "no model artifact is called 'srr' in models; did you mean 'sr'?"


def test_why_names_the_nearest_sessions_with_the_item(shop: Path, run: Run) -> None:
    """The sessions contain the item, nearest first; s0 is "abc", s1 "abd", s2 "cab"."""
    succeed(run, "train", "sknn")
    printed = succeed(run, "recommend", "a", "b", "--why", "--model", "sknn")
    assert [(row[1], row[4]) for row in printed.rows] == [("c", "s2 (0.8165) s0 (0.8165)"), ("d", "s1 (0.8165)")]
    result = json.loads(succeed(run, "recommend", "a", "b", "--why", "--json").out.splitlines()[1])
    assert (result["item"], result["why"]) == ("d", [{"session": "s1", "similarity": 0.8165}])
    assert fails(run, "recommend", "a", "--why", "--model", "sr") == (
        "--why needs a session-kNN model; sr is a model of sr"
    )
    neighbours = succeed(run, "neighbours", "a", "b", "-n", 2, "--model", "sknn")
    assert [row[1:3] for row in neighbours.rows] == [["s2", "0.8165"], ["s1", "0.8165"]]


def test_results_with_all_sessions_as_candidates_are_exact(shop: Path, run: Run) -> None:
    """All six sessions are candidates, so that the results are exact."""
    succeed(run, "train", "sknn", "--name", "exact")
    training = succeed(run, "train", "sknn", "--set", "candidates=ann", "--set", "dim=16")
    assert "candidates asked=0 candidates=1000 nprobe=0" in training.err
    for command in (("recommend", "a", "b"), ("neighbours", "a", "b")):
        assert succeed(run, *command, "--model", "sknn").out == succeed(run, *command, "--model", "exact").out
    message = json.loads((shop / "models" / "sknn" / "manifest.json").read_text())["about"]
    assert message["candidates"]["candidates"] == 1000 and message["settings"]["candidates"] == "ann"


def test_an_index_of_answers_gives_the_exact_results(shop_vectors: Path, run: Run) -> None:
    exact = succeed(run, "recommend", "a", "b", "-n", 3, "--model", "word2vec")
    index_rows = succeed(run, "build-index", "--of", "answers", "--type", "flat")
    assert index_rows.rows[0][:3] == ["word2vec-answers-flat", "Flat", "7"]
    through = succeed(run, "recommend", "a", "b", "-n", 3, "--index", "word2vec-answers-flat")
    assert through.out == exact.out
    assert through.err == (
        "using index word2vec-answers-flat (indexes/word2vec-answers-flat)\nusing model word2vec (models/word2vec)\n"
    )
    given = ["export", "-", "--of", "recommendations", "--histories", "shop.csv", "-n", 2]
    exported = succeed(run, *given, "--model", "word2vec").out
    assert succeed(run, *given, "--index", "word2vec-answers-flat").out == exported
    conflict = run("recommend", "a", "--model", "word2vec", "--index", "word2vec-answers-flat")
    assert conflict.code == 2 and "--model and --index are mutually exclusive; give one of them" in conflict.err
    assert "no index artifact" in fails(run, "similar", "a", "--index", "word2vec-flat")
    assert "index word2vec-answers-flat contains answers" in fails(
        run, "similar", "a", "--index", "word2vec-answers-flat"
    )
