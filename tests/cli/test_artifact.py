"""`embedrec artifact rm|mv|tag`: exactly what they print; names of versions in other commands."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, fails, succeed


def test_a_tag_is_a_name_for_a_version_in_every_command(run: Run, counted: Path) -> None:
    result = succeed(run, "artifact", "tag", "cooccurrence", "friday")
    assert result.rows == [["model", "cooccurrence", "1"]]
    assert result.err == "model cooccurrence@1 has the tag friday\n"
    before = succeed(run, "similar", "a").out
    succeed(run, "train", "cooccurrence", "--set", "measure=cosine")
    assert succeed(run, "similar", "a").out != before
    for name in ("cooccurrence@friday", "cooccurrence@1"):
        old = succeed(run, "similar", "a", "--model", name)
        assert old.out == before
        assert old.err.startswith("using model cooccurrence (versions/1/models/cooccurrence)\n")
    assert succeed(run, "verify", "cooccurrence@friday").rows == [["models", "cooccurrence", "ok"]]
    missing = "no version 'x' of model cooccurrence is kept in .; kept are friday, 1"
    for words in (("compare", "cooccurrence@x"), ("similar", "a", "--model", "cooccurrence@x")):
        assert fails(run, *words) == missing
    rows = succeed(run, "compare", "cooccurrence@friday", "--split", "last-item", "--at", 2).rows
    assert rows[1][0] == "cooccurrence@friday"
    assert succeed(run, "rollback", "--to", "friday").rows == [["model", "cooccurrence", "1", "2"]]
    assert succeed(run, "similar", "a").out == before
    assert fails(run, "similar", "a", "--model", "cooccurrence@monday") == (
        "no version 'monday' of model cooccurrence is kept in .; kept are friday, 2, 1"
    )
    result = succeed(run, "artifact", "tag", "cooccurrence@1", "friday", "--delete")
    assert result.err == "model cooccurrence@1 no longer has the tag friday\n"


def test_artifacts_are_renamed_and_removed(run: Run, counted: Path) -> None:
    result = succeed(run, "artifact", "mv", "log", "plays")
    assert result.err == "sessions log is now sessions plays (sessions/plays)\n"
    assert result.rows == [["sessions", "plays"]]
    assert (
        succeed(run, "similar", "a", "--why").err
        == "using model cooccurrence (models/cooccurrence)\nusing sessions plays (sessions/plays)\n"
    )
    assert fails(run, "artifact", "rm", "plays") == (
        "model cooccurrence needs sessions plays; remove that first, or both at once, or this one with --force"
    )
    rows = succeed(run, "artifact", "rm", "plays", "cooccurrence").rows
    assert [row[:3] for row in rows] == [["sessions", "plays", ""], ["model", "cooccurrence", ""]]
    assert succeed(run, "info").out == ""
    assert fails(run, "artifact", "rm", "plays") == "no artifact 'plays' in .; `embedrec info` lists them"
    assert "Missing argument" in run("artifact", "rm").err
