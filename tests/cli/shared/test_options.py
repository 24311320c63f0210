"""Common options, and how results are printed."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, walked


def test_headers_in_pipes(run: Run, counted: Path) -> None:
    assert walked(run, "similar", "a", "-n", 1).out == "a\t1\tb\t3.0000\t\n"
    assert walked(run, "similar", "a", "-n", 1, "--header").out.splitlines() == [
        "item\trank\tsimilar\tscore\tname",
        "a\t1\tb\t3.0000\t",
    ]
    assert walked(run, "recommend", "a", "-n", 1, "--header").out.startswith("rank\titem\tscore\tname\n1\t")
    assert walked(run, "info", "--header").rows[0] == ["kind", "name", "created", "holds"]
    words = ("compare", "popular", "ar", "--split", "last-item", "--at", 1, "--draws", 0)
    ran = walked(run, *words)
    assert ran.rows[0][:2] == ["model", "recall@1"] and len(ran.rows) == 3
    assert walked(run, *words, "--no-header").rows[0][0] in ("popular", "ar")
    assert walked(run, *words, "--json").out.startswith("{")
