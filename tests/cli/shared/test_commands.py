"""Groups and commands of the command line: near misses, and ids that begin with a minus."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, walked


@pytest.fixture
def numbers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose ids are numbers below zero, and one that is a word with a minus."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("session,item\n1,-7\n1,-8\n2,-7\n2,-9\n3,-8\n3,-9\n")
    walked(run, "prepare", "table", "log.csv")
    walked(run, "train", "cooccurrence", "--set", "measure=raw")
    walked(run, "train", "sknn")
    return tmp_path


def test_ids_that_begin_with_a_minus(run: Run, numbers: Path) -> None:
    expected = walked(run, "similar", "-n", 1, "--", -7).out
    assert expected.startswith("-7\t1\t-")
    for words in (("similar", -7, "-n", 1), ("similar", "-n", 1, -7), ("similar", "-n1", "-7")):
        assert walked(run, *words).out == expected
    assert [row[0] for row in walked(run, "similar", -7, -8, "-n", 1).rows] == ["-7", "-8"]
    assert walked(run, "recommend", -7, "-8", "-n", 1, "--model", "sknn").rows[0][1] == "-9"
    assert walked(run, "neighbours", -7, "--model", "sknn").code == 0
    assert [row[0] for row in walked(run, "items", -7).rows] == ["-7"]
    ran = run("similar", -7, "-n", -1)
    assert ran.code == 2 and "-1 is not in the range" in ran.err
    ran = run("similar", -5)
    assert ran.code == 1 and "no item '-5'" in ran.err and "\0" not in ran.err
    for command in ("similar", "recommend", "neighbours", "items"):
        ran = run(command, "-abc")
        assert ran.code == 2 and f"an id that begins with '-' stands behind --, as in {command} -- -a" in ran.err
