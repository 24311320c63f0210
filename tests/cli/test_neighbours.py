"""`embedrec neighbours`: exactly what it prints, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run, fails, succeed


def test_neighbours_of_items_and_of_a_session_are_printed(shop_vectors: Path, run: Run) -> None:
    printed = succeed(run, "neighbours", "x", "z", "-n", 3)
    assert printed.rows[0][1] == "s5"
    assert {row[1] for row in printed.rows} == {"s3", "s4", "s5"}
    assert printed.rows[0][3:] == ["2024-05-06T02:00:00+00:00", "2", "The X | The Y | The Z"]
    assert printed.err == "using model word2vec (models/word2vec)\nusing sessions shop (sessions/shop)\n"
    lines = succeed(run, "neighbours", "--session", "s3", "--json").out.splitlines()
    result = [json.loads(line) for line in lines]
    assert len(result) == 5 and result[0]["session"] == "s4"  # itself is left out
    assert result[0]["items"] == ["y", "x"] and result[0]["shared"] == 2


def test_an_index_gives_the_exact_neighbours(shop_vectors: Path, run: Run) -> None:
    exact = succeed(run, "neighbours", "a", "b", "--model", "word2vec")
    index_rows = succeed(run, "build-index", "--of", "sessions", "--type", "flat")
    assert index_rows.rows[0][:3] == ["word2vec-sessions-flat", "Flat", "6"]
    through = succeed(run, "neighbours", "a", "b")
    assert through.out == exact.out
    assert through.err.startswith("using index word2vec-sessions-flat (indexes/word2vec-sessions-flat)\n")


def test_an_index_of_sessions_is_not_an_index_of_items(shop_vectors: Path, run: Run) -> None:
    succeed(run, "build-index", "--type", "flat")
    succeed(run, "build-index", "--of", "sessions", "--type", "flat")
    assert succeed(run, "similar", "a", "-n", 1).err == "using index word2vec-flat (indexes/word2vec-flat)\n"
    assert "index word2vec-flat contains items" in fails(run, "neighbours", "a", "--index", "word2vec-flat")


def test_invalid_requests_are_refused(shop_vectors: Path, run: Run) -> None:
    assert "give either ITEM... or --session" in fails(run, "neighbours", code=2)
    assert "give either ITEM... or --session" in fails(run, "neighbours", "a", "--session", "s1", code=2)
    assert "no training session has the id 's9'; check it" in fails(run, "neighbours", "--session", "s9")
    assert "model sr (sr) has no vectors" in fails(run, "neighbours", "a", "--model", "sr")
    succeed(run, "prepare", "table", "shop.csv", "--min-length", 3)
    assert "sessions shop have changed since model word2vec was trained on them" in fails(run, "neighbours", "a")


def test_weights_of_events_change_session_vectors(shop_vectors: Path, run: Run) -> None:
    """With a small decay the last item alone determines the nearest sessions."""
    settings = ("--set", "decay=.001", "--set", "plays=once")
    index_rows = succeed(run, "build-index", "--of", "sessions", "--type", "flat", *settings)
    assert index_rows.rows[0][1] == "Flat"
    similarities = {row[1]: float(row[2]) for row in succeed(run, "neighbours", "z", "-n", 6).rows}
    assert similarities["s5"] == 1.0 and max(v for s, v in similarities.items() if s != "s5") < 1.0
    assert "unknown setting 'decoy' in --set; did you mean 'decay'?" in fails(
        run, "build-index", "--of", "sessions", "--set", "decoy=1"
    )
    message = fails(run, "build-index", "--set", "idf=1")
    assert message == "--set needs --of sessions; leave one of them out"
