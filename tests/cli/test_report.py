"""`embedrec report`: the artifacts it includes, and its messages."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, walked
from tests.html_report.reading import read_page


def test_a_report_of_what_is_there(run: Run, experiment: Path) -> None:
    walked(run, "run", "study.toml", "--data", "data")
    ran = walked(run, "report", "page.html", "--item", "a", "--title", "My <plays>")
    assert ran.out == "" and ran.err.splitlines()[-1] == "wrote page.html"
    read = read_page((experiment / "page.html").read_text())
    assert read.texts.count("My <plays>") == 2  # title and heading
    assert [item["id"] for item in read.data["near"]["items"]] == ["a"]
    assert any("95%" in text for text in read.texts)
    plain = walked(run, "report", "--no-compare", "--model", "popular", "--sessions", "plays")
    assert plain.err == "using sessions plays (sessions/plays)\nwrote report.html\n"
    wrong = run("report", "--model", "populr")
    assert (wrong.code, wrong.err.splitlines()[-1]) == (
        1, "embedrec: no model artifact is called 'populr' in models; did you mean 'popular'?"
    )  # fmt: skip


def test_report_is_about_one_line(run: Run, two_logs: Path) -> None:
    ran = walked(run, "report", "--no-compare", "--no-curves", "--map", "pca")
    assert "model svd of sessions big is left out; --model svd includes it" in ran.err
