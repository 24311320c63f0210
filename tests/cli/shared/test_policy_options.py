"""The options of policies."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, walked


def test_more_policies(run: Run, counted: Path) -> None:
    out = walked(run, "export", "-", "-n", 2, "--min-evidence", 2, "--model", "cooccurrence").out
    assert out == "a b c\nb a c\nc a b\nd\ne\n"
    assert walked(run, "export", "-", "-n", 2, "--discount", 1).out == "a b c\nb a c\nc a b\nd e a\ne d\n"
    assert walked(run, "export", "-", "-n", 1, "--mutual", "--candidates", 1).out == "a b\nb a\nc\nd\ne\n"
    assert walked(run, "export", "-", "-n", 2, "--csls", 1, "--mmr", 0.2).out.count("\n") == 5
