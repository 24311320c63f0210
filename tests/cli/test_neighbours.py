"""`embedrec neighbours`: exactly what it prints, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run, fails, walked


def test_neighbours_of_items_and_of_a_session(shop_vectors: Path, run: Run) -> None:
    ran = walked(run, "neighbours", "x", "z", "-n", 3)
    assert ran.rows[0][1] == "s5"
    assert {row[1] for row in ran.rows} == {"s3", "s4", "s5"}
    assert ran.rows[0][3:] == ["2024-05-06T02:00:00+00:00", "2", "The X | The Y | The Z"]
    assert ran.err == "using model word2vec (models/word2vec)\nusing sessions shop (sessions/shop)\n"
    of = walked(run, "neighbours", "--session", "s3", "--json").out.splitlines()
    found = [json.loads(line) for line in of]
    assert len(found) == 5 and found[0]["session"] == "s4"  # itself is left out
    assert found[0]["items"] == ["y", "x"] and found[0]["shared"] == 2


def test_through_an_index_it_is_the_same(shop_vectors: Path, run: Run) -> None:
    exact = walked(run, "neighbours", "a", "b", "--model", "word2vec")
    built = walked(run, "build-index", "--of", "sessions", "--type", "flat")
    assert built.rows[0][:3] == ["word2vec-sessions-flat", "Flat", "6"]
    through = walked(run, "neighbours", "a", "b")
    assert through.out == exact.out
    assert through.err.startswith("using index word2vec-sessions-flat (indexes/word2vec-sessions-flat)\n")


def test_an_index_of_sessions_is_not_taken_for_one_of_items(shop_vectors: Path, run: Run) -> None:
    walked(run, "build-index", "--type", "flat")
    walked(run, "build-index", "--of", "sessions", "--type", "flat")
    assert walked(run, "similar", "a", "-n", 1).err == "using index word2vec-flat (indexes/word2vec-flat)\n"
    assert "index word2vec-flat holds items" in fails(run, "neighbours", "a", "--index", "word2vec-flat")


def test_neighbours_refuses_what_does_not_fit(shop_vectors: Path, run: Run) -> None:
    assert "give either ITEM... or --session" in fails(run, "neighbours", code=2)
    assert "give either ITEM... or --session" in fails(run, "neighbours", "a", "--session", "s1", code=2)
    assert "no training session has the id 's9'; check it" in fails(run, "neighbours", "--session", "s9")
    assert "model sr (sr) has no vectors" in fails(run, "neighbours", "a", "--model", "sr")
    walked(run, "prepare", "table", "shop.csv", "--min-length", 3)
    assert "sessions shop have changed since model word2vec was trained on them" in fails(run, "neighbours", "a")


def test_sessions_weighted_otherwise(shop_vectors: Path, run: Run) -> None:
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
