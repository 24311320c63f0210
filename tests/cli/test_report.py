"""`embedrec report`: the artifacts it includes, and its messages."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, fails, succeed
from tests.html_report.reading import read_page


def test_a_report_describes_the_models_of_an_experiment(run: Run, experiment: Path) -> None:
    succeed(run, "run", "study.toml", "--data", "data")
    result = succeed(run, "report", "page.html", "--item", "a", "--title", "My <plays>")
    assert result.out == "" and result.err.splitlines()[-1] == "wrote page.html"
    read = read_page((experiment / "page.html").read_text())
    assert read.texts.count("My <plays>") == 2  # title and heading
    assert [item["id"] for item in read.data["near"]["items"]] == ["a"]
    assert any("95%" in text for text in read.texts)
    assert "embedrec report page.html --item a --title 'My <plays>'" in read.texts
    plain = succeed(run, "report", "--no-compare", "--model", "popular", "--sessions", "plays")
    assert plain.err == "using sessions plays (sessions/plays)\nwrote report.html\n"
    message = fails(run, "report", "--model", "populr")
    assert message == "no model artifact is called 'populr' in models; did you mean 'popular'?"


def test_models_of_other_sessions_are_left_out(run: Run, two_logs: Path) -> None:
    result = succeed(run, "report", "--no-compare", "--no-curves", "--map", "pca")
    assert "model svd of sessions big is left out; --model svd includes it" in result.err


def test_a_report_without_models_describes_the_sessions(run: Run, clicks: Path) -> None:
    result = succeed(run, "report", "page.html")
    assert (result.out, result.err) == ("", "using sessions clicks (sessions/clicks)\nwrote page.html\n")
    read = read_page((clicks / "page.html").read_text())
    assert read.texts.count("clicks") >= 2 and read.data == {"map": None, "near": None}


def test_invalid_requests_are_refused(run: Run, counted: Path) -> None:
    message = fails(run, "report", "--item", "q", "--no-compare")
    assert message == "no item 'q' among the 5 of the vocabulary; give an id or a name"
    assert not Path("report.html").exists()
    assert "'tsne' is not one of 'auto', 'pca', 'umap'" in fails(run, "report", "--map", "tsne", code=2)
    assert "embedrec prepare" in fails(run, "report", "--workspace", "empty")
